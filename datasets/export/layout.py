"""The layouts by name, and how each folder comes into being."""

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from ...core.errors import CovoguardError, UsageError
from ..store import StoredClip
from .asvspoof import write_asvspoof
from .audiofolder import write_audiofolder
from .flac import write_flac


class Layout(Protocol):
    """Writes clips into an empty folder."""

    def __call__(self, clips: Iterable[StoredClip], folder: Path) -> int:
        """-> number of clips. Raises `OSError`."""
        ...


LAYOUTS: Mapping[str, Layout] = {"flac": write_flac, "asvspoof": write_asvspoof, "hf": write_audiofolder}


def export(clips: Iterable[StoredClip], folder: Path, layout: str) -> int:
    """Write clips in one of the `LAYOUTS` into a new or empty folder; -> number of clips.

    Until all are written the folder is a hidden one beside it. Raises `UsageError` for an unknown layout and a folder
    that is not empty, `CovoguardError` (`output_error`) when the disk is full.
    """
    if layout not in LAYOUTS:
        raise UsageError(f"no layout {layout!r}; there are {', '.join(LAYOUTS)}")
    folder = folder.absolute()
    temporary = folder.with_name(f".{folder.name}.part")
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"{folder}: not empty; name a new folder with -o")
        if temporary.exists():  # of an export that was killed
            shutil.rmtree(temporary)
        temporary.mkdir(parents=True)
        try:
            count = LAYOUTS[layout](clips, temporary)
            os.replace(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise CovoguardError(
            f"{error.filename or folder}: cannot be written: {error.strerror or error}; make room or grant it, and "
            "export again",
            code="output_error",
        ) from error
    return count
