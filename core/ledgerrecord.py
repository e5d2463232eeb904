"""What a generation ledger says about one file: evidence of its own kind, part of the record of `verify`.

A ledger is the `manifest.jsonl` of a generated dataset. It lists each clip by the hash of its bytes and keeps the
tokens that it was made from. That the recorded tokens carry a mark says of the file: byte for byte it is one that the
ledger's keeper listed with these tokens. Whether they were its tokens, only the keeper knows.
"""

from dataclasses import dataclass
from typing import Literal

LedgerStatus = Literal["present", "absent", "not_checked", "not_listed"]
LEDGER_STATUSES: tuple[LedgerStatus, ...] = ("present", "absent", "not_checked", "not_listed")


@dataclass(frozen=True)
class LedgerKey:
    """The answer of the recorded tokens under one epoch of one key; log10_p is corrected for the number of keys."""

    key_id: str
    epoch: int
    status: Literal["present", "absent", "not_checked"]
    log10_p: float | None
    log10_e: float | None


@dataclass(frozen=True)
class LedgerReading:
    """Whether the ledger lists the file, and whether the tokens that it recorded carry the mark of a key."""

    kind: Literal["token_ledger"]
    status: LedgerStatus
    """`not_listed`: no line has the file's hash. Else as of a token mark."""
    reason: str | None
    ledger_sha256: str
    """Of the manifest's bytes."""
    line: int | None
    """Of the manifest, from 1; the first that has the file's hash."""
    clip_id: str | None
    model: str | None
    """What made the clip, as the ledger says."""
    tokens: int | None
    """How many the ledger keeps."""
    log10_alpha: float
    log10_p: float | None
    """Certified: over random keys, tokens that were not sampled with the key give such evidence this rarely."""
    keys: tuple[LedgerKey, ...]
    table_sha256: str
