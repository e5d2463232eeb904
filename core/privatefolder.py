"""A folder that only its owner can read: refused when others could, written whole or not at all.

Every file is reached through the descriptor of the folder that was checked, and its own descriptor is checked
before a byte is read, so nothing can be swapped between the check and the use.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from .errors import CovoguardError, IntegrityError, KeyMissing

MAX_FILE_BYTES = 1 << 20
_LOCK_NAME = ".lock"
_PARTIAL_SUFFIX = ".part"
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_WRITE = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_CREAT


class PrivateFolder:
    """An open folder of mode 0700 with files of mode 0600, all of them the caller's own."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Made by `open` and `make`."""
        self.path = path
        self._descriptor = descriptor

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: Path) -> Iterator[Self | None]:
        """The folder at `path` (a link is followed), or None when nothing is there.

        Raises `KeyMissing` for something else than a folder, another owner, or permissions for group or others.
        """
        descriptor = None
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise KeyMissing(f"{path}: cannot be opened as a folder of keys ({error.strerror}); check it") from error
        if descriptor is None:  # not inside the handler: it would become the context of the caller's errors
            yield None
            return
        try:
            _check_private(path, os.fstat(descriptor), 0o700)
            yield cls(path, descriptor)
        finally:
            os.close(descriptor)

    @classmethod
    @contextlib.contextmanager
    def make(cls, path: Path) -> Iterator[Self]:
        """As `open`, but a missing folder is made, with mode 0700. Raises also when it cannot be made."""
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(path, error) from error
        with cls.open(path) as folder:
            if folder is None:
                raise KeyMissing(f"{path}: vanished while it was opened; run the command again")
            yield folder

    def names(self) -> list[str]:
        """Names of what lies in the folder, hidden files left out, sorted."""
        return sorted(name for name in os.listdir(self._descriptor) if not name.startswith("."))

    def read(self, name: str) -> bytes | None:
        """The content of a file, or None when there is none of this name.

        Raises `IntegrityError` for a link, a thing that is no file, or one larger than a key file can be;
        `KeyMissing` for another owner or permissions for group or others.
        """
        path = self.path / name
        try:
            descriptor = os.open(name, _READ, dir_fd=self._descriptor)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EMLINK):
                raise IntegrityError(f"{path}: a link, not a key file; put the file itself there") from error
            raise KeyMissing(f"{path}: cannot be opened ({error.strerror}); grant it, or restore the file") from error
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise IntegrityError(f"{path}: not a regular file; remove it from the folder of keys")
            _check_private(path, status, 0o600)
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(MAX_FILE_BYTES + 1)
        finally:
            os.close(descriptor)
        if len(content) > MAX_FILE_BYTES:
            raise IntegrityError(f"{path}: too large for a key file; restore it from a backup")
        return content

    def write(self, name: str, content: bytes) -> None:
        """Put a file in place, mode 0600 from its first byte; it appears whole or, on any error, not at all.

        Raises `CovoguardError` (`output_error`) when the disk is full or the folder refuses it.
        """
        partial = f".{name}.{secrets.token_hex(8)}{_PARTIAL_SUFFIX}"
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_EXCL | _WRITE, 0o600, dir_fd=self._descriptor)
            try:
                with open(descriptor, "wb") as file:
                    os.fchmod(descriptor, 0o600)  # a mask that takes from the owner would make it unreadable
                    file.write(content)
                    file.flush()
                    os.fsync(descriptor)
                os.replace(partial, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
            except OSError:
                os.unlink(partial, dir_fd=self._descriptor)
                raise
            os.fsync(self._descriptor)
        except OSError as error:
            raise _unwritable(self.path / name, error) from error

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Alone among all processes and threads that write here; the lock ends with its holder.

        What a writer that was killed left half done is removed. Raises `CovoguardError` (`output_error`) when
        the folder refuses the lock.
        """
        try:
            descriptor = os.open(_LOCK_NAME, os.O_RDWR | _WRITE, 0o600, dir_fd=self._descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            except OSError:
                os.close(descriptor)
                raise
        except OSError as error:
            raise _unwritable(self.path / _LOCK_NAME, error) from error
        try:
            for name in os.listdir(self._descriptor):
                if name.startswith(".") and name.endswith(_PARTIAL_SUFFIX):
                    os.unlink(name, dir_fd=self._descriptor)
            yield
        finally:
            os.close(descriptor)


def enclosing_work_tree(path: Path) -> Path | None:
    """The git work tree that `path` lies in, or None."""
    real = Path(os.path.realpath(path))
    return next((folder for folder in (real, *real.parents) if os.path.exists(folder / ".git")), None)


def _check_private(path: Path, status: os.stat_result, wanted_mode: int) -> None:
    if status.st_uid != os.geteuid():
        raise KeyMissing(
            f"{path}: belongs to another user (uid {status.st_uid}); "
            "run as that user, or give a folder of keys of your own in $COVOGUARD_KEYS"
        )
    if status.st_mode & 0o077:
        raise KeyMissing(
            f"{path}: other users may read or change it (mode {stat.S_IMODE(status.st_mode):04o}); "
            f"run: chmod {wanted_mode:03o} {shlex.quote(str(path))}"
        )


def _unwritable(path: Path, error: OSError) -> CovoguardError:
    advice = "make room, or choose another folder of keys with $COVOGUARD_KEYS"
    return CovoguardError(f"{path}: cannot be written: {error.strerror}; {advice}", code="output_error")
