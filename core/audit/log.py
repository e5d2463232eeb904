"""Writes an audit log: one writer at a time, each entry on the disk before anything is said about it.

What a killed writer left half written at the end is no entry. The next writer moves those bytes into a file of their
own beside the log, says so in its first entry, and goes on with the chain.
"""

import contextlib
import datetime
import errno
import fcntl
import hashlib
import logging
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..errors import CovoguardError, IntegrityError, KeyMissing, UsageError
from ..keyfile import utc_now
from ..wholefile import sync, write_whole
from .entry import (
    MAX_LINE_BYTES,
    Action,
    Entry,
    Head,
    line_sha256,
    parse_line,
    signed_bytes,
    signed_line,
    split_line,
    unsigned_line,
)
from .keys import AuditKeys, SigningKey, is_signed_by

logger = logging.getLogger(__name__)

_ENTRY_START = b'{"v":1,"seq":'
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_BLOCK_BYTES = 1 << 16


class AuditLog:
    """An audit log, open and locked for this writer alone. Use as a context manager."""

    def __init__(self, path: Path, keys: AuditKeys) -> None:
        """Open the log, or begin one where there is no file or an empty one.

        Raises `UsageError` for a file that cannot be written or that another run writes, `IntegrityError` for one
        that is no audit log or whose end was changed, `KeyMissing` for a log whose signing key is not among `keys`.
        """
        self.path = path
        self._descriptor = _open_alone(path)
        try:
            self._torn = _keep_torn_end_aside(path, self._descriptor)
            self._key = keys.current_or_new()
            self._head: Head | None = None
            self._time = ""
            last = _last_line(self._descriptor)
            if last is None:
                self._begin()
            else:
                self._go_on(_first_line(self._descriptor), last, keys)
        except BaseException:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the next writer in."""
        os.close(self._descriptor)

    @property
    def head(self) -> Head:
        """The last entry."""
        assert self._head is not None
        return self._head

    @property
    def key_id(self) -> str:
        """The id of the key that signs."""
        return self._key.key_id

    @contextlib.contextmanager
    def run(self, facts: Mapping[str, Any]) -> Iterator[Self]:
        """A run from its `open` to its `close`, which tells how it ended: completed, interrupted or failed."""
        opened = self.append("open", {**facts, "previous_run_closed": self._is_closed, "torn_end": self._torn})
        self._torn = None
        outcome = "failed"
        try:
            yield self
            outcome = "completed"
        except (KeyboardInterrupt, GeneratorExit):
            outcome = "interrupted"
            raise
        finally:
            self.append("close", {"outcome": outcome, "opened": opened.seq, "entries": self.head.seq - opened.seq})

    def append(self, action: Action, facts: Mapping[str, Any]) -> Head:
        """Sign an entry, bring it to the disk, and give the log's new head.

        Raises `CovoguardError` (`output_error`) when the disk is full or refuses it; nothing of the entry stays then.
        """
        now = utc_now()
        back_s = _seconds_back(self._time, now)
        if back_s is not None:
            logger.warning("%s: the clock has gone back by %.3f s since the entry before", self.path, back_s)
        seq, prev = (self._head.seq + 1, self._head.sha256) if self._head else (1, None)
        unsigned = unsigned_line(Entry(seq, now, back_s, prev, self._key.key_id, action, facts))
        line = signed_line(unsigned, self._key.sign(signed_bytes(unsigned)))
        if len(line) > MAX_LINE_BYTES:
            raise CovoguardError(f"{self.path}: an entry of {len(line)} bytes is longer than any may be")
        self._write(line + b"\n")
        self._head = Head(seq, line_sha256(line))
        self._time = now
        self._is_closed = action in ("begin", "close", "rotate")
        return self._head

    def _begin(self) -> None:
        self.log_id = _log_id_of(self._key.public_key, now := utc_now())
        self.append("begin", {"log_id": self.log_id, "public_key": self._key.public_key, "begun_utc": now})
        with contextlib.suppress(OSError):  # a folder that cannot be synced still holds the name
            sync(self.path.parent)

    def _go_on(self, first: bytes, last: bytes, keys: AuditKeys) -> None:
        """Take up the chain at its end, whose signature vouches for all before it; change the key where it is new."""
        try:
            entry, begin = parse_line(last), parse_line(first)
            self.log_id = str(begin.facts["log_id"])
            signer_id = str(entry.facts["key_id"]) if entry.action == "rotate" else entry.key
        except (ValueError, KeyError) as error:
            raise _damaged(self.path, f"not an audit log, or damaged at its ends ({error})") from None
        signer = self._key_of(keys, entry.key)
        unsigned, signature = split_line(last) or (b"", b"")
        if not is_signed_by(signer.public_key, signed_bytes(unsigned), signature):
            raise _damaged(self.path, "its last entry is not as its key signed it")
        self._head, self._time = Head(entry.seq, line_sha256(last)), entry.time
        self._is_closed = entry.action in ("begin", "close", "rotate")
        newest, self._key = self._key, self._key_of(keys, signer_id)
        if newest.key_id != self._key.key_id:
            was_closed = self._is_closed
            self.append("rotate", {"key_id": newest.key_id, "public_key": newest.public_key})
            self._key, self._is_closed = newest, was_closed

    def _key_of(self, keys: AuditKeys, key_id: str) -> SigningKey:
        key = self._key if self._key.key_id == key_id else keys.get(key_id)
        if key is None:
            raise KeyMissing(
                f"{self.path}: signed with the key {key_id}, which is not in {keys.folder}; restore that key from "
                "its backup, or begin a log of your own in another file"
            )
        return key

    def _write(self, line: bytes) -> None:
        """All of the line, or, on any error, nothing of it."""
        size_bytes = os.fstat(self._descriptor).st_size
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fsync(self._descriptor)
        except OSError as error:
            with contextlib.suppress(OSError):  # else the next writer finds it torn and keeps it aside
                os.ftruncate(self._descriptor, size_bytes)
            raise CovoguardError(
                f"{self.path}: cannot be written: {error.strerror}; the entry is not in the log: make room and run "
                "again",
                code="output_error",
            ) from error


def _open_alone(path: Path) -> int:
    try:
        descriptor = os.open(path, _FLAGS, 0o600)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path}: cannot be written as an audit log: {reason}; choose another file") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UsageError(f"{path}: not a regular file; choose another file")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise UsageError(f"{path}: another run is writing this log; wait for it, or name another file") from None
        raise UsageError(f"{path}: cannot be locked: {error.strerror}; choose a file on a local disk") from error
    return descriptor


def _keep_torn_end_aside(path: Path, descriptor: int) -> dict[str, Any] | None:
    """Move what stands behind the last newline into a file beside the log; -> what was done, None for nothing."""
    size_bytes = os.fstat(descriptor).st_size
    end = _position_behind_last_newline(descriptor, size_bytes)
    if end == size_bytes:
        return None
    torn = os.pread(descriptor, min(size_bytes - end, MAX_LINE_BYTES + 1), end)
    # Someone else's file that was named by mistake must keep its last line.
    is_ours = end == 0 or _is_entry(_first_line(descriptor))
    if not is_ours or len(torn) > MAX_LINE_BYTES or not torn.startswith(_ENTRY_START[: len(torn)]):
        raise _damaged(path, "not an audit log")
    digest = hashlib.sha256(torn).hexdigest()
    aside = path.with_name(f"{path.name}.torn-{digest[:16]}")
    try:
        write_whole(aside, [torn])
        os.ftruncate(descriptor, end)
        os.fsync(descriptor)
    except OSError as error:
        raise CovoguardError(
            f"{path}: its last line is torn, and cannot be kept aside in {aside}: {error.strerror}; make room",
            code="output_error",
        ) from error
    logger.warning(
        "%s: the last %d bytes are half an entry, left by a run that was killed; they are kept in %s",
        path, len(torn), aside,
    )  # fmt: skip
    return {"bytes": len(torn), "sha256": digest, "kept_in": aside.name.encode("utf-8", "backslashreplace").decode()}


def _position_behind_last_newline(descriptor: int, end: int) -> int:
    """0 where there is no newline before `end`."""
    while end > 0:
        start = max(0, end - _BLOCK_BYTES)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _last_line(descriptor: int) -> bytes | None:
    """Without its newline; the file ends in one. None for an empty file."""
    size_bytes = os.fstat(descriptor).st_size
    if size_bytes == 0:
        return None
    start = _position_behind_last_newline(descriptor, size_bytes - 1)
    return os.pread(descriptor, min(size_bytes - 1 - start, MAX_LINE_BYTES + 1), start)


def _is_entry(line: bytes) -> bool:
    try:
        parse_line(line)
    except ValueError:
        return False
    return True


def _first_line(descriptor: int) -> bytes:
    return os.pread(descriptor, _BLOCK_BYTES, 0).split(b"\n", 1)[0]


def _log_id_of(public_key: str, now: str) -> str:
    return hashlib.sha256(f"{public_key} {now}".encode()).hexdigest()[:32]


def _seconds_back(before: str, now: str) -> float | None:
    """None where the clock went on. Times of one format compare as texts."""
    if now >= before:
        return None
    parse = datetime.datetime.fromisoformat
    try:
        return (parse(before) - parse(now)).total_seconds()
    except (ValueError, TypeError):
        return 0.0


def _damaged(path: Path, complaint: str) -> IntegrityError:
    return IntegrityError(
        f"{path}: {complaint}; nothing was added: see `covoguard audit verify`, and begin a new log in another file"
    )
