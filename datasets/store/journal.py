"""A file whose changes take hold all at once or not at all, under HDF5, which promises neither.

HDF5 rewrites its tables in place and in no order that survives a kill. Here it writes through a Python file: bytes
behind the committed end go straight to the disk, where nobody looks yet, and changed pages before it wait in memory.
A commit then

1. brings the new bytes to the disk,
2. writes the changed pages and the new size to `FILE.journal`, closed by a SHA-256, and brings that to the disk:
   from here on the commit holds,
3. copies the pages into the file, cuts it to its size, and removes the journal.

Killed before the end of 2, the file is as it was; killed later, whoever opens it next finds the journal: a writer
finishes step 3, a reader looks through the pages of the journal. The scheme is the write-ahead log of databases.
"""

import contextlib
import fcntl
import hashlib
import io
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

PAGE_BYTES = 4096
JOURNAL_SUFFIX = ".journal"
_MAGIC = b"covojrn1"
_HEADER = struct.Struct("<8sQQ")
"""Magic, size of the file after the commit, number of pages."""
_PAGE_NUMBER = struct.Struct("<Q")
_DIGEST_BYTES = 32

Pages = dict[int, bytearray]
"""Page number to content, `PAGE_BYTES` each."""


def journal_of(path: Path) -> Path:
    """Where the journal of a file lies."""
    return path.with_name(path.name + JOURNAL_SUFFIX)


class CommittedFile(io.RawIOBase):
    """The committed state of a file, also where a killed writer left its last step undone. Never writes."""

    def __init__(self, path: Path, flags: int = os.O_RDONLY) -> None:
        """Raises `OSError` when the file cannot be opened."""
        self._descriptor = os.open(path, flags | os.O_CLOEXEC)
        self._position = 0
        self._pages: Pages = {}
        with _locked(self._descriptor, fcntl.LOCK_SH):
            self._size = os.fstat(self._descriptor).st_size
            if (left := _read_journal(journal_of(path))) is not None:
                self._size, self._pages = left

    def read_at(self, start: int, count: int) -> bytearray:
        """The bytes from `start` on, fewer than `count` at the end. Any number of threads may read."""
        count = max(0, min(count, self._size - start))
        content = bytearray(count)
        view, done = memoryview(content), 0
        while done < count and (got := os.preadv(self._descriptor, [view[done:]], start + done)):
            done += got  # what is missing in the file at its end is zeros, or lies in a page
        if self._pages:
            for number in range(start // PAGE_BYTES, -(-(start + count) // PAGE_BYTES)):
                if (page := self._pages.get(number)) is not None:
                    first, last = max(start, number * PAGE_BYTES), min(start + count, (number + 1) * PAGE_BYTES)
                    offset = first - number * PAGE_BYTES
                    view[first - start : last - start] = page[offset : offset + last - first]
        return content

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place; -> the place."""
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        return self._position

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Read at the current place; -> bytes read."""
        view = memoryview(buffer).cast("B")
        content = self.read_at(self._position, len(view))
        view[: len(content)] = content
        self._position += len(content)
        return len(content)

    def close(self) -> None:
        """Close the descriptor; safe to call twice."""
        if not self.closed:
            os.close(self._descriptor)
        super().close()


class JournaledFile(CommittedFile):
    """A file that its one writer changes in commits. What is not committed is lost at `close`."""

    def __init__(self, path: Path) -> None:
        """Open an existing file, and finish a commit that was cut off. Raises `OSError`."""
        super().__init__(path, os.O_RDWR)
        self._journal = journal_of(path)
        self._failure: OSError | None = None
        self._is_abandoned = False
        if self._journal.exists():
            self._apply()
        self._committed = self._size

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, content: "ReadableBuffer", /) -> int:
        """Write at the current place; -> bytes written.

        Never raises: HDF5 crashes after a write that failed. A full disk is told by `commit`.
        """
        view = memoryview(content).cast("B")
        total = len(view)
        while len(view):
            taken = self._write_behind(view) or self._write_page(view)
            view = view[taken:]
            self._position += taken
            self._size = max(self._size, self._position)
        return total

    def truncate(self, size: int | None = None, /) -> int:
        """Set the size that the file has after the next commit."""
        self._size = self._position if size is None else size
        return self._size

    def commit(self) -> None:
        """Let all that was written take hold.

        Raises `OSError`, also of an earlier write; then abandon the file. It is as it was before, or, when only the
        last step failed, as it is to be.
        """
        if self._failure is not None:
            raise self._failure
        os.fsync(self._descriptor)
        with _locked(self._descriptor, fcntl.LOCK_EX):
            _write_journal(self._journal, self._size, self._pages)
            self._apply()
        self._committed = self._size

    def abandon(self) -> None:
        """Forget what was not committed; what is still written stays in memory, for HDF5 flushes when it closes."""
        if not self._is_abandoned:
            self._is_abandoned = True
            if not self._journal.exists():  # else the commit holds, and the next opening finishes it
                with contextlib.suppress(OSError):  # free what a full disk lacks; what stays does no harm
                    os.ftruncate(self._descriptor, self._committed)

    def _write_behind(self, view: memoryview) -> int:
        """Write behind the committed end, straight to the disk; -> bytes written, 0 where that cannot be."""
        first_free = -(-self._committed // PAGE_BYTES) * PAGE_BYTES
        if self._is_abandoned or self._failure is not None or self._position < first_free:
            return 0
        try:
            return os.pwrite(self._descriptor, view, self._position)
        except OSError as error:
            self._failure = error
            return 0

    def _write_page(self, view: memoryview) -> int:
        number, offset = divmod(self._position, PAGE_BYTES)
        taken = min(PAGE_BYTES - offset, len(view))
        self._page(number)[offset : offset + taken] = view[:taken]
        return taken

    def _page(self, number: int) -> bytearray:
        if number not in self._pages:
            content = self.read_at(number * PAGE_BYTES, PAGE_BYTES)
            self._pages[number] = content.ljust(PAGE_BYTES, b"\0")
        return self._pages[number]

    def _apply(self) -> None:
        for start, content in _runs(self._pages):
            _write_all(self._descriptor, content, start)
        os.ftruncate(self._descriptor, self._size)
        os.fsync(self._descriptor)
        self._journal.unlink(missing_ok=True)
        self._pages = {}


@contextlib.contextmanager
def _locked(descriptor: int, kind: int) -> Iterator[None]:
    """Keep readers that are just opening the file and the last steps of a commit apart."""
    try:
        fcntl.flock(descriptor, kind)
    except OSError:  # a disk without locks: readers may then meet a commit, which their checks tell
        yield
        return
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _runs(pages: Pages) -> Iterator[tuple[int, bytes]]:
    """Neighbouring pages joined: where each run begins, and its content."""
    numbers = sorted(pages)
    while numbers:
        length = next((i for i, number in enumerate(numbers) if number != numbers[0] + i), len(numbers))
        yield numbers[0] * PAGE_BYTES, b"".join(pages[number] for number in numbers[:length])
        numbers = numbers[length:]


def _write_journal(path: Path, size: int, pages: Pages) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        content = bytearray(_HEADER.pack(_MAGIC, size, len(pages)))
        for number, page in pages.items():
            content += _PAGE_NUMBER.pack(number) + page
        _write_all(descriptor, content + hashlib.sha256(content).digest(), 0)
        os.fsync(descriptor)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read_journal(path: Path) -> tuple[int, Pages] | None:
    """Size and pages of a commit that holds; None where there is no journal, or one that was never finished."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    body, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    if len(body) < _HEADER.size or hashlib.sha256(body).digest() != digest:
        return None
    _, size, count = _HEADER.unpack_from(body)
    pages: Pages = {}
    step = _PAGE_NUMBER.size + PAGE_BYTES
    for start in range(_HEADER.size, _HEADER.size + count * step, step):
        (number,) = _PAGE_NUMBER.unpack_from(body, start)
        pages[number] = bytearray(body[start + _PAGE_NUMBER.size : start + step])
    return size, pages


def _write_all(descriptor: int, content: "ReadableBuffer", start: int) -> None:
    view = memoryview(content).cast("B")
    while len(view):
        written = os.pwrite(descriptor, view, start)
        view, start = view[written:], start + written
