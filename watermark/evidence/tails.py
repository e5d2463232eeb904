"""How large the evidence of a path grows by chance: certified bounds of its moments, and a sharp tail.

The evidence of a row, m = rest + Σ_v q(v) r_v, is a mean of the constant 1 and of ratios r_v that are independent over
keys, each with mean 1. So with Q = Σ q and the largest q, by Jensen's inequality,

    θ >= 1:     E m^θ <= E (1 - Q + Q r)^θ      (m is a mean over v, by q(v) / Q, of what stands in brackets)
    0 < θ < 1:  E m^θ <= E (1 - q + q r)^θ      (all other ratios replaced by their mean 1)

(For two levels r is a product of two ratios in the first line, and the token's own ratio in the second.)

One table over the weight (Q or q) per exponent θ and mixture holds either. exp(θ S - Σ log bound) then has mean at
most 1 over keys for S = Σ log m: an e-value beside the plain e^S, larger where sound carries more or less evidence
than the mixture expects. Averaged over a few θ fixed in advance it does the work of Chernoff's bound
(1952, Ann. Math. Statist. 23) within a single e-value.
"""

import math
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import erfcx

from ..table import MarkTable, Mixture
from .keytables import binned_ratio
from .rows import TokenRows

Law = Literal["wide", "narrow"]
Float64Array = npt.NDArray[np.float64]

TILTS = np.array([1.0, 0.6, 0.8, 1.25, 1.6, 2.2])
"""Exponents θ of the e-value; the first is the plain one."""
TILT_LOG_WEIGHTS = np.log([0.75, 0.05, 0.05, 0.05, 0.05, 0.05])
_GRID = np.concatenate((np.linspace(0, 0.9, 31), np.linspace(0.91, 1, 10)))
"""Weights at which the moments are tabulated."""
_SHARP_TILTS = np.geomspace(0.05, 12, 28)
_ATOMS = {1: 256, 2: 40}
"""Groups of bins per ratio, by levels: two levels make a product of two ratios."""


def tilted_bounds(rows: TokenRows, table: MarkTable, *, all_scored: bool) -> Float64Array:
    """Upper bounds of log E m^θ for each row and θ of TILTS, float64 (n, tilts); the first is 0, as E m = 1.

    Unless all tokens are scored, a row may also be left at m = 1, so that no bound is below 0.
    """
    bounds = np.zeros((len(rows), len(TILTS)))
    for kind, mixture in enumerate(table.mixtures):
        chosen = rows.mixture == kind
        total, top = 1.0 - rows.rest[chosen].astype(np.float64), rows.top[chosen].astype(np.float64)
        for index, tilt in enumerate(TILTS.tolist()):
            if tilt > 1:  # convex in the weight: the chord between grid points lies above
                bounds[chosen, index] = np.log(np.interp(total, _GRID, _moments(mixture, table.levels, tilt, "wide")))
            elif tilt < 1:  # falls with the weight: the grid point below gives more
                below = np.searchsorted(_GRID, top, side="right") - 1
                bounds[chosen, index] = np.log(_moments(mixture, 1, tilt, "narrow")[below])
    return bounds if all_scored else np.maximum(bounds, 0)


def log_e_values(sums: npt.ArrayLike, bounds: Float64Array) -> Float64Array:
    """Log of the e-value of paths with Σ log m `sums` (p,) and Σ bounds (p, tilts): the average over TILTS, (p,)."""
    tilted = np.asarray(sums, np.float64)[:, None] * TILTS - bounds
    result: Float64Array = np.logaddexp.reduce(tilted + TILT_LOG_WEIGHTS, axis=1)
    return result


def sharp_log_p(log_m: Float64Array, rows: TokenRows, table: MarkTable) -> float:
    """Log P(S >= Σ log m) over keys for one path, by the saddlepoint of Lugannani and Rice (1980); not certified.

    `rows` are the path's own. Each is taken to hold a single code of weight sqrt(Σ q²), which has the row's own
    variance.
    """
    squares = rows.weights.copy()
    squares.data = squares.data**2
    weight = np.sqrt(squares.sum(axis=1, dtype=np.float64)).clip(0, 1)
    cumulant = np.zeros(len(_SHARP_TILTS))
    for kind, mixture in enumerate(table.mixtures):
        for index, tilt in enumerate(_SHARP_TILTS.tolist()):
            moments = _moments(mixture, table.levels, tilt, "narrow")
            cumulant[index] += np.log(np.interp(weight[rows.mixture == kind], _GRID, moments)).sum()
    return _lugannani_rice(float(log_m.sum()), _SHARP_TILTS, cumulant)


def _lugannani_rice(reached: float, tilts: Float64Array, cumulant: Float64Array) -> float:
    """Log of the tail beyond `reached`, from the cumulant function at rising `tilts` > 0; 0 below the mean."""
    from scipy.interpolate import CubicSpline

    spline = CubicSpline(np.concatenate(([0.0], tilts)), np.concatenate(([0.0], cumulant)))
    fine = np.geomspace(tilts[0], tilts[-1], 2000)
    best = fine[np.argmax(fine * reached - spline(fine))]
    exponent = float(best * reached - spline(best))
    curvature = float(spline(best, 2))
    if best == fine[0] or exponent <= 0:
        return 0.0
    if best == fine[-1] or curvature <= 0:
        return -exponent
    r, v = math.sqrt(2 * exponent), float(best) * math.sqrt(curvature)
    mills = math.sqrt(math.pi / 2) * float(erfcx(r / math.sqrt(2)))
    factor = (mills + 1 / v - 1 / r) / math.sqrt(2 * math.pi)
    return min(0.0, -exponent + math.log(factor)) if factor > 0 else -exponent


@lru_cache(512)
def _moments(mixture: Mixture, levels: int, tilt: float, law: Law) -> Float64Array:
    """E (1 - w + w r)^tilt over _GRID, with the ratio r under a law of `_atoms`; for two levels a product."""
    values, masses = _atoms(mixture, _ATOMS[levels], law)
    if levels == 2:
        values, masses = np.outer(values, values).ravel(), np.outer(masses, masses).ravel()
    table = np.array([((1 - w + w * values) ** tilt) @ masses for w in _GRID])
    table.setflags(write=False)
    return table


@lru_cache(64)
def _atoms(mixture: Mixture, n_groups: int, law: Law) -> tuple[Float64Array, Float64Array]:
    """A law of few values (and their masses) beside that of a ratio, of the same mean.

    `wide` moves the mass of each group of bins to the group's ends: no convex function has a larger mean.
    `narrow` gathers it at the group's mean: no concave function has.
    """
    steps = binned_ratio(mixture)
    # groups of about equal ratio between their ends; the steps rise
    scale = np.log(steps + 0.05)
    group = np.floor((scale - scale[0]) / max(scale[-1] - scale[0], 1e-12) * (n_groups - 1)).astype(np.int64)
    first = np.flatnonzero(np.diff(group, prepend=-1))
    count = np.diff(first, append=len(steps))
    mass = count / len(steps)
    mean = np.add.reduceat(steps, first) / count
    if law == "narrow":
        return mean, mass
    low, high = steps[first], steps[first + count - 1]
    share = np.divide(mean - low, high - low, out=np.zeros_like(mean), where=high > low).clip(0, 1)
    return np.concatenate((low, high)), np.concatenate((mass * (1 - share), mass * share))
