"""Turns what a user points at (files, folders, globs, lists, standard input) into a stream of sources."""

import glob
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..core.audio.source import OpenedInput, named, open_input, spool_stream
from ..core.errors import InputError, UsageError

STANDARD_INPUT = "-"
_READ_BYTES = 1 << 16
_MAX_NAME_BYTES = 1 << 20
"""Far beyond what any system takes for a path; without a limit, a list that is none would fill the memory."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

MEDIA_SUFFIXES = frozenset(
    (
        ".3g2", ".3gp", ".aac", ".ac3", ".aif", ".aifc", ".aiff", ".alac", ".amr", ".ape",
        ".asf", ".au", ".avi", ".awb", ".caf", ".dts", ".eac3", ".f4v", ".flac", ".flv", ".gsm",
        ".m2ts", ".m4a", ".m4b", ".m4r", ".m4v", ".mka", ".mkv", ".mov", ".mp2", ".mp3", ".mp4",
        ".mpa", ".mpeg", ".mpg", ".mts", ".mxf", ".oga", ".ogg", ".ogv", ".opus", ".ra", ".rm",
        ".snd", ".sph", ".spx", ".tta", ".vob", ".voc", ".w64", ".wav", ".wave", ".weba",
        ".webm", ".wma", ".wmv", ".wv",
    )
)  # fmt: skip
"""What is taken from a folder. A path that is named itself is always taken: there the content decides."""


@dataclass(frozen=True)
class Source:
    """One input: a path, `-` for standard input, or something that already failed while it was looked for."""

    path: str
    error: InputError | None = None


def open_source(source: Source) -> OpenedInput:
    """Open and hash a source. Raises `InputError`, also the one that the source already carries."""
    if source.error is not None:
        raise source.error
    if source.path == STANDARD_INPUT:
        return spool_stream(sys.stdin.buffer)
    return open_input(Path(source.path))


class InputWalk:
    """The sources of a scan, in order, found lazily; a million files cost no memory.

    Paths keep their order. A folder gives its files sorted by name, then its sub-folders in the same way;
    links to folders are not followed inside it, hidden files and folders are left out, and so are files
    whose suffix is not in `MEDIA_SUFFIXES` unless `all_files` is set. A path that does not exist but holds
    `*`, `?` or `[` is expanded as a glob (`**` for any depth). `-` is standard input. With `literal`,
    neither of these two holds.
    """

    def __init__(self, paths: Iterable[str], *, all_files: bool = False, literal: bool = False) -> None:
        """`paths` may be a generator that is still waiting for its next line."""
        self._paths = paths
        self._all_files = all_files
        self._literal = literal
        self.skipped_files = 0
        """Files left out of folders so far for their suffix or for being hidden."""

    def __iter__(self) -> Iterator[Source]:
        """Every source once per time that it is named."""
        for path in self._paths:
            yield from self._expand(path)

    def _expand(self, path: str) -> Iterator[Source]:
        if path == STANDARD_INPUT:
            yield Source(os.path.join(os.curdir, path) if self._literal else path)
        elif os.path.isdir(path):
            yield from self._walk(path)
        elif not path:
            nothing = "an empty path names no file; check the variable that it came from"
            yield Source(path, InputError(nothing, code="not_found"))
        elif not self._literal and glob.has_magic(path) and not os.path.lexists(path):
            matches = sorted(glob.glob(path, recursive=True))
            if not matches:
                yield Source(path, InputError(f"{named(Path(path))}: no file matches this pattern", code="not_found"))
            for match in matches:
                yield from self._walk(match) if os.path.isdir(match) else [Source(match)]
        else:
            yield Source(path)

    def _walk(self, folder: str) -> Iterator[Source]:
        unreadable: list[OSError] = []
        for parent, subfolders, names in os.walk(folder, onerror=unreadable.append):
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
            for name in sorted(names):
                if self._wanted(name):
                    yield Source(os.path.join(parent, name))
                else:
                    self.skipped_files += 1
            while unreadable:
                yield _unreadable(unreadable.pop())
        while unreadable:
            yield _unreadable(unreadable.pop())

    def _wanted(self, name: str) -> bool:
        if name.startswith("."):
            return False
        return self._all_files or os.path.splitext(name)[1].lower() in MEDIA_SUFFIXES


def _unreadable(error: OSError) -> Source:
    path = str(error.filename)
    code = "no_permission" if isinstance(error, PermissionError) else "read_error"
    return Source(path, InputError(f"{named(Path(path))}: this folder cannot be listed: {error.strerror}", code=code))


def listed_paths(list_file: str, *, null_separated: bool) -> Iterator[str]:
    """Paths from a file, or from standard input for `-`, each as soon as its end has been read.

    One path per line, or per NUL byte. Names are bytes, taken literally: no globs, no comments, no quotes, no
    trimming; empty ones are skipped. Lines may end as on Windows and the first may start with a byte order mark:
    a name that has these of its own needs NUL bytes. Raises `UsageError` when the list cannot be opened, and while
    it is read for a name that is longer than any path.
    """
    try:
        descriptor = os.dup(0) if list_file == STANDARD_INPUT else os.open(list_file, os.O_RDONLY)
    except OSError as error:
        raise UsageError(f"--files-from {list_file}: cannot be opened: {error.strerror}") from error
    names = _split(descriptor, b"\0" if null_separated else b"\n", list_file)
    return (os.fsdecode(name) for name in (names if null_separated else _without_windows_marks(names)) if name)


def _without_windows_marks(lines: Iterable[bytes]) -> Iterator[bytes]:
    for number, line in enumerate(lines):
        yield (line.removeprefix(_BYTE_ORDER_MARK) if number == 0 else line).removesuffix(b"\r")


def _split(descriptor: int, separator: bytes, list_file: str) -> Iterator[bytes]:
    # Not sys.stdin: a thread that waits inside its buffer would block the interpreter's exit.
    rest = b""
    try:
        while block := os.read(descriptor, _READ_BYTES):
            *complete, rest = (rest + block).split(separator)
            yield from complete
            if len(rest) > _MAX_NAME_BYTES:
                raise UsageError(
                    f"--files-from {list_file}: a name of more than {_MAX_NAME_BYTES} bytes; give a list of paths, "
                    "one per line (with -0: each with a NUL byte behind it)"
                )
        yield rest
    except OSError as error:
        raise UsageError(f"--files-from {list_file}: cannot be read: {error.strerror}") from error
    finally:
        os.close(descriptor)
