"""Verification from a generation ledger: the tokens that were recorded when a clip was made, not its sound.

The recorded token stands in each row with probability 1, at the token grid itself, and the same test of presence
gives its certified p-value (docs/decisions/010: it holds for any posteriors that do not depend on the key).
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..core.cliprecord import ClipRecord, read_clip_line
from ..core.errors import IntegrityError, KeyMissing, UsageError
from ..core.keys import SecretKey
from ..core.ledgerrecord import LedgerKey, LedgerReading
from ..core.rates import TOKEN_RATE_HZ
from ..core.records import Posteriors
from ..watermark.evidence.keytables import KeyTables, prepare_key
from ..watermark.evidence.presence import PresenceTest
from ..watermark.table import MarkTable, Mixture
from .clip_folder import MAX_LINE_BYTES
from .mark_evidence import DEFAULT_ALPHA, corrected, kept_key_tables


@dataclass(frozen=True)
class LedgerLine:
    """A clip of the ledger, and the number of its line from 1."""

    number: int
    record: ClipRecord


@dataclass(frozen=True)
class Ledger:
    """The clips of a manifest by the hash of their bytes, and the hash of the manifest."""

    sha256: str
    by_sha256: dict[str, LedgerLine]


def read_ledger(path: Path) -> Ledger:
    """Read a manifest. Raises `UsageError` when it cannot be read, `IntegrityError` for a line that is damaged."""
    digest = hashlib.sha256()
    lines: dict[str, LedgerLine] = {}
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), start=1):
                digest.update(line)
                record = _record_of(path, number, line)
                if record.sha256 is not None:
                    lines.setdefault(record.sha256, LedgerLine(number, record))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read as a ledger ({error.strerror}); give a manifest.jsonl") from error
    if not lines:
        raise UsageError(f"{path}: lists no clip; give the manifest.jsonl of a generated dataset")
    return Ledger(digest.hexdigest(), lines)


class LedgerChecker:
    """Looks a file up by its hash and tests the tokens recorded for it under several keys.

    `alpha` is shared out over the keys, as by `MarkChecker`. One serves all threads: nothing changes between calls.
    """

    def __init__(
        self,
        ledger: Ledger,
        table: MarkTable,
        keys: Sequence[SecretKey],
        *,
        alpha: float = DEFAULT_ALPHA,
    ) -> None:
        """`table` is that of the model which made the clips. Raises `KeyMissing` without a key."""
        if not keys:
            raise KeyMissing("there is no key to look for marks with; make one with `covoguard keys new`")
        self._ledger = ledger
        self._table = table
        self._alpha = alpha
        self._keys = tuple(keys)
        # recorded tokens come without their surprisal, so its classes are averaged; any mixture is a density
        self._scored = replace(table, mixtures=(averaged(table.mixtures),), surprisal_edges_bits=())
        self._test = PresenceTest(self._scored, alpha / len(keys))
        self._key_tables = lru_cache(kept_key_tables(table))(self._prepared)

    def check(self, file_sha256: str) -> LedgerReading:
        """What the ledger says of the file with this hash."""
        blank = LedgerReading(
            kind="token_ledger", status="not_listed", reason=None, ledger_sha256=self._ledger.sha256, line=None,
            clip_id=None, model=None, tokens=None, log10_alpha=math.log10(self._alpha), log10_p=None, keys=(),
            table_sha256=self._table.sha256,
        )  # fmt: skip
        listed = self._ledger.by_sha256.get(file_sha256)
        if listed is None:
            return blank
        record = listed.record
        found = replace(
            blank,
            status="not_checked",
            line=listed.number,
            clip_id=record.clip_id,
            model=record.model_id,
            tokens=None if record.tokens is None else len(record.tokens),
        )
        if not record.tokens:
            return replace(found, reason="no_tokens")
        if _is_of_another_table(record, self._table):
            return replace(found, reason="other_mark_table")
        has_payload = record.mark is not None and record.mark.payload is not None
        return self._tested(found, recorded_posteriors(record.tokens), has_payload)

    def _prepared(self, index: int, payload: bool) -> KeyTables:
        return prepare_key(self._scored, self._table.subkeys(self._keys[index]), payload=payload)

    def _tested(self, found: LedgerReading, posteriors: Posteriors, has_payload: bool) -> LedgerReading:
        readings = []
        for index, key in enumerate(self._keys):
            reading = self._test.test({1.0: posteriors}, self._key_tables(index, has_payload))
            log10_p = None if reading.log10_p is None else corrected(reading.log10_p, len(self._keys))
            readings.append(LedgerKey(key.key_id, key.epoch, reading.status, log10_p, reading.log10_e))
        return replace(
            found,
            status="present" if any(each.status == "present" for each in readings) else "absent",
            log10_p=min((each.log10_p for each in readings if each.log10_p is not None), default=None),
            keys=tuple(readings),
        )


def recorded_posteriors(tokens: Sequence[int]) -> Posteriors:
    """One row per token, in which it has probability 1 and all others none."""
    ids = np.asarray(tokens, np.int64).clip(-1, 2**31 - 1).astype(np.int32)
    ones = np.ones((len(ids), 1), np.float32)
    return Posteriors(ids[:, None], ones, np.zeros(len(ids), np.float32), TOKEN_RATE_HZ)


def averaged(mixtures: Sequence[Mixture]) -> Mixture:
    """The mean of several mixtures, itself one."""
    weights: dict[float, float] = {}
    for mixture in mixtures:
        for weight, exponent in mixture:
            weights[exponent] = weights.get(exponent, 0.0) + weight / len(mixtures)
    total = math.fsum(weights.values())
    return tuple((weight / total, exponent) for exponent, weight in sorted(weights.items()))


def _is_of_another_table(record: ClipRecord, table: MarkTable) -> bool:
    """By the hash where a mark was put on; else by the model, as its table names it."""
    if record.mark is not None:
        return record.mark.table_sha256 != table.sha256
    return record.model_id != table.model


def _record_of(path: Path, number: int, line: bytes) -> ClipRecord:
    try:
        return read_clip_line(line)
    except ValueError as error:
        raise IntegrityError(
            f"{path}, line {number}: damaged ({error}); a ledger that was changed proves nothing: restore it"
        ) from error
