"""Files that are there whole or not at all, also after a kill or a power cut."""

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

PARTIAL_SUFFIX = ".part"
"""Ends the hidden name under which a file is written; what a killed writer leaves may be removed by it."""


def write_whole(path: Path, pieces: Iterable[bytes]) -> None:
    """Write `pieces` beside `path`, bring them to the disk, and put them in its place. Raises `OSError`."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{PARTIAL_SUFFIX}")
    try:
        with temporary.open("xb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
