"""What `verify` says about one file: the record that JSON Lines and the table are made from.

As in `core/scanrecord.py`, the attribute names are the keys of the JSON form, field for field, in this order; the
shipped JSON Schema (`reports/schema/verify-record-1.schema.json`) says what each one means.
"""

from dataclasses import dataclass, field
from typing import Literal

from .jsonrecord import ADDED_LATER
from .ledgerrecord import LedgerReading
from .markrecord import TokenMark
from .scanrecord import AuditRef, Case, InputFacts, RecordError, Tool

VerifySchemaVersion = Literal[1]
VERIFY_SCHEMA_VERSION: VerifySchemaVersion = 1


@dataclass(frozen=True)
class VerifyTiming:
    """Wall-clock seconds per step; None for a step that was not taken."""

    hash_s: float | None = None
    decode_s: float | None = None
    mark_s: float | None = None


@dataclass(frozen=True)
class VerifyRecord:
    """One file, one record. Either `token_mark` or `error` is there."""

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
