"""What a scan says about one file: the record that JSON Lines, Parquet, CSV and the table are all made from.

The attribute names are the keys of the JSON form, field for field, in this order; the shipped JSON Schema
(`reports/schema/scan-record-1.schema.json`) says what each one means. Additions raise no version; a change of
meaning raises `SCHEMA_VERSION`.
"""

import base64
import hashlib
import os
from dataclasses import dataclass, field, replace
from typing import Literal

from .audio.facts import Mix
from .credentialsfinding import CredentialsFinding
from .jsonrecord import ADDED_LATER, json_line
from .markrecord import TokenMark
from .records import Change, DomainFinding, Stability, VerdictLabel
from .waveformrecord import WaveformFinding

SchemaVersion = Literal[1]
SCHEMA_VERSION: SchemaVersion = 1


@dataclass(frozen=True)
class Case:
    """Which case and exhibit a run belongs to, and who ran it."""

    id: str | None
    item: str | None
    examiner: str | None


@dataclass(frozen=True)
class AuditRef:
    """The entry on this file in the audit log of the run: kept here, it shows later that none was cut off."""

    log_id: str
    seq: int
    sha256: str
    """Of the entry's line."""
    key_id: str
    """The key that signed it."""


@dataclass(frozen=True)
class InputFacts:
    """The file: where it lay, its identity, and what its container and codec say. None: not known."""

    path: str
    path_b64: str | None
    """The path's bytes in base64 where they are not UTF-8 (`path` shows them as \\xNN); otherwise None."""
    sha256: str | None = None
    size_bytes: int | None = None
    container: str | None = None
    codec: str | None = None
    sample_rate_hz: int | None = None
    channels: int | None = None
    bits_per_sample: int | None = None
    bit_rate_bps: int | None = None
    duration_s: float | None = None
    """Seconds decoded."""
    declared_duration_s: float | None = None
    """Seconds that the container declares."""
    bad_packets: int | None = None
    sha256_after: str | None = field(default=None, metadata=ADDED_LATER)
    """Of the bytes under the path after the analysis. None: they were not hashed again."""


@dataclass(frozen=True)
class QualityFacts:
    """What decides whether a score can be relied on, before any threshold, and the policy's view of it."""

    speech_s: float
    snr_db: float | None
    bandwidth_hz: float | None
    clipping_share: float
    dc_offset: float
    peak: float
    channel_levels_dbfs: tuple[float | None, ...]
    mix: Mix
    partial: bool
    too_long: bool
    speech: tuple[tuple[float, float], ...]
    """Speech regions, [start_s, end_s]."""
    flags: tuple[str, ...]
    """Shortcomings under the policy that decided."""


@dataclass(frozen=True)
class DetectorResult:
    """What one detector found. `segments` are [start_s, end_s, log10_lr].

    `domain` is None where the model does not know what it was made for, `stability` where nobody looked twice.
    """

    id: str
    model_sha256: str | None
    status: str
    score: float | None
    log10_lr: float | None
    segments: tuple[tuple[float, float, float], ...]
    domain: DomainFinding | None = field(default=None, metadata=ADDED_LATER)
    stability: Stability | None = field(default=None, metadata=ADDED_LATER)


@dataclass(frozen=True)
class Marks:
    """Provenance marks.

    None and empty mean "not looked for", never "absent".
    """

    token: TokenMark | None = None
    waveform: tuple[WaveformFinding, ...] = ()
    """One for each method that was asked."""
    credentials: CredentialsFinding | None = None


@dataclass(frozen=True)
class PolicyRef:
    """The policy that decided."""

    id: str
    sha256: str


@dataclass(frozen=True)
class Decision:
    """What the policy made of the evidence. `posterior` holds only under the policy's `prior`."""

    verdict: VerdictLabel
    reasons: tuple[str, ...]
    policy: PolicyRef
    prior: float | None
    posterior: float | None
    would_change: tuple[Change, ...] | None = field(default=None, metadata=ADDED_LATER)
    """The least that would give each other verdict. None: nobody asked."""


@dataclass(frozen=True)
class RecordError:
    """Why the file could not be analysed: a code of `core/reasons.py` and one sentence."""

    code: str
    message: str


@dataclass(frozen=True)
class Timing:
    """Wall-clock seconds per step; None for a step that was not taken."""

    hash_s: float | None = None
    decode_s: float | None = None
    quality_s: float | None = None
    score_s: float | None = None
    second_look_s: float | None = field(default=None, metadata=ADDED_LATER)
    marks_s: float | None = field(default=None, metadata=ADDED_LATER)
    """Token marks and waveform marks; in older records token marks are part of `score_s`."""


@dataclass(frozen=True)
class Tool:
    """What measured: the versions that a repetition needs."""

    version: str
    python: str
    onnxruntime: str | None


@dataclass(frozen=True)
class ScanRecord:
    """One file, one record."""

    schema_version: SchemaVersion
    run_id: str
    seq: int
    """Position in the run, from 0."""
    case: Case | None
    input: InputFacts
    quality: QualityFacts | None
    detectors: tuple[DetectorResult, ...]
    marks: Marks
    decision: Decision
    error: RecordError | None
    duplicate_of: int | None
    """`seq` of the first file of the run with the same bytes; this one was not scored again."""
    timing: Timing
    tool: Tool
    prev_hash: str | None
    """SHA-256 of the line of the record before this one (without its newline); None for the first."""
    audit: AuditRef | None = field(default=None, metadata=ADDED_LATER)
    """None: the run kept no audit log."""


def record_line(record: ScanRecord) -> str:
    """The record's one JSON form: compact, ASCII only, keys in field order, no newline.

    Raises `ValueError` on NaN and infinity, which JSON does not have.
    """
    return json_line(record)


class HashChain:
    """Links records: each carries the hash of the line before it.

    An edited, removed or re-ordered line breaks the chain at the line after it. Records cut off at the end
    are not noticed, and whoever rewrites the whole file can rewrite the chain: keep the last hash
    elsewhere.
    """

    def __init__(self) -> None:
        """Start a chain: the first record links to nothing."""
        self.head: str | None = None

    def link(self, record: ScanRecord) -> ScanRecord:
        """The record with its `prev_hash`; the chain then goes on from it."""
        linked = replace(record, prev_hash=self.head)
        self.follow(linked)
        return linked

    def follow(self, record: ScanRecord) -> bool:
        """Go on from a record as it stands; False when it does not link to the one before."""
        unbroken = record.prev_hash == self.head
        self.head = hashlib.sha256(record_line(record).encode("ascii")).hexdigest()
        return unbroken


def path_facts(path: str) -> InputFacts:
    """The path as text that any JSON reader accepts, with its bytes beside it where it is not UTF-8."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        raw = os.fsencode(path)
        text = raw.decode("utf-8", errors="backslashreplace")
        return InputFacts(path=text, path_b64=base64.b64encode(raw).decode("ascii"))
    return InputFacts(path=path, path_b64=None)
