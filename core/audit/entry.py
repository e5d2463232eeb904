"""One entry of an audit log: a line of JSON that is signed and names the hash of the line before it.

A line is compact ASCII JSON with these keys in this order and nothing else:

    v       1
    seq     position in the log, from 1: in a whole log the number of the line
    time    UTC, ISO 8601 with a final Z, as the machine's clock had it
    clock_back_s  seconds by which that clock had gone back since the entry before; else null
    prev    SHA-256 of the line before, signature included, without its newline; null in the first line
    key     id of the key that signs
    action  what was done: see `Action`
    facts   an object; what it holds depends on the action
    sig     Ed25519 signature (RFC 8032) in 128 hexadecimal digits

Signed are the bytes `covoguard-audit/v1`, a newline, and the line as it stands up to and without `,"sig":`. No JSON
is written anew to check one, so not even a space can be added. Since `prev` is signed too, the signature of a line
vouches for every line before it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Action = Literal["begin", "open", "file", "close", "rotate"]
"""`begin`: a log, with its public key. `open` and `close`: a run. `file`: one file in it. `rotate`: to another key."""

MAX_LINE_BYTES = 1 << 24
"""Longer than an entry on any path that an operating system takes."""

_VERSION = 1
_DOMAIN = b"covoguard-audit/v1\n"
_SIGNATURE_MARK = b',"sig":"'
_SIGNATURE_DIGITS = 128
_TAIL_BYTES = len(_SIGNATURE_MARK) + _SIGNATURE_DIGITS + len(b'"}')
_KEYS = ["v", "seq", "time", "clock_back_s", "prev", "key", "action", "facts", "sig"]
_ACTIONS = frozenset(get_args(Action))
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class Head:
    """The end of a log at some moment: whoever keeps it notices later that entries were cut off."""

    seq: int
    sha256: str
    """Of the entry's line, without its newline."""

    def __str__(self) -> str:
        """HASH:SEQ, as `covoguard audit verify --expect-head` takes it."""
        return f"{self.sha256}:{self.seq}"


@dataclass(frozen=True)
class Entry:
    """What a line says; whether it may be believed is for `verify_log` to tell."""

    seq: int
    time: str
    clock_back_s: float | None
    prev: str | None
    key: str
    action: Action
    facts: Mapping[str, Any]


def unsigned_line(entry: Entry) -> bytes:
    """The line up to its signature. Raises `ValueError` on facts that JSON does not have, such as NaN."""
    record = {
        "v": _VERSION,
        "seq": entry.seq,
        "time": entry.time,
        "clock_back_s": entry.clock_back_s,
        "prev": entry.prev,
        "key": entry.key,
        "action": entry.action,
        "facts": entry.facts,
    }
    return json.dumps(record, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")[:-1]


def signed_bytes(unsigned: bytes) -> bytes:
    """What the key signs."""
    return _DOMAIN + unsigned


def signed_line(unsigned: bytes, signature: bytes) -> bytes:
    """The whole line, without its newline."""
    return b'%b%b%b"}' % (unsigned, _SIGNATURE_MARK, signature.hex().encode("ascii"))


def line_sha256(line: bytes) -> str:
    """What the next entry's `prev` must be; `line` comes without its newline."""
    return hashlib.sha256(line).hexdigest()


def split_line(line: bytes) -> tuple[bytes, bytes] | None:
    """The part that is signed and the signature; None where the line does not end as an entry does."""
    unsigned, tail = line[:-_TAIL_BYTES], line[-_TAIL_BYTES:]
    digits = tail[len(_SIGNATURE_MARK) : -2].decode("ascii", "replace")
    if not tail.startswith(_SIGNATURE_MARK) or not tail.endswith(b'"}') or not _HEX.issuperset(digits):
        return None
    return (unsigned, bytes.fromhex(digits)) if len(digits) == _SIGNATURE_DIGITS else None


def parse_line(line: bytes) -> Entry:
    """Read a line without its newline. Raises `ValueError` that says what is wrong with it."""
    if split_line(line) is None:
        raise ValueError("it does not end in a signature")
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(record, dict) or list(record) != _KEYS:
        raise ValueError(f"its keys are not {', '.join(_KEYS)}")
    if type(record["v"]) is not int or record["v"] != _VERSION:
        raise ValueError(f"it is not an entry of version {_VERSION}")
    seq, back_s, prev, action = (record[name] for name in ("seq", "clock_back_s", "prev", "action"))
    if type(seq) is not int or seq < 1:
        raise ValueError("its seq is no number from 1")
    if not isinstance(record["time"], str) or not isinstance(record["key"], str):
        raise ValueError("its time or key is no text")
    if not (back_s is None or type(back_s) is float) or not (prev is None or isinstance(prev, str)):
        raise ValueError("its clock_back_s or prev is of the wrong kind")
    if action not in _ACTIONS or not isinstance(record["facts"], dict):
        raise ValueError("its action is unknown or its facts are no object")
    return Entry(seq, record["time"], back_s, prev, record["key"], action, record["facts"])
