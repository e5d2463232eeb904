"""What `verify` says about one file: the record that JSON Lines and the table are made from.

As in `core/scanrecord.py`, the attribute names are the keys of the JSON form, field for field, in this order; the
shipped JSON Schema (`reports/schema/verify-record-1.schema.json`) says what each one means.
"""

from dataclasses import dataclass, field
from typing import Literal

from .credentialsfinding import CredentialsFinding
from .jsonrecord import ADDED_LATER
from .ledgerrecord import LedgerReading
from .markrecord import TokenMark
from .observationrecord import Examined
from .scanrecord import AuditRef, Case, Decision, DetectorResult, InputFacts, QualityFacts, RecordError, Tool
from .waveformrecord import WaveformFinding

VerifySchemaVersion = Literal[1]
VERIFY_SCHEMA_VERSION: VerifySchemaVersion = 1


@dataclass(frozen=True)
class VerifyTiming:
    """Wall-clock seconds per step; None for a step that was not taken."""

    hash_s: float | None = None
    decode_s: float | None = None
    mark_s: float | None = None
    """Token marks and waveform marks."""
    quality_s: float | None = field(default=None, metadata=ADDED_LATER)
    score_s: float | None = field(default=None, metadata=ADDED_LATER)
    second_look_s: float | None = field(default=None, metadata=ADDED_LATER)


@dataclass(frozen=True)
class VerifyRecord:
    """One file, one record. None, wherever it stands for an answer: that way of looking was not taken.

    With an `error` the sound could not be read; what credentials say is there all the same.
    """

    schema_version: VerifySchemaVersion
    run_id: str
    seq: int
    """Position in the run, from 0."""
    input: InputFacts
    token_mark: TokenMark | None
    error: RecordError | None
    timing: VerifyTiming
    tool: Tool
    ledger: LedgerReading | None = None
    """Evidence of another kind, which takes no part in `token_mark`. None: no ledger was given, or no bytes read."""
    case: Case | None = field(default=None, metadata=ADDED_LATER)
    audit: AuditRef | None = field(default=None, metadata=ADDED_LATER)
    """None: the run kept no audit log."""
    waveform_marks: tuple[WaveformFinding, ...] | None = field(default=None, metadata=ADDED_LATER)
    """One for each method that was asked."""
    credentials: CredentialsFinding | None = field(default=None, metadata=ADDED_LATER)
    quality: QualityFacts | None = field(default=None, metadata=ADDED_LATER)
    detectors: tuple[DetectorResult, ...] | None = field(default=None, metadata=ADDED_LATER)
    examined: Examined | None = field(default=None, metadata=ADDED_LATER)
    """File forensics: no part of the decision."""
    decision: Decision | None = field(default=None, metadata=ADDED_LATER)
    """What the policy makes of all of it; None where no detector was asked."""
