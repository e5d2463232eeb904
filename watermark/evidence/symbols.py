"""Scores for reading a payload, taken along spans where presence is certain; `watermark/payload.py` decodes them."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ...core.records import Posteriors
from ..payload import N_SYMBOLS, SYMBOL_VALUES, payload_plan
from ..stream import payload_stream
from .keytables import KeyTables, expand_streams, path_evidence
from .rows import TokenRows, token_rows
from .spans import MarkSpan
from .tails import Float64Array


def symbol_scores(posteriors: Posteriors, spans: Iterable[MarkSpan], tables: KeyTables, speed: float) -> Float64Array:
    """Log evidence of each value at each symbol of the payload, natural log, float64 (12, 64).

    The sum over the spans' payload slots of log m under the value's own stream. `posteriors` are those under
    `speed`; spans found under another speed are left out. Raises `ValueError` where the table has no slots.
    """
    table = tables.table
    if table.seeding != "slot":
        raise ValueError(f"a payload needs seeding 'slot'; the table has {table.seeding!r}")
    plan = payload_plan(tables.subkeys["payload"], table.n_slots)
    rows = token_rows(posteriors, table, speed=speed)
    scores = np.zeros((N_SYMBOLS, SYMBOL_VALUES))
    for span in spans:
        if span.speed != speed:
            continue
        numbers = _rows_of(span, rows)
        slots = (span.start_slot + np.arange(len(numbers))) % table.n_slots
        for number, slot in zip(numbers.tolist(), slots.tolist(), strict=True):
            if plan[slot] >= 0:
                scores[plan[slot]] += _value_evidence(rows.at(slice(number, number + 1)), slot, tables)
    return scores


def _rows_of(span: MarkSpan, rows: TokenRows) -> npt.NDArray[np.int64]:
    """The row of each token of a span."""
    spacing = span.rate * rows.cells_per_token
    first, last = (round(second * span.speed * rows.rate_hz) for second in (span.start_s, span.end_s))
    numbers: npt.NDArray[np.int64] = np.floor(
        first + spacing * np.arange(round((last - first) / spacing)) + 0.5
    ).astype(np.int64)
    return numbers[: int(np.searchsorted(numbers, len(rows)))]


def _value_evidence(row: TokenRows, slot: int, tables: KeyTables) -> Float64Array:
    """Log m of one row under the stream of each value, float64 (64,)."""
    streams = [payload_stream(slot, value) for value in range(SYMBOL_VALUES)]
    repeated = row.at(np.zeros(SYMBOL_VALUES, np.int64))
    return path_evidence(repeated, expand_streams(tables, streams), np.arange(SYMBOL_VALUES))
