"""The search over speeds and token rates: coarse over everything, then exact near what stood out.

The search may look at the key as much as it likes: it only decides which hypotheses are evaluated, and those left
out count as 0 in the e-value.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...core.records import Float32Array
from .evalue import LayerEvidence, chunk_starts, layer_evidence, sum_at_starts, sum_over_slots
from .hypotheses import CHUNK, Grid, IntArray, Layer, most_tokens
from .keytables import KeyTables, log_evidence
from .rows import TokenRows
from .tails import Float64Array, tilted_bounds

WINDOW_CHUNKS = 16
"""The coarse search adds chunks in windows of 64 tokens, and looks at runs of these."""
RUNS = (1, 2, 4)
"""Windows per run: 2.6, 5.1 and 10.2 s."""
KEPT = 16
"""Candidates of the coarse search that are looked at closely, per block and speed."""
NEAR_ONE = 0.02
"""Rates this near to 1 still show at rate 1, in stretches of seconds."""
MIN_GAIN_NATS = 12.0
"""Evidence that a rate beside 1 must add before it is looked for: more than its smaller weight costs."""
REFINED = 6
"""Hypotheses evaluated in full, per block and speed."""


@dataclass(frozen=True, eq=False)
class BlockSearch:
    """One block of one speed under one key."""

    rows: TokenRows
    block: slice
    tables: KeyTables
    grid: Grid
    n_blocks: int
    log_m: Float32Array
    """float32 (n_rows, n_slots + tokens): as `log_evidence`."""
    bounds: Float64Array
    """float64 (n_rows, tilts)."""

    @property
    def n_slots(self) -> int:
        """Slots of the table."""
        return self.tables.table.n_slots

    def path(self, layer: Layer) -> IntArray:
        """The rows, within the block, of the layer's tokens."""
        return layer.rows(len(self.log_m), self.grid.cells_per_token)

    def log_prior(self, layer: Layer) -> float:
        """Log of the weight of one start slot of the layer in this block."""
        return layer.log_weight - math.log(self.n_slots) - math.log(self.n_blocks)

    def everywhere(self, layer: Layer) -> LayerEvidence:
        """The layer at every start slot."""
        path = self.path(layer)
        return self._evidence(
            layer, sum_over_slots(self.log_m, path, self.n_slots), np.arange(self.n_slots, dtype=np.int64)
        )

    def at(self, layer: Layer, starts: IntArray) -> LayerEvidence:
        """The layer at some start slots."""
        return self._evidence(layer, sum_at_starts(self.log_m, self.path(layer), starts, self.n_slots), starts)

    def _evidence(self, layer: Layer, sums: Float32Array, starts: IntArray) -> LayerEvidence:
        path = self.path(layer)
        bounds = np.add.reduceat(self.bounds[path], chunk_starts(len(path)), axis=0)
        return layer_evidence(layer, self.block, sums, starts, bounds, self.log_prior(layer))


def open_block(rows: TokenRows, block: slice, tables: KeyTables, grid: Grid, n_blocks: int) -> BlockSearch:
    """Evaluate every row of the block at every slot."""
    part = rows.at(block)
    n_more = min(most_tokens(len(part), grid.cells_per_token), tables.table.n_slots)
    return BlockSearch(
        part,
        block,
        tables,
        grid,
        n_blocks,
        log_evidence(part, tables, n_more),
        tilted_bounds(part, tables.table, all_scored=tables.all_scored),
    )


@dataclass(frozen=True)
class _Candidate:
    """A line that stood out: token `token` of `layer` at slot `slot`."""

    total: float
    layer: Layer
    token: int
    slot: int


def search_rates(search: BlockSearch, speed: float) -> list[LayerEvidence]:
    """Evidence of the layers of `speed` other than rate 1 of speed 1, near the best lines found."""
    candidates = sorted(_coarse(search, speed), key=lambda each: -each.total)[:KEPT]
    found: dict[tuple[Layer, int], float] = {}
    for candidate in candidates:
        found.update(_nearby(search, candidate, search.grid.coarse_every))
    chosen: dict[Layer, set[int]] = {}
    for layer, start in sorted(found, key=lambda each: -found[each])[:REFINED]:
        chosen.setdefault(layer, set()).update({(start - 1) % search.n_slots, start, (start + 1) % search.n_slots})
    return [search.at(layer, np.array(sorted(starts))) for layer, starts in chosen.items()]


def drifts(search: BlockSearch, found: LayerEvidence) -> bool:
    """Whether the best path of rate 1 is part of a longer one at a rate nearby, so that the rates need a search."""
    stretch = found.best
    start, end = int(found.stretches.start[stretch]) * CHUNK, int(found.stretches.end[stretch]) * CHUNK
    middle = min((start + end) // 2, len(search.path(found.layer)) - 1)
    here = _Candidate(0.0, found.layer, middle, int(found.start_slots[stretch]) + middle)
    reach = round(NEAR_ONE / search.grid.fine_step)
    own = _best_run(_values(search, found.layer, int(found.start_slots[stretch])))
    return max(_nearby(search, here, reach).values(), default=0.0) > own + MIN_GAIN_NATS


def _layers(search: BlockSearch, speed: float, steps: Iterable[int]) -> list[Layer]:
    phases = range(search.grid.cells_per_token)
    allowed = search.grid.steps(speed)
    return [
        search.grid.layer(speed, step, phase)
        for step in steps
        for phase in phases
        if step in allowed and (speed != 1.0 or step)
    ]


def _coarse(search: BlockSearch, speed: float) -> list[_Candidate]:
    """The best line of every coarse layer and run of windows."""
    steps = search.grid.steps(speed)
    every = search.grid.coarse_every
    reach = steps.stop // every * every
    chunks = _chunk_lines(search)
    if not len(chunks):
        return []
    candidates: list[_Candidate] = []
    for layer in _layers(search, speed, range(-reach, reach + 1, every)):
        windows = _window_sums(search, layer, chunks)
        for run in RUNS:
            if run > 1 and run > len(windows):
                break
            candidates += _best_of_runs(layer, windows, run)
    return candidates


def _chunk_lines(search: BlockSearch) -> Float32Array:
    """Evidence of CHUNK tokens in a row, beginning at each row and slot, at rate 1 (near enough within a chunk)."""
    cells, log_m = search.grid.cells_per_token, search.log_m
    if len(log_m) <= (CHUNK - 1) * cells:
        return log_m[:0]
    pairs = log_m[:-cells, :-1] + log_m[cells:, 1:]
    # in place, row by row: memory that is new costs more than the sums
    fours = len(log_m) - (CHUNK - 1) * cells
    for row in range(fours):
        pairs[row, :-2] += pairs[row + 2 * cells, 2:]
    return pairs[:fours, :-2]


def _window_sums(search: BlockSearch, layer: Layer, chunks: Float32Array) -> Float32Array:
    path = search.path(layer)
    starts = chunk_starts(len(path))
    # centred: the chunk's own rate is 1, so it begins where its middle fits
    drift = (layer.rate - 1) * search.grid.cells_per_token * (CHUNK - 1) / 2
    at_rows = np.round(path[starts] + drift).astype(np.int64).clip(0, len(chunks) - 1)
    sums = np.zeros((-(-len(starts) // WINDOW_CHUNKS), search.n_slots), np.float32)
    n_slots = search.n_slots
    for index, (token, row) in enumerate(zip(starts.tolist(), at_rows.tolist(), strict=True)):
        if token + n_slots <= chunks.shape[1]:
            sums[index // WINDOW_CHUNKS] += chunks[row, token : token + n_slots]
    return sums


def _best_of_runs(layer: Layer, windows: Float32Array, run: int) -> list[_Candidate]:
    count = len(windows) - run + 1
    totals = windows[:count].copy()
    for later in range(1, run):
        totals += windows[later : later + count]
    slots = totals.argmax(axis=1)
    middle = WINDOW_CHUNKS * CHUNK * run // 2
    return [
        _Candidate(
            float(totals[index, slot]),
            layer,
            index * WINDOW_CHUNKS * CHUNK + middle,
            int(slot) + middle + index * WINDOW_CHUNKS * CHUNK,
        )
        for index, slot in enumerate(slots.tolist())
    ]


def _nearby(search: BlockSearch, candidate: _Candidate, reach: int) -> dict[tuple[Layer, int], float]:
    """Rates up to `reach` steps away, and phases, through the same token and slot, each with its best run of tokens."""
    grid = search.grid
    layers = _layers(
        search,
        candidate.layer.speed,
        range(candidate.layer.step - reach, candidate.layer.step + reach + 1),
    )
    row = candidate.layer.phase + candidate.layer.rate * grid.cells_per_token * candidate.token
    result = {}
    for layer in layers:
        token = round((row - layer.phase) / (layer.rate * grid.cells_per_token))
        start = (candidate.slot - token) % search.n_slots
        result[layer, start] = _best_run(_values(search, layer, start))
    return result


def _values(search: BlockSearch, layer: Layer, start: int) -> Float32Array:
    path = search.path(layer)
    return search.log_m[path, (np.arange(len(path)) + start) % search.n_slots]


def _best_run(values: npt.NDArray[np.floating]) -> float:
    """The largest sum of any run (Kadane's algorithm)."""
    until = np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))
    return float((until - np.minimum.accumulate(until)).max())
