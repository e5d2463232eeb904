"""From a recoverer's cells to rows, one per place where a token could begin.

A recoverer may look faster than 25 times per second, because the sound does not say where its tokens begin. Row i
is the mean of the cells that a token beginning with cell i would cover, so every hypothesis about the token grid
is a choice of rows. Nothing here knows a key: what the rows say is fixed before any key is tried.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.rates import TOKEN_RATE_HZ
from ...core.records import Float32Array, Int32Array, Posteriors, Segment
from ..table import MarkTable

if TYPE_CHECKING:
    from scipy.sparse import csr_array

MIN_WEIGHT = 0.01
"""Codes with less posterior than this are left in `rest`: they carry next to no evidence and cost time."""


@dataclass(frozen=True, eq=False)
class TokenRows:
    """What the recoverer thinks of each possible token: row i for the token that begins with cell i.

    Each row of `weights` and `rest` sum to 1, whatever the recoverer said.
    """

    weights: "csr_array" = field(repr=False)
    """float32 (n, codebook): posterior of each code; empty where the sound is not speech."""
    rest: Float32Array = field(repr=False)
    """float32 (n,): what is left for all other codes."""
    mixture: Int32Array = field(repr=False)
    """int32 (n,): which of the table's mixtures holds."""
    top: Float32Array = field(repr=False)
    """float32 (n,): the largest weight of the row."""
    rate_hz: int
    """Cells, and so rows, per second."""
    speed: float
    """The sound was taken to have been played this many times too fast, and slowed down before."""

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.rest)

    @property
    def cells_per_token(self) -> int:
        """Rows from one token to the next, at rate 1."""
        return self.rate_hz // TOKEN_RATE_HZ

    @property
    def active(self) -> npt.NDArray[np.bool_]:
        """Bool (n,): rows that can carry evidence."""
        return self.rest < 1

    def at(self, rows: slice | npt.NDArray[np.integer]) -> "TokenRows":
        """Some of the rows, as if they were all."""
        return replace(
            self, weights=self.weights[rows], rest=self.rest[rows], mixture=self.mixture[rows], top=self.top[rows]
        )


def token_rows(
    posteriors: Posteriors, table: MarkTable, *, speed: float = 1.0, speech: Sequence[Segment] | None = None
) -> TokenRows:
    """Pool cells into rows; there is none when the sound is shorter than a token.

    `speech`, in seconds of the sound as given, limits the rows that carry evidence (None: all do). Numbers that are
    no probabilities (NaN, negative, ids outside the codebook, sums above 1) are put right, since the test's
    guarantee needs rows that sum to 1. Raises `ValueError` when `rate_hz` is no multiple of 25.
    """
    cells_per_token, odd = divmod(posteriors.rate_hz, TOKEN_RATE_HZ)
    if odd or cells_per_token < 1:
        raise ValueError(f"{posteriors.rate_hz} rows per second is not a whole multiple of {TOKEN_RATE_HZ}")
    n = max(0, len(posteriors.ids) - cells_per_token + 1)
    cells = _cells(posteriors, table.codebook_size)
    pooled = sum((cells[shift : shift + n] for shift in range(1, cells_per_token)), start=cells[:n]) / cells_per_token
    pooled.data[
        (pooled.data < MIN_WEIGHT) | ~np.repeat(_in_speech(n, posteriors, speed, speech), np.diff(pooled.indptr))
    ] = 0
    pooled.eliminate_zeros()
    weights = pooled.astype(np.float32)
    return TokenRows(
        weights,
        (1.0 - weights.sum(axis=1, dtype=np.float64)).clip(0, 1).astype(np.float32),
        table.mixture_index(_pooled_surprisal(posteriors, n, cells_per_token), n),
        weights.max(axis=1).toarray().reshape(n) if n else np.zeros(0, np.float32),
        posteriors.rate_hz,
        speed,
    )


def _cells(posteriors: Posteriors, codebook_size: int) -> Any:
    """The posteriors as float64 csr (n, codebook): finite, not negative, rows sum to at most 1."""
    from scipy.sparse import csr_array

    ids = np.asarray(posteriors.ids, np.int64)
    known = (ids >= 0) & (ids < codebook_size)
    probs = np.nan_to_num(np.asarray(posteriors.probs, np.float64), posinf=0.0).clip(0, 1) * known
    probs /= probs.sum(axis=1, keepdims=True).clip(min=1)
    n, k = ids.shape
    cells = csr_array((probs.ravel(), np.where(known, ids, 0).ravel(), np.arange(n + 1) * k), shape=(n, codebook_size))
    cells.sum_duplicates()
    return cells


def _in_speech(n: int, posteriors: Posteriors, speed: float, speech: Sequence[Segment] | None) -> npt.NDArray[np.bool_]:
    if speech is None:
        return np.ones(n, np.bool_)
    centre_s = (np.arange(n) / posteriors.rate_hz + 0.5 / TOKEN_RATE_HZ) / speed
    inside = np.zeros(n, np.bool_)
    for segment in speech:
        inside |= (centre_s >= segment.start_s) & (centre_s < segment.end_s)
    return inside


def _pooled_surprisal(posteriors: Posteriors, n: int, cells_per_token: int) -> Float32Array | None:
    if posteriors.surprisal is None:
        return None
    cells = np.asarray(posteriors.surprisal, np.float32)
    pooled: Float32Array = np.mean([cells[shift : shift + n] for shift in range(cells_per_token)], axis=0)
    return pooled
