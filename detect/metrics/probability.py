"""Likelihood ratios read as probabilities: Brier score, expected calibration error and the reliability diagram.

A ratio becomes a probability only with a prior. Here the prior is `prior_spoof`, 0.5 unless told otherwise, and the
classes weigh as it says, however many clips each has: the figures then do not depend on the mix of the test set.
"""

from math import log
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .trials import Float64Array, ScoresError, Trials, check_trials

N_BINS = 10


class ReliabilityBin(NamedTuple):
    """Clips of about the same stated probability: what was stated on average, and how often it was so."""

    stated: float
    observed: float
    """Share of the weight in the bin that is generated speech."""
    weight: float
    """Share of the whole weight; sums to 1 over the bins."""
    n_clips: int


def brier(log10_lr: npt.ArrayLike, is_spoof: npt.ArrayLike, *, prior_spoof: float = 0.5) -> float | None:
    """Mean squared error of the probability of generated speech: 0 is perfect; 0.25 says nothing at a prior of 0.5.

    Brier, "Verification of forecasts expressed in terms of probability", 1950, in its form for two classes. None
    without both classes.
    """
    trials = check_trials(log10_lr, is_spoof)
    if not trials.has_both_classes:
        return None
    stated, weights = _stated(trials, prior_spoof)
    return float(np.sum(weights * (stated - trials.is_spoof) ** 2))


def ece(
    log10_lr: npt.ArrayLike, is_spoof: npt.ArrayLike, *, prior_spoof: float = 0.5, n_bins: int = N_BINS
) -> float | None:
    """Expected calibration error: mean distance of stated and observed over bins of equal weight; None without both.

    Depends on the bins and rises with fewer clips, so it stands second to Brier and Cllr.
    """
    bins = reliability(log10_lr, is_spoof, prior_spoof=prior_spoof, n_bins=n_bins)
    if bins is None:
        return None
    return float(sum(each.weight * abs(each.stated - each.observed) for each in bins))


def reliability(
    log10_lr: npt.ArrayLike, is_spoof: npt.ArrayLike, *, prior_spoof: float = 0.5, n_bins: int = N_BINS
) -> tuple[ReliabilityBin, ...] | None:
    """At most `n_bins` bins of about equal weight in rising order of probability; None without both classes.

    A clip falls in the bin of the middle of its weight. Equal ratios stay together, so there may be fewer bins.
    """
    if n_bins < 1:
        raise ScoresError(f"{n_bins} bins hold nothing; give 1 or more")
    trials = check_trials(log10_lr, is_spoof)
    if not trials.has_both_classes:
        return None
    stated, weights = _stated(trials, prior_spoof)
    _, index = np.unique(trials.scores, return_inverse=True)
    weight_of_tie = np.bincount(index, weights=weights)
    middle = np.cumsum(weight_of_tie) - weight_of_tie / 2
    bin_of_clip = np.minimum((middle * n_bins).astype(np.int64), n_bins - 1)[index]
    return tuple(
        ReliabilityBin(
            stated=float(np.average(stated[inside], weights=weights[inside])),
            observed=float(np.average(trials.is_spoof[inside], weights=weights[inside])),
            weight=float(weights[inside].sum()),
            n_clips=int(np.count_nonzero(inside)),
        )
        for inside in (bin_of_clip == number for number in np.unique(bin_of_clip))
    )


def _stated(trials: Trials, prior_spoof: float) -> tuple[Float64Array, Float64Array]:
    """-> (posterior probabilities of generated speech (n,), weights (n,) that sum to 1)."""
    if not 0 < prior_spoof < 1:
        raise ScoresError(f"prior_spoof is {prior_spoof}; it must lie between 0 and 1")
    log_odds = trials.scores * log(10.0) + log(prior_spoof / (1.0 - prior_spoof))
    stated = np.exp(-np.logaddexp(0.0, -log_odds))
    weights = np.where(trials.is_spoof, prior_spoof / trials.spoof.size, (1.0 - prior_spoof) / trials.bonafide.size)
    return stated, weights
