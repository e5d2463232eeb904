"""The ROC and what is read off it: EER, AUC, thresholds and error rates at an operating point."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .trials import Float64Array, ScoresError, Trials, check_trials

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Roc:
    """Every operating point that a threshold can give: k + 1 points for k distinct scores.

    `thresholds` float64 (k + 1,) descends from infinity (nothing is flagged) to the lowest score (everything
    is). `false_alarms` and `misses` int64 (k + 1,) are counts; `fpr` rises from 0 to 1, `fnr` falls from 1.
    """

    thresholds: Float64Array = field(compare=False, repr=False)
    false_alarms: Int64Array = field(compare=False, repr=False)
    misses: Int64Array = field(compare=False, repr=False)
    n_bonafide: int
    n_spoof: int

    @property
    def fpr(self) -> Float64Array:
        """Share of bona fide speech at or above each threshold."""
        return self.false_alarms / self.n_bonafide

    @property
    def fnr(self) -> Float64Array:
        """Share of generated speech below each threshold."""
        return self.misses / self.n_spoof


class ErrorRates(NamedTuple):
    """Both error rates at one threshold."""

    fpr: float
    fnr: float


def roc_points(scores: npt.ArrayLike, is_spoof: npt.ArrayLike) -> Roc | None:
    """One point per distinct score and one where nothing is flagged; None without both classes."""
    trials = check_trials(scores, is_spoof)
    return _roc(trials) if trials.has_both_classes else None


def eer(scores: npt.ArrayLike, is_spoof: npt.ArrayLike) -> float | None:
    """Equal error rate in [0, 1]: where the ROC, its points joined by straight lines, has `fpr` = `fnr`.

    Linear interpolation, as opposed to the nearest point (`compute_eer` of the ASVspoof 5 evaluation package)
    or the convex hull (`rocch2eer` of BOSARIS and PYLLR, never above this one). A line between two points is
    what deciding at random between two thresholds gives, hence 0.5 where all scores are tied. None without
    both classes.
    """
    roc = roc_points(scores, is_spoof)
    if roc is None:
        return None
    return eer_of_counts(roc.false_alarms, roc.misses)


def eer_of_counts(false_alarms: Int64Array, misses: Int64Array) -> float:
    """The same from counts (k + 1,) at falling thresholds, as in `Roc`; both classes have at least one clip."""
    n_bonafide, n_spoof = false_alarms[-1], misses[0]
    # (fnr - fpr) * n_spoof * n_bonafide, in integers: the crossing is found without rounding.
    gap = misses * n_bonafide - false_alarms * n_spoof
    after = int(np.argmax(gap <= 0))
    before = after - 1
    weight = gap[before] / (gap[before] - gap[after])
    crossing = false_alarms[before] + weight * (false_alarms[after] - false_alarms[before])
    return float(crossing / n_bonafide)


def auc(scores: npt.ArrayLike, is_spoof: npt.ArrayLike) -> float | None:
    """Area under the ROC: how often a spoof score is above a bona fide one, ties counting half.

    None without both classes.
    """
    roc = roc_points(scores, is_spoof)
    if roc is None:
        return None
    return float(np.trapezoid(1.0 - roc.fnr, roc.fpr))


def threshold_at_fpr(scores: npt.ArrayLike, is_spoof: npt.ArrayLike, max_fpr: float) -> float | None:
    """The lowest threshold that flags at most the share `max_fpr`, in [0, 1), of the bona fide scores.

    It lies one float above the highest bona fide score that must not be flagged, so ties stay on the safe
    side. `max_fpr` below 1 / n allows no false alarm at all: n bona fide scores can show no smaller rate.
    None without bona fide speech.
    """
    if not 0 <= max_fpr < 1:
        raise ScoresError(f"a false-alarm rate of {max_fpr} cannot be asked for; give one from 0 to below 1")
    bonafide = check_trials(scores, is_spoof).bonafide
    if not bonafide.size:
        return None
    # Rates k / n as they would be reported, so that 0.29 of 100 is 29 whatever 0.29 * 100 rounds to.
    allowed = int(np.count_nonzero(np.arange(bonafide.size + 1) / bonafide.size <= max_fpr)) - 1
    highest_to_pass = np.sort(bonafide)[::-1][allowed]
    return float(np.nextafter(highest_to_pass, np.inf))


def threshold_at_eer(scores: npt.ArrayLike, is_spoof: npt.ArrayLike) -> float | None:
    """The threshold at which the two error rates are closest; of several, the highest. None without both classes.

    It is the middle between two neighbouring scores, so it cuts between clips and not at one. Where all scores are
    tied it lies one float above them.
    """
    roc = roc_points(scores, is_spoof)
    if roc is None:
        return None
    gap = np.abs(roc.misses * roc.n_bonafide - roc.false_alarms * roc.n_spoof)
    best = int(np.argmin(gap))
    lowest_flagged, lower = roc.thresholds[best], roc.thresholds[min(best + 1, len(gap) - 1)]
    if best == 0:
        return float(np.nextafter(lower, np.inf))
    middle = (lowest_flagged + lower) / 2
    return float(middle if middle > lower else lowest_flagged)


def error_rates_at(scores: npt.ArrayLike, is_spoof: npt.ArrayLike, threshold: float) -> ErrorRates | None:
    """Both error rates when scores at or above `threshold` are flagged; None without both classes.

    With a threshold that was fixed on other data this is what a user will meet.
    """
    trials = check_trials(scores, is_spoof)
    if np.isnan(threshold):
        raise ScoresError("the threshold is not a number")
    if not trials.has_both_classes:
        return None
    return ErrorRates(fpr=float(np.mean(trials.bonafide >= threshold)), fnr=float(np.mean(trials.spoof < threshold)))


def fnr_at_fpr(scores: npt.ArrayLike, is_spoof: npt.ArrayLike, max_fpr: float) -> float | None:
    """Share of generated speech missed at the threshold of `threshold_at_fpr`; None without both classes."""
    threshold = threshold_at_fpr(scores, is_spoof, max_fpr)
    rates = None if threshold is None else error_rates_at(scores, is_spoof, threshold)
    return None if rates is None else rates.fnr


def _roc(trials: Trials) -> Roc:
    distinct, index = np.unique(trials.scores, return_inverse=True)
    spoof_per_score = np.bincount(index, weights=trials.is_spoof, minlength=len(distinct)).astype(np.int64)
    bonafide_per_score = np.bincount(index, minlength=len(distinct)) - spoof_per_score
    n_spoof, n_bonafide = int(spoof_per_score.sum()), int(bonafide_per_score.sum())
    flagged_spoof = np.concatenate(([0], np.cumsum(spoof_per_score[::-1])))
    flagged_bonafide = np.concatenate(([0], np.cumsum(bonafide_per_score[::-1])))
    return Roc(
        thresholds=np.concatenate(([np.inf], distinct[::-1])),
        false_alarms=flagged_bonafide.astype(np.int64),
        misses=(n_spoof - flagged_spoof).astype(np.int64),
        n_bonafide=n_bonafide,
        n_spoof=n_spoof,
    )
