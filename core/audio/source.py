"""Opening what the analyst points at: regular files only, hashed once, never waited for.

The decoder later reads the very file descriptor that was hashed, so a path that is swapped in between plays
no part.
"""

import errno
import hashlib
import os
import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from ..errors import InputError

CHUNK_BYTES = 1 << 20
MAX_INPUT_BYTES = 32 << 30
"""No honest hour of sound is larger (8 channels, 24 bits, 192 kHz: 17 GB); a sparse file can be."""

STREAM_NAME = Path("-")

_NO_SUCH_PATH = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
_NO_PERMISSION = {errno.EACCES, errno.EPERM}
_NOT_OPENABLE = {errno.ENXIO, errno.EISDIR, errno.ENODEV, errno.EOPNOTSUPP}


def named(path: Path) -> str:
    """A path for messages: quoted and on one line, whatever its characters."""
    return repr(str(path))


@dataclass(frozen=True)
class OpenedInput:
    """An open regular file, and the SHA-256 of its bytes. Use as a context manager."""

    path: Path
    file: BinaryIO = field(repr=False, compare=False)
    sha256: str
    size_bytes: int
    _identity: tuple[int, int, int] = field(repr=False, compare=False)

    @property
    def fd(self) -> int:
        """The file descriptor, to be handed to the decoder process."""
        return self.file.fileno()

    def check_unchanged(self) -> None:
        """Raise `InputError` (changed_while_read) when size or modification time differ from those at opening."""
        if _identity(os.fstat(self.fd)) != self._identity:
            raise InputError(
                f"{named(self.path)}: the file changed while it was read; scan a copy that nothing writes to",
                code="changed_while_read",
            )

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self.file.close()

    def __enter__(self) -> Self:
        """Nothing to do: the file is open."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()


def open_input(path: Path, *, max_bytes: int = MAX_INPUT_BYTES) -> OpenedInput:
    """Open and hash a regular file (symbolic links are followed), in constant memory.

    Raises `InputError` with one of the codes not_found, not_a_file, no_permission, empty_file, too_large,
    read_error, changed_while_read.
    """
    file = _open_regular(path)
    try:
        before = os.fstat(file.fileno())
        if before.st_size == 0:
            raise InputError(f"{named(path)}: the file has no bytes; obtain it again", code="empty_file")
        if before.st_size > max_bytes:
            raise _too_large(path, max_bytes)
        opened = OpenedInput(path, file, _sha256(file, path), before.st_size, _identity(before))
        opened.check_unchanged()
    except BaseException:
        file.close()
        raise
    return opened


def spool_stream(stream: BinaryIO, *, max_bytes: int = MAX_INPUT_BYTES) -> OpenedInput:
    """Copy a stream (standard input) into an unlinked temporary file, hashing on the way.

    The result's path is `-`. Raises `InputError` with code empty_file, too_large or read_error.
    """
    digest = hashlib.sha256()
    size_bytes = 0
    file = tempfile.TemporaryFile(prefix="covoguard-")  # noqa: SIM115  (the caller closes it)
    try:
        while chunk := _next_chunk(stream):
            size_bytes += len(chunk)
            if size_bytes > max_bytes:
                raise _too_large(STREAM_NAME, max_bytes)
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        if size_bytes == 0:
            raise InputError("standard input has no bytes; pipe an audio file into it", code="empty_file")
        return OpenedInput(STREAM_NAME, file, digest.hexdigest(), size_bytes, _identity(os.fstat(file.fileno())))
    except OSError as error:
        file.close()
        folder = tempfile.gettempdir()
        raise InputError(
            f"standard input could not be stored in {folder}: {error.strerror}; free space there or set TMPDIR",
            code="read_error",
        ) from error
    except BaseException:
        file.close()
        raise


def _next_chunk(stream: BinaryIO) -> bytes:
    try:
        return stream.read(CHUNK_BYTES)
    except OSError as error:
        raise InputError(
            f"standard input cannot be read: {error.strerror}; pipe an audio file into it", code="read_error"
        ) from error


def _open_regular(path: Path) -> BinaryIO:
    try:
        # Looked at before it is opened, because opening some devices does something, and again after,
        # because the path may have been swapped in between. Without O_NONBLOCK a pipe would wait for a writer.
        _require_regular(os.stat(path), path)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | getattr(os, "O_NOCTTY", 0))
    except OSError as error:
        raise _as_input_error(error, path) from error
    except ValueError as error:  # a NUL inside the path
        raise InputError(f"{named(path)}: this cannot be a path", code="not_found") from error
    file = os.fdopen(descriptor, "rb")
    try:
        _require_regular(os.fstat(descriptor), path)
    except InputError:
        file.close()
        raise
    return file


def _require_regular(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise InputError(
            f"{named(path)}: not a regular file; give a file, or send its bytes to standard input",
            code="not_a_file",
        )


def _as_input_error(error: OSError, path: Path) -> InputError:
    if error.errno in _NO_SUCH_PATH:
        return InputError(f"{named(path)}: there is no such file; check the path", code="not_found")
    if error.errno in _NO_PERMISSION:
        return InputError(f"{named(path)}: no permission to read it; grant it and retry", code="no_permission")
    if error.errno in _NOT_OPENABLE:
        return InputError(f"{named(path)}: not a regular file; give a file", code="not_a_file")
    return InputError(
        f"{named(path)}: {error.strerror}; check the disk or network drive and scan again", code="read_error"
    )


def _sha256(file: BinaryIO, path: Path) -> str:
    digest = hashlib.sha256()
    try:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
        file.seek(0)
    except OSError as error:
        raise _as_input_error(error, path) from error
    return digest.hexdigest()


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _too_large(path: Path, max_bytes: int) -> InputError:
    return InputError(f"{named(path)}: more than {max_bytes} bytes; cut it into parts", code="too_large")
