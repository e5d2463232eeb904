"""All that a mark could be: which speed, token rate, phase, start slot and stretch; each with its prior weight.

The weights are fixed by the sound's length before any key is tried and sum to 1, which makes the weighted mean of
the evidence of all hypotheses an e-value, and the search over them free of any further correction.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

RATE_REACH = {1.0: 0.08, 0.95: 0.03, 1.05: 0.03}
"""Token rates within 1 ± this are searched under each speed; the rate undoes tempo and what the speed leaves."""
CHUNK = 4
"""Tokens per chunk: stretches begin and end with chunks (0.16 s)."""
MAX_BLOCK_TOKENS = 1625
"""Longer sound is tested in blocks of this many tokens (65 s: a minute at 5 % too fast is still one) …"""
OVERLAP_TOKENS = 500
"""… that overlap by at least this many, for a mark that lies across an end."""
COHERENT_TOKENS = 250
"""The coarse search looks at no more tokens at once, so its rates need be no finer than one in so many."""
_SHORTEST_CHUNKS = 6
_LENGTHS_PER_OCTAVE = 3


@dataclass(frozen=True)
class Layer:
    """A hypothesis about the token grid: token t of a block is row `phase + rate · cells_per_token · t`, rounded."""

    speed: float
    step: int
    """Of the rate grid; 0 is rate 1."""
    rate: float
    phase: int
    log_weight: float
    """log of the layer's prior weight; its start slots, blocks and stretches share it."""

    def rows(self, n_rows: int, cells_per_token: int) -> IntArray:
        """The rows of tokens 0, 1, … that lie within `n_rows` rows."""
        return _token_rows(self.phase, self.rate * cells_per_token, n_rows)


@dataclass(frozen=True)
class Grid:
    """The layers for sound of one length."""

    cells_per_token: int
    fine_step: float
    """Between token rates."""
    coarse_every: int
    """The coarse search takes every so-manieth rate."""

    def steps(self, speed: float) -> range:
        """The rate grid of a speed, 0 for rate 1."""
        reach = round(RATE_REACH[speed] / self.fine_step)
        return range(-reach, reach + 1)

    @property
    def n_layers(self) -> int:
        """How many layers there are, of all speeds."""
        return self.cells_per_token * sum(len(self.steps(speed)) for speed in RATE_REACH)

    def layer(self, speed: float, step: int, phase: int) -> Layer:
        """One layer. Half of the weight goes to speed 1 and rate 1, the rest is spread evenly."""
        if speed == 1.0 and step == 0:
            weight = 0.5 / self.cells_per_token
        else:
            weight = 0.5 / (self.n_layers - self.cells_per_token)
        return Layer(speed, step, 1 + step * self.fine_step, phase, math.log(weight))


@lru_cache(4096)
def _token_rows(phase: int, spacing: float, n_rows: int) -> IntArray:
    """`Layer.rows`, kept: a search asks for the same few hundred again and again."""
    n_tokens = max(0, math.floor((n_rows - 0.5 - phase) / spacing) + 1)
    rows: IntArray = np.floor(phase + spacing * np.arange(n_tokens) + 0.5).astype(np.int64)
    rows = rows[: int(np.searchsorted(rows, n_rows))]
    rows.setflags(write=False)
    return rows


def grid_for(n_tokens: int, cells_per_token: int) -> Grid:
    """The grid for blocks of `n_tokens`: over the whole block a rate is never off by more than half a token."""
    coherent = min(max(n_tokens, 100), COHERENT_TOKENS)
    coarse_every = max(1, math.ceil(n_tokens / coherent))
    return Grid(cells_per_token, 1 / coherent / coarse_every, coarse_every)


def most_tokens(n_rows: int, cells_per_token: int) -> int:
    """Tokens that the slowest rate finds in so many rows."""
    return math.ceil(n_rows / cells_per_token / (1 - max(RATE_REACH.values()))) + 1


def blocks(n_rows: int, cells_per_token: int, n_slots: int) -> list[slice]:
    """Even, overlapping blocks of rows, so short that no path through one meets a slot twice."""
    longest = min(
        MAX_BLOCK_TOKENS * cells_per_token, int((n_slots - 2) * (1 - max(RATE_REACH.values())) * cells_per_token)
    )
    longest = max(1, longest)
    if n_rows <= longest:
        return [slice(0, n_rows)]
    hop = longest - min(OVERLAP_TOKENS * cells_per_token, longest // 2)
    count = 1 + math.ceil((n_rows - longest) / hop)
    starts = np.linspace(0, n_rows - longest, count).round().astype(int)
    return [slice(int(start), int(start) + longest) for start in starts]


@dataclass(frozen=True, eq=False)
class Stretches:
    """Runs of chunks that may be marked while the rest is not: the whole, and a grid of lengths and places."""

    start: IntArray
    end: IntArray
    """Chunks, `end` exclusive."""
    log_weight: Float64Array
    """Prior weights; they sum to 1."""

    def __len__(self) -> int:
        """Number of stretches."""
        return len(self.start)


@lru_cache(64)
def stretches(n_chunks: int) -> Stretches:
    """Half of the weight for the whole; else any length is as likely in log scale, and any place."""
    lengths, length = [], float(_SHORTEST_CHUNKS)
    while round(length) < n_chunks:
        lengths.append(round(length))
        length *= 2 ** (1 / _LENGTHS_PER_OCTAVE)
    start, end = [np.zeros(1, np.int64)], [np.array([n_chunks])]
    weight = [np.array([0.5 if lengths else 1.0])]
    for length_chunks in lengths:
        places = np.arange(0, n_chunks - length_chunks + 1, max(1, length_chunks // 8))
        start.append(places)
        end.append(places + length_chunks)
        weight.append(np.full(len(places), 0.5 / len(lengths) / len(places)))
    return Stretches(np.concatenate(start), np.concatenate(end), np.log(np.concatenate(weight)))
