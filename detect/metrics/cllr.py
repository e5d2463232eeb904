"""Cllr: how much the likelihood ratios are worth as likelihood ratios, over all priors and costs.

Source: Brümmer and du Preez, "Application-independent evaluation of speaker detection", 2006. The formula is
that of `calculate_CLLR` in the ASVspoof 5 evaluation package, whose ratios are natural logarithms and favour
bona fide; exchanging both the classes and the sign leaves the value unchanged.
"""

import numpy as np
import numpy.typing as npt

from .trials import Float64Array, check_trials


def cllr(log10_lr: npt.ArrayLike, is_spoof: npt.ArrayLike) -> float | None:
    """Cost of likelihood ratios in bits: 0 is perfect, 1 says nothing, above 1 misleads.

    `log10_lr` (n,) are log10 likelihood ratios, finite. Both classes weigh the same; None without both.
    """
    trials = check_trials(log10_lr, is_spoof)
    if not trials.has_both_classes:
        return None
    natural = np.log(10.0)
    return float((_bits(-natural * trials.spoof).mean() + _bits(natural * trials.bonafide).mean()) / 2)


def min_cllr(scores: npt.ArrayLike, is_spoof: npt.ArrayLike) -> float | None:
    """Cllr in [0, 1] after the best monotone recalibration of these very scores; None without both classes.

    The recalibration is isotonic regression by pool adjacent violators, with the share of spoof removed
    (Brümmer and du Preez, "The PAV algorithm optimizes binary proper scoring rules", 2013). It is fitted on
    what it is measured on, so the value is too good on small sets. `cllr` less `min_cllr` is the loss through
    miscalibration.
    """
    from scipy.optimize import isotonic_regression

    trials = check_trials(scores, is_spoof)
    if not trials.has_both_classes:
        return None
    distinct, index = np.unique(trials.scores, return_inverse=True)
    total = np.bincount(index, minlength=len(distinct)).astype(np.float64)
    spoof = np.bincount(index, weights=trials.is_spoof, minlength=len(distinct))
    bonafide = total - spoof
    share = np.clip(isotonic_regression(spoof / total, weights=total).x, 0.0, 1.0)
    with np.errstate(divide="ignore"):  # a pure block's ratio is infinite and costs its own class nothing
        log_odds = np.log(share) - np.log1p(-share)
    log_lr = log_odds - np.log(spoof.sum() / bonafide.sum())
    spoof_cost = np.sum(spoof[spoof > 0] * _bits(-log_lr[spoof > 0])) / spoof.sum()
    bonafide_cost = np.sum(bonafide[bonafide > 0] * _bits(log_lr[bonafide > 0])) / bonafide.sum()
    return float((spoof_cost + bonafide_cost) / 2)


def _bits(wrong_log_lr: Float64Array) -> Float64Array:
    """log2(1 + e^x): the cost of a natural log likelihood ratio `x` in favour of the wrong class."""
    bits: Float64Array = np.logaddexp(0.0, wrong_log_lr) / np.log(2.0)
    return bits
