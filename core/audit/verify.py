"""Tells whether an audit log is whole and as its keys signed it, and names each line that is not.

Every line is hashed and compared with what the next one says of it. A signature vouches for all lines before it, so few
need checking: those of the last line of each run, because the next run takes its word for all that stands there, those
of a change of key, and the last of all. Where one fails, all are checked, to name the line. Where the chain breaks, the
signatures on both sides tell a line that was changed or put in by someone without the key from genuine lines that were
removed or moved.

What no log can show by itself is that its end was cut off at a place where a run had ended: keep a head elsewhere
(every record of a run holds one) and give it as `expected_head`.
"""

import re
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..errors import UsageError
from .entry import MAX_LINE_BYTES, Entry, Head, line_sha256, parse_line, signed_bytes, split_line
from .keys import is_public_key, is_signed_by, key_id_of

Status = Literal["intact", "unclosed", "broken"]
FindingKind = Literal[
    "not_an_entry", "changed", "missing", "misplaced", "forked", "no_beginning", "foreign_key", "bad_rotation",
    "cut_off", "torn_end", "unclosed_end",
]  # fmt: skip
"""`torn_end` and `unclosed_end` alone make a log `unclosed`; any other makes it `broken`."""
NoticeKind = Literal["unclosed_run", "torn_end_kept", "clock_back", "key_rotated", "head_not_at_end"]

MAX_FINDINGS = 99
"""Enough to see what happened; a file that is no log at all is not listed line by line."""
_HEX_64 = re.compile("[0-9a-f]{64}")
_ENDS = frozenset({"torn_end", "unclosed_end"})


@dataclass(frozen=True)
class Finding:
    """What is wrong, and at which line of the file, from 1."""

    line: int
    kind: FindingKind
    message: str


@dataclass(frozen=True)
class Notice:
    """What the log itself tells of and an examiner should know; nothing is wrong with the log for it."""

    line: int
    kind: NoticeKind
    message: str


@dataclass(frozen=True)
class AuditReport:
    """What is known of a log. Only `intact` says that it is whole, up to `head`."""

    path: str
    status: Status
    lines: int
    runs: int
    log_id: str | None
    head: Head | None
    """The last line that can be read as an entry; None where there is none."""
    signing_keys: tuple[str, ...]
    """Public keys whose signatures were checked and hold, in the order of their first use."""
    findings: tuple[Finding, ...]
    notices: tuple[Notice, ...]


def verify_log(path: Path, trusted_keys: Collection[str], expected_head: str | None = None) -> AuditReport:
    """Check a whole log against public keys (hexadecimal digits); it is read, and nothing is changed.

    A log is trusted when one of `trusted_keys` signed in it, or when a key signed that one of them named as its
    successor. `expected_head` is HASH or HASH:SEQ of an entry that must be there. Raises `UsageError` when the
    file cannot be read or the head is malformed.
    """
    trusted = frozenset(key.lower() for key in trusted_keys)
    expected = None if expected_head is None else _parse_head(expected_head)
    report = _checked(path, _Check(trusted, expected))
    if any(finding.kind == "changed" for finding in report.findings):
        report = _checked(path, _Check(trusted, expected, checks_every_signature=True))  # names the first line
    return report


def _checked(path: Path, check: "_Check") -> AuditReport:
    try:
        with path.open("rb") as file:
            while line := file.readline(MAX_LINE_BYTES + 2):
                check.take(line)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}; give an audit log") from error
    return check.report(str(path))


def read_entries(path: Path) -> Iterator[tuple[int, bytes, Entry | None]]:
    """Number, bytes and content of each line, unverified; the entry is None where the line is none.

    Raises `UsageError` when the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES + 2), b""), start=1):
                try:
                    yield number, line.rstrip(b"\n"), parse_line(line.rstrip(b"\n"))
                except ValueError:
                    yield number, line.rstrip(b"\n"), None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}; give an audit log") from error


def _parse_head(text: str) -> tuple[str, int | None]:
    sha256, _, seq = text.strip().partition(":")
    is_seq = seq.isascii() and seq.isdigit()
    if not _HEX_64.fullmatch(sha256) or not (is_seq or text.strip() == sha256):
        raise UsageError(f"{text!r} is no head of a log: give HASH or HASH:SEQ, the hash in 64 hexadecimal digits")
    return sha256, int(seq) if seq else None


@dataclass(frozen=True)
class _Line:
    number: int
    raw: bytes
    sha256: str
    entry: Entry


@dataclass
class _Check:
    """The state of one pass over a log."""

    trusted: frozenset[str]
    expected: tuple[str, int | None] | None
    checks_every_signature: bool = False
    number: int = 0
    runs: int = 0
    log_id: str | None = None
    last: _Line | None = None
    open_line: int | None = None
    """Where the run began that has not been closed."""
    is_expected_found: bool = False
    public_keys: dict[str, str] = field(default_factory=dict)
    """By id, as `begin` and `rotate` give them; the trusted ones stand in where those are lost."""
    successors: dict[str, str] = field(default_factory=dict)
    signed: dict[str, None] = field(default_factory=dict)
    findings: dict[tuple[int, FindingKind], Finding] = field(default_factory=dict)
    notices: deque[Notice] = field(default_factory=lambda: deque(maxlen=MAX_FINDINGS))

    def take(self, raw: bytes) -> None:
        """The next line, with its newline if it has one."""
        self.number += 1
        if not raw.endswith(b"\n") and len(raw) <= MAX_LINE_BYTES:
            message = f"half a line of {len(raw)} bytes: a run was killed here, or the end was cut off"
            self._find(self.number, "torn_end", message)
            return
        raw = raw.removesuffix(b"\n")
        try:
            entry = parse_line(raw)
        except ValueError as error:
            self._find(self.number, "not_an_entry", f"no entry of an audit log: {error}")
            return
        line = _Line(self.number, raw, line_sha256(raw), entry)
        self._learn(line)
        self._join(line)
        if entry.action in ("open", "rotate") and self.last is not None:
            self._check_signature(self.last)
        if entry.action == "rotate" or self.checks_every_signature:
            self._check_signature(line)
        self._follow_runs(line)
        if entry.clock_back_s is not None:
            self._note("clock_back", f"the clock had gone back by {entry.clock_back_s:.3f} s since the line before")
        if self.expected and line.sha256 == self.expected[0] and self.expected[1] in (None, entry.seq):
            self.is_expected_found = True
            if self.expected[1] is not None and entry.seq != self.number:
                self._find(self.number, "misplaced", f"the expected head stands here and not in line {entry.seq}")
        self.last = line

    def report(self, path: str) -> AuditReport:
        """After the last line."""
        if self.last is not None:
            self._check_signature(self.last)
        if self.open_line is not None:
            self._find(
                self.open_line, "unclosed_end",
                "the run that begins here has no end: it is still at work, was killed, or the end was cut off",
            )  # fmt: skip
        if self.last is None:
            message = "there is no entry: the file is no audit log, or all was cut off"
            self.findings[1, "no_beginning"] = Finding(1, "no_beginning", message)  # however many there are
        if self.signed and not self._is_trusted():
            ids = ", ".join(key_id_of(key) for key in self.signed)
            self._find(1, "foreign_key", f"signed with {ids}, and not with a key that you trust")
        self._check_expected_head()
        kinds = {finding.kind for finding in self.findings.values()}
        status: Status = "intact" if not kinds else "unclosed" if kinds <= _ENDS else "broken"
        head = Head(self.last.entry.seq, self.last.sha256) if self.last else None
        findings = sorted(self.findings.values(), key=lambda finding: finding.line)
        return AuditReport(
            path, status, self.number, self.runs, self.log_id, head, tuple(self.signed), tuple(findings),
            tuple(self.notices),
        )  # fmt: skip

    def _learn(self, line: _Line) -> None:
        """Take note of a public key that the line brings."""
        facts = line.entry.facts
        if line.entry.action == "begin" and line.number == 1:
            self.log_id = str(facts.get("log_id"))
        if line.entry.action in ("begin", "rotate"):
            key = str(facts.get("public_key"))
            if is_public_key(key):
                self.public_keys.setdefault(key_id_of(key), key)
            else:
                self._find(line.number, "bad_rotation", "the public key in this line is none")

    def _join(self, line: _Line) -> None:
        """Compare the line with what stands before it."""
        entry, before = line.entry, self.last
        if before is None:
            if entry.action != "begin" or entry.seq != 1 or entry.prev is not None:
                what = f"the log begins with its entry {entry.seq}"
                self._find(line.number, "no_beginning", f"{what}: what stood before it is missing")
            return
        if before.number == line.number - 1 and entry.prev == before.sha256 and entry.seq == before.entry.seq + 1:
            if entry.key != _signer_after(before.entry):
                self._find(line.number, "bad_rotation", f"signed with {entry.key}, to which the log never went over")
            return
        is_either_changed = False
        for each in (before, line):
            is_either_changed |= not self._check_signature(each)
        if is_either_changed:
            return
        if entry.seq > before.entry.seq + 1:
            gap = f"{before.entry.seq + 1} to {entry.seq - 1}"
            self._find(line.number, "missing", f"entry {entry.seq} follows {before.entry.seq}: {gap} are not here")
        elif entry.seq <= before.entry.seq:
            what = f"entry {entry.seq} stands behind {before.entry.seq}"
            self._find(line.number, "misplaced", f"{what}: it was moved or put in a second time")
        elif before.number == line.number - 1:
            self._find(
                line.number, "forked",
                "genuine, but written after another line than the one before it: two copies of the log went on",
            )  # fmt: skip

    def _check_signature(self, line: _Line) -> bool:
        key = self.public_keys.get(line.entry.key) or next(
            (each for each in self.trusted if key_id_of(each) == line.entry.key), None
        )
        parts = split_line(line.raw)
        if key is None or parts is None or not is_signed_by(key, signed_bytes(parts[0]), parts[1]):
            whose = line.entry.key if key else f"{line.entry.key}, which the log does not know,"
            why = f"not as the key {whose} signed it: it was changed, or put in by someone without the key"
            self._find(line.number, "changed", why)
            return False
        self.signed.setdefault(key)
        if line.entry.action == "rotate":
            self.successors[key] = str(line.entry.facts.get("public_key"))
        return True

    def _is_trusted(self) -> bool:
        """Whether a signature that holds is that of a trusted key, or of one that such a key passed the log on to."""
        trusted = set(self.trusted)
        for key, successor in self.successors.items():
            if key in trusted:
                trusted.add(successor)
        return not trusted.isdisjoint(self.signed)

    def _follow_runs(self, line: _Line) -> None:
        facts = line.entry.facts
        if line.entry.action == "open":
            self.runs += 1
            if self.open_line is not None:
                self._note(
                    "unclosed_run", f"the run that begins in line {self.open_line} was never closed: it was killed"
                )
            self.open_line = line.number
            if facts.get("torn_end") is not None:
                self._note("torn_end_kept", f"half an entry stood before this line; kept aside: {facts['torn_end']}")
        elif line.entry.action == "close":
            self.open_line = None
        elif line.entry.action == "rotate":
            self._note("key_rotated", f"the log goes over to the key {facts.get('key_id')}")

    def _check_expected_head(self) -> None:
        if self.expected is None:
            return
        sha256, seq = self.expected
        last = self.last.entry.seq if self.last else 0
        if self.is_expected_found:
            if self.last is not None and self.last.sha256 != sha256:
                message = f"the expected head is there, and the log goes on behind it to entry {last}"
                self.notices.append(Notice(self.number, "head_not_at_end", message))
        elif seq is not None and seq > last:
            self._find(self.number, "cut_off", f"the log ends with entry {last}, and entry {seq} is expected: cut off")
        else:
            self._find(self.number, "cut_off", f"no entry has the hash {sha256}: cut off, changed, or another log")

    def _find(self, number: int, kind: FindingKind, message: str) -> None:
        if len(self.findings) < MAX_FINDINGS:
            self.findings.setdefault((number, kind), Finding(number, kind, message))

    def _note(self, kind: NoticeKind, message: str) -> None:
        self.notices.append(Notice(self.number, kind, message))


def _signer_after(entry: Entry) -> str:
    """The key that signs the line behind `entry`."""
    return str(entry.facts.get("key_id")) if entry.action == "rotate" else entry.key
