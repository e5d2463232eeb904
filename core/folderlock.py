"""One writer per folder: a lock that ends with its holder, however that ends."""

import errno
import fcntl
import os
from pathlib import Path

from .errors import UsageError


def lock_folder(path: Path, name: str) -> int:
    """Make the folder where it is not there, and lock the file `name` in it; -> a descriptor that holds the lock.

    Raises `UsageError` for a folder that cannot be written or locked, or where another run is at work.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path}: cannot be written: {reason}; choose another folder with -o") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise UsageError(f"{path}: another run is writing here; wait for it, or name another folder") from None
        raise UsageError(f"{path}: cannot be locked: {error.strerror}; choose a folder on a local disk") from error
    return descriptor
