"""Coverage against error: how much better a detector is on the clips that it is surest of.

A clip's confidence is the distance of its score from the threshold. Both classes weigh a half, so neither figure
depends on the mix of the test set. Source of the curve: El-Yaniv and Wiener, "On the foundations of noise-free
selective classification", JMLR 2010.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .trials import Float64Array, ScoresError, check_trials


class RiskCoverage(NamedTuple):
    """Two arrays (k,), from the surest clips to all of them: `coverage` rises, at most to 1."""

    coverage: Float64Array
    """Share of the clips that are decided."""
    error: Float64Array
    """Share of the decided ones that lie on the wrong side of the threshold."""


def risk_coverage(
    scores: npt.ArrayLike,
    is_spoof: npt.ArrayLike,
    threshold: float,
    *,
    unscored_bonafide: int = 0,
    unscored_spoof: int = 0,
) -> RiskCoverage | None:
    """The curve for a fixed `threshold`, one point per distinct confidence; None without both classes.

    Clips without a score are never decided and count against coverage.
    """
    trials = check_trials(scores, is_spoof)
    if not np.isfinite(threshold) or min(unscored_bonafide, unscored_spoof) < 0:
        raise ScoresError("coverage needs a finite threshold and counts of clips that are not below 0")
    if not trials.has_both_classes:
        return None
    weights = np.where(
        trials.is_spoof, 0.5 / (trials.spoof.size + unscored_spoof), 0.5 / (trials.bonafide.size + unscored_bonafide)
    )
    wrong = (trials.scores >= threshold) != trials.is_spoof
    _, index = np.unique(-np.abs(trials.scores - threshold), return_inverse=True)  # the surest first
    decided = np.cumsum(np.bincount(index, weights=weights))
    mistaken = np.cumsum(np.bincount(index, weights=weights * wrong))
    return RiskCoverage(np.minimum(decided, 1.0), mistaken / decided)
