"""The test of presence: is this sound marked under this key, where, and with what certainty."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...core.rates import TOKEN_RATE_HZ
from ...core.records import Posteriors, Segment
from ..table import MarkTable
from .context import ContextValues, context_layers, context_values
from .evalue import LayerEvidence, total_log_e
from .hypotheses import RATE_REACH, Grid, blocks, grid_for
from .keytables import KeyTables, prepare_key
from .path import Path, SlotValues, trace
from .reading import BestHypothesis, MarkReading
from .rows import TokenRows, token_rows
from .search import BlockSearch, drifts, open_block, search_rates
from .spans import MarkSpan, find_spans, likely_span

PosteriorSource = Mapping[float, Posteriors] | Callable[[float], Posteriors]
"""Posteriors by speed hypothesis (1.0, 0.95, 1.05): all at hand, or asked for when they are needed."""

CONCLUSIVE = 0.01
"""No further speeds and rates are searched once p is below this times alpha."""
_WORTH_MEASURING = math.log(10.0)
"""Evidence of a hypothesis, after its weight, from which on its rate says something about the sound."""


@dataclass(frozen=True)
class PresenceTest:
    """The test of one table's marks. Raises `ValueError` unless 0 < alpha < 1.

    The e-value E is the mean of the evidence Π m_t over speeds, token rates, phases, start slots and stretches, with
    weights that sum to 1 (`hypotheses.py`). For sound that does not depend on the key its mean over keys is at
    most 1, so P(E >= 1/a) <= a (Markov): p = 1/E is certified for any sound and any recoverer.
    """

    table: MarkTable
    alpha: float = 1e-6

    def __post_init__(self) -> None:
        """Check alpha."""
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha is {self.alpha}; it must lie between 0 and 1")

    def prepare(self, subkeys: Mapping[str, bytes], *, payload: bool = False) -> KeyTables:
        """Expand a key, given as `MarkTable.subkeys`, for any number of files.

        `payload`: half of the slots carry a payload and are left out. Raises `ValueError` when a subkey is missing.
        """
        return prepare_key(self.table, subkeys, payload=payload)

    def test(
        self, posteriors: PosteriorSource, tables: KeyTables, speech: Sequence[Segment] | None = None
    ) -> MarkReading:
        """Read the mark of `tables`' key; `speech` limits where it is looked for (None: everywhere).

        Never raises on what a recoverer may say. Raises `ValueError` for tables of another mark table, `KeyError`
        where a mapping lacks speed 1.0; other speeds may be missing, which only costs power.
        """
        if tables.table.sha256 != self.table.sha256:
            raise ValueError("the key was prepared for another mark table")
        search = _Search(self, posteriors, tables, speech)
        rows = search.add_speed(1.0)
        if rows is None or not len(rows):
            return MarkReading("not_checked", "too_short")
        if not rows.active.any():
            return MarkReading("not_checked", "no_speech")
        search.look_at_speed_one()
        conclusive = -math.log(self.alpha * CONCLUSIVE)
        if search.drifts or search.log_e < conclusive:
            search.look_at_rates(1.0)
        for speed in RATE_REACH:
            if speed != 1.0 and search.log_e < conclusive:
                search.look_at_rates(speed)
        return search.reading()


@dataclass
class _Search:
    """One sound under one key: what has been looked at so far."""

    test: PresenceTest
    source: PosteriorSource
    tables: KeyTables
    speech: Sequence[Segment] | None
    rows: dict[float, TokenRows] = field(default_factory=dict)
    evidence: list[LayerEvidence] = field(default_factory=list)
    contexts: dict[float, ContextValues] = field(default_factory=dict)
    opened: BlockSearch | None = None
    drifts: bool = False
    """Something at rate 1 is certain, but goes on at a rate beside it."""

    @property
    def log_e(self) -> float:
        return total_log_e(self.evidence)

    @property
    def grid(self) -> Grid:
        """Fixed by the length of the sound at speed 1."""
        first = self.rows[1.0]
        longest = max(block.stop - block.start for block in self.blocks(first))
        return grid_for(math.ceil(longest / first.cells_per_token), first.cells_per_token)

    def blocks(self, rows: TokenRows) -> list[slice]:
        by_slot = self.tables.table.seeding == "slot"
        return blocks(len(rows), rows.cells_per_token, self.tables.table.n_slots if by_slot else 1 << 24)

    def add_speed(self, speed: float) -> TokenRows | None:
        """The rows under a speed hypothesis; None where there are none."""
        if isinstance(self.source, Mapping):
            if speed not in self.source and speed != 1.0:
                return None
            posteriors = self.source[speed]
        else:
            posteriors = self.source(speed)
        rows = token_rows(posteriors, self.test.table, speed=speed, speech=self.speech)
        self.rows[speed] = rows
        return rows if len(rows) else None

    def look_at_speed_one(self) -> None:
        rows, grid = self.rows[1.0], self.grid
        if self.tables.table.seeding == "context1":
            self._look_at_contexts(1.0, range(1))
            self.drifts = True  # without start slots, a second at a rate far from 1 may be certain at rate 1
            return
        spans = self.blocks(rows)
        for block in spans:
            opened = self._open(rows, block, len(spans))
            phases = min(grid.cells_per_token, block.stop - block.start)
            found = [opened.everywhere(grid.layer(1.0, 0, phase)) for phase in range(phases)]
            self.evidence += found
            best = max(found, key=lambda each: float(each.log_e_each.max()))
            self.drifts |= best.log_e_each.max() >= -math.log(self.test.alpha) and drifts(opened, best)

    def look_at_rates(self, speed: float) -> None:
        rows = self.rows[speed] if speed in self.rows else self.add_speed(speed)
        if rows is None:
            return
        if self.tables.table.seeding == "context1":
            steps = self.grid.steps(speed)
            around = (steps,) if speed != 1.0 else (range(steps.start, 0), range(1, steps.stop))
            for part in around:
                self._look_at_contexts(speed, part)
            return
        spans = self.blocks(rows)
        for block in spans:
            self.evidence += search_rates(self._open(rows, block, len(spans)), speed)

    def _open(self, rows: TokenRows, block: slice, n_blocks: int) -> BlockSearch:
        """The last block opened is kept: sound of one block is then opened once per speed."""
        if self.opened is None or self.opened.rows.speed != rows.speed or self.opened.block != block:
            self.opened = None  # before the next is made: they are large
            self.opened = open_block(rows, block, self.tables, self.grid, n_blocks)
        return self.opened

    def _look_at_contexts(self, speed: float, steps: range) -> None:
        rows = self.rows[speed]
        if speed not in self.contexts:
            self.contexts[speed] = context_values(rows, self.tables)
        spans = self.blocks(rows)
        for block in spans:
            self.evidence += context_layers(rows, block, self.contexts[speed], self.grid, steps, len(spans))

    def trace(self, evidence: LayerEvidence, stretch: int) -> Path:
        speed = evidence.layer.speed
        by_slot = self.tables.table.seeding == "slot"
        values = SlotValues(self.tables) if by_slot else self.contexts[speed]
        return trace(evidence, stretch, self.rows[speed], self.tables, values)

    def reading(self) -> MarkReading:
        """All that the evidence so far says."""
        log10_e = self.log_e / math.log(10)
        log10_p = min(0.0, -log10_e)
        present = log10_p <= math.log10(self.test.alpha)
        best = max(self.evidence, key=lambda each: float(each.log_e_each.max()))
        path = self.trace(best, best.best)
        first = self.rows[1.0]
        return MarkReading(
            "present" if present else "absent",
            None,
            log10_p,
            log10_e,
            path.log10_p_sharp(best.best, self.test.table),
            float(np.count_nonzero(first.active)) / first.rate_hz,
            None if present else self._seconds_needed(path, best.best),
            self._spans(path, best.best) if present else (),
            BestHypothesis(path.layer.speed, path.layer.rate, float(path.seconds[0]), path.start_slot),
            sum(len(each.stretches) * each.n_starts for each in self.evidence),
        )

    def _spans(self, path: Path, stretch: int) -> tuple[MarkSpan, ...]:
        n_slots = self.tables.table.n_slots
        certain = find_spans(self.evidence, self.trace, self.test.alpha, n_slots)
        return certain or (likely_span(path, stretch, n_slots),)

    def _seconds_needed(self, path: Path, stretch: int) -> float | None:
        """Marked speech needed at this sound's rate of evidence where it shows any, else at the table's."""
        tokens = path.tokens(stretch)
        nats_per_token = self.test.table.nominal_bits_per_frame * math.log(2)
        if path.log_e_each[stretch] >= _WORTH_MEASURING:
            nats_per_token = float(path.log_m[tokens].mean())
        if nats_per_token <= 0:
            return None
        # what a whole file at speed 1 has to overcome: phases, start slots, stretches and tilts
        search_nats = math.log(self.tables.table.n_slots * 8 * self.grid.cells_per_token)
        return (search_nats - math.log(self.test.alpha)) / nats_per_token / TOKEN_RATE_HZ
