"""The evidence of one layer of hypotheses: all its start slots and stretches, averaged with their weights."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ...core.records import Float32Array
from .hypotheses import CHUNK, Layer, Stretches, stretches
from .tails import TILT_LOG_WEIGHTS, log_e_values

Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LayerEvidence:
    """One layer in one block. Each stretch stands for the best of its start slots."""

    layer: Layer
    block: slice
    """The rows that the block takes of the sound."""
    log_prior: float
    """log of the weight of one start slot."""
    n_starts: int
    """Start slots evaluated."""
    log_e: float
    """log of this layer's share in the e-value of the block: Σ weight · evidence over all that was evaluated."""
    stretches: Stretches = field(repr=False)
    start_slots: IntArray = field(repr=False)
    """int64 (n_stretches,): the start slot, of the block's token 0, with the most evidence."""
    log_e_each: Float64Array = field(repr=False)
    """float64 (n_stretches,): log of weight times e-value of the stretch at that slot; certain from log 1/alpha on."""

    @property
    def best(self) -> int:
        """The stretch with the most evidence for its weight."""
        return int(self.log_e_each.argmax())


def chunk_starts(n_tokens: int) -> IntArray:
    """The first token of each chunk; the last chunk may be short."""
    return np.arange(0, n_tokens, CHUNK)


def sum_over_slots(log_m: Float32Array, at_rows: IntArray, n_slots: int) -> Float32Array:
    """Evidence per chunk at every start slot, float32 (n_chunks, n_slots).

    `log_m` (n_rows, at least n_slots + t) as `log_evidence` gives it; `at_rows` (t,) is the row of each token.
    """
    sums = np.zeros((len(chunk_starts(len(at_rows))), n_slots), np.float32)
    for token, row in enumerate(at_rows.tolist()):
        sums[token // CHUNK] += log_m[row, token : token + n_slots]
    return sums


def sum_at_starts(log_m: Float32Array, at_rows: IntArray, starts: IntArray, n_slots: int) -> Float32Array:
    """As `sum_over_slots`, at a few start slots only: float32 (n_chunks, len(starts))."""
    tokens = np.arange(len(at_rows))
    values = log_m[at_rows[:, None], (tokens[:, None] + starts) % n_slots]
    sums: Float32Array = np.add.reduceat(values, chunk_starts(len(at_rows)), axis=0)
    return sums


def layer_evidence(
    layer: Layer,
    block: slice,
    sums: Float32Array,
    starts: IntArray,
    bounds: Float64Array,
    log_prior: float,
) -> LayerEvidence:
    """Average the evidence of all stretches at the start slots given.

    `sums` (n_chunks, n_starts) is the evidence per chunk and start slot, `bounds` (n_chunks, tilts) of the moments,
    `log_prior` the weight of one start slot of this layer. The tilted e-values are counted at the best start slot of
    each stretch; those left out would only add.
    """
    family = stretches(len(sums))
    until = np.zeros((len(sums) + 1, sums.shape[1]))
    np.cumsum(sums, axis=0, dtype=np.float64, out=until[1:])
    log_plain, best_sum = np.empty(len(family)), np.empty(len(family))
    best_start = np.empty(len(family), np.int64)
    for part in _parts(len(family), sums.shape[1]):
        stretch_sums = until[family.end[part]] - until[family.start[part]]
        best_start[part] = stretch_sums.argmax(axis=1)
        best_sum[part] = np.take_along_axis(stretch_sums, best_start[part, None], axis=1)[:, 0]
        relative = (stretch_sums - best_sum[part, None]).astype(np.float32)
        log_plain[part] = best_sum[part] + np.log(np.exp(relative, out=relative).sum(axis=1, dtype=np.float64))
    bounds_until = np.concatenate((np.zeros((1, bounds.shape[1])), np.cumsum(bounds, axis=0)))
    stretch_bounds = bounds_until[family.end] - bounds_until[family.start]
    log_prior_each = family.log_weight + log_prior
    log_each = log_e_values(best_sum, stretch_bounds)
    # the plain e-value of the best start slot stands in both terms: count it once
    others = log_plain + np.log1p(-np.exp(np.minimum(best_sum - log_plain, -1e-12)))
    log_e = np.logaddexp(log_each, TILT_LOG_WEIGHTS[0] + others) + log_prior_each
    return LayerEvidence(
        layer,
        block,
        log_prior,
        len(starts),
        float(np.logaddexp.reduce(log_e)),
        family,
        starts[best_start],
        log_each + log_prior_each,
    )


def total_log_e(evidence: Sequence[LayerEvidence]) -> float:
    """Log of the e-value: the sum over layers and blocks, whose weights sum to at most 1."""
    return float(np.logaddexp.reduce([each.log_e for each in evidence]))


def _parts(n_stretches: int, n_starts: int) -> list[slice]:
    """Few enough stretches at once that their sums stay in the cache."""
    size = max(1, (1 << 17) // n_starts)
    return [slice(first, first + size) for first in range(0, n_stretches, size)]
