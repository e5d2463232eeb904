"""From a detector's raw score to a calibrated log10 likelihood ratio.

An affine map, fitted by prior-weighted logistic regression (Brümmer and du Preez 2006; as in FoCal and
BOSARIS) on trials that the detector was not trained on: generator families and speakers held out. Pooling
over windows changes the distribution of the score with its length, so the map may differ by seconds of
speech, and is fitted on the pooled score. The result is cut off at what the number of trials can support.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from math import inf, isfinite, log, log10
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..core.errors import UsageError
from .metrics.trials import ScoresError, Trials, check_scores, check_trials

MIN_TRIALS_PER_CLASS = 20
"""Fewer trials of either class than this in one bin of speech length give no map worth keeping."""


class Affine(NamedTuple):
    """log10 LR = slope * score + offset, with slope >= 0: a higher score never means less synthetic."""

    slope: float
    offset: float


@dataclass(frozen=True)
class CalibrationBin:
    """The affine map for files with at least `min_speech_s` seconds of speech, up to the next bin."""

    min_speech_s: float
    slope: float
    offset: float


@dataclass(frozen=True)
class Calibration:
    """Maps by seconds of speech, shortest first and starting at 0, and the bound on what they may say."""

    bins: tuple[CalibrationBin, ...]
    clip_log10_lr: float
    """Results lie in [-clip_log10_lr, clip_log10_lr]; see `supported_log10_lr`."""

    def __post_init__(self) -> None:
        """Raise `UsageError` for maps that could not be applied or would turn the score round."""
        starts = [each.min_speech_s for each in self.bins]
        numbers = [self.clip_log10_lr, *(value for each in self.bins for value in asdict(each).values())]
        if not all(isfinite(value) for value in numbers) or self.clip_log10_lr <= 0:
            raise UsageError("calibration: all numbers must be finite, and clip_log10_lr above 0")
        if not starts or starts[0] != 0 or any(b <= a for a, b in pairwise(starts)):
            raise UsageError(f"calibration: bins start at {starts} s; they must start at 0 and rise")
        if any(each.slope < 0 for each in self.bins):
            raise UsageError("calibration: a slope below 0 would make a higher score mean less synthetic")

    def apply(self, score: float, speech_s: float) -> float:
        """log10 likelihood ratio of `score` on a file with `speech_s` >= 0 seconds of speech.

        Same input, same bits, on any machine with IEEE 754 doubles. Raises `ScoresError` unless both are
        finite.
        """
        if not isfinite(score) or not 0 <= speech_s < inf:
            raise ScoresError(f"score {score} on {speech_s} s of speech has no ratio; leave it unscored")
        chosen = [each for each in self.bins if each.min_speech_s <= speech_s][-1]
        log10_lr = chosen.slope * score + chosen.offset
        return max(-self.clip_log10_lr, min(self.clip_log10_lr, log10_lr))

    def to_json(self) -> str:
        """JSON text that `from_json` reads back to an equal record."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Calibration":
        """Read the text of `to_json`; raises `UsageError` for anything unknown, missing or of another type."""
        try:
            return cls.from_object(json.loads(text))
        except json.JSONDecodeError as error:
            raise UsageError(f"calibration: not JSON ({error}); install the model again") from None

    @classmethod
    def from_object(cls, parsed: object) -> "Calibration":
        """As `from_json`, from JSON that has been parsed already."""
        table = _checked_table(parsed, cls, "calibration")
        if not isinstance(table["bins"], list):
            raise UsageError("calibration: 'bins' must be a list; install the model again")
        bins = [_checked_table(each, CalibrationBin, "calibration: bins") for each in table["bins"]]
        return cls(
            tuple(CalibrationBin(**{key: _number(each, key) for key in each}) for each in bins),
            _number(table, "clip_log10_lr"),
        )


def fit_affine(scores: npt.ArrayLike, is_spoof: npt.ArrayLike, *, prior_spoof: float = 0.5, l2: float = 1e-3) -> Affine:
    """Slope >= 0 and offset that make `scores` (n,) log10 likelihood ratios.

    Minimises the cross-entropy with the classes weighted as `prior_spoof` and 1 - `prior_spoof`, however many
    trials each has, plus `l2` / 2 times the squared slope on scores of unit deviation: this keeps the slope
    finite on classes that do not overlap and takes about 1 % off it otherwise. Scores that are useless or
    point the wrong way give (0, 0), which says nothing. Raises `ScoresError` unless both classes are there.
    """
    from sklearn.linear_model import LogisticRegression

    if not 0 < prior_spoof < 1 or not l2 > 0:
        raise UsageError(f"prior_spoof {prior_spoof} must lie between 0 and 1, and l2 {l2} above 0")
    trials = check_trials(scores, is_spoof)
    if not trials.has_both_classes:
        raise ScoresError("a calibration needs trials of both classes")
    weights = _class_weights(trials, prior_spoof)
    centre = float(np.average(trials.scores, weights=weights))
    deviation = float(np.sqrt(np.average((trials.scores - centre) ** 2, weights=weights)))
    if deviation == 0:
        return Affine(0.0, 0.0)
    model = LogisticRegression(C=1 / l2, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    model.fit(((trials.scores - centre) / deviation)[:, None], trials.is_spoof, sample_weight=weights)
    slope = float(model.coef_[0, 0]) / deviation
    if slope <= 0:  # the problem is convex, so the best slope that is not negative is 0, and its offset is 0
        return Affine(0.0, 0.0)
    natural_offset = float(model.intercept_[0]) - log(prior_spoof / (1 - prior_spoof)) - slope * centre
    return Affine(slope / log(10), natural_offset / log(10))


def fit_calibration(
    scores: npt.ArrayLike,
    is_spoof: npt.ArrayLike,
    speech_s: npt.ArrayLike,
    *,
    clip_log10_lr: float,
    bin_starts_s: Sequence[float] = (0.0,),
    prior_spoof: float = 0.5,
    l2: float = 1e-3,
) -> Calibration:
    """One affine map per bin of speech length; `speech_s` (n,) are the seconds of speech of each trial.

    `bin_starts_s` rises from 0. Raises `ScoresError` where a bin has fewer than 20 trials of either class.
    """
    trials = check_trials(scores, is_spoof)
    lengths_s = check_scores(speech_s)
    if lengths_s.shape != trials.scores.shape:
        raise ScoresError(f"{len(trials.scores)} scores but {len(lengths_s)} lengths; give one per score")
    bins = []
    for start_s, end_s in zip(bin_starts_s, [*bin_starts_s[1:], inf], strict=True):
        inside = (lengths_s >= start_s) & (lengths_s < end_s)
        n_spoof = int(np.count_nonzero(trials.is_spoof[inside]))
        n_bonafide = int(np.count_nonzero(inside)) - n_spoof
        if min(n_spoof, n_bonafide) < MIN_TRIALS_PER_CLASS:
            raise ScoresError(
                f"calibration: {n_bonafide} bona fide and {n_spoof} spoof trials have {start_s:g} to "
                f"{end_s:g} s of speech; {MIN_TRIALS_PER_CLASS} of each are needed, so use wider bins"
            )
        fitted = fit_affine(trials.scores[inside], trials.is_spoof[inside], prior_spoof=prior_spoof, l2=l2)
        bins.append(CalibrationBin(float(start_s), fitted.slope, fitted.offset))
    return Calibration(tuple(bins), clip_log10_lr)


def supported_log10_lr(n_bonafide: int, n_spoof: int) -> float:
    """The largest |log10 LR| that this many independent trials can support, for `Calibration.clip_log10_lr`.

    The empirical lower and upper bound (ELUB) of Vergeer et al., Science & Justice 56 (2016) 482-491, for the
    best case of classes that do not overlap: with one misleading trial added to either class, deciding by a
    larger ratio would cost more than not listening. That gives n_spoof (n_bonafide + 1) / (n_spoof + 1) for
    the upper bound, the same with the classes exchanged for the lower; the smaller is used for both, which is
    about the size of the smaller class. Clips of one speaker or generator are not independent: count groups
    where clips are few per group. Raises `UsageError` below two of either class, which support nothing.
    """
    if min(n_bonafide, n_spoof) < 2:
        raise UsageError(f"{n_bonafide} bona fide and {n_spoof} spoof trials support no likelihood ratio")
    upper = n_spoof * (n_bonafide + 1) / (n_spoof + 1)
    lower = n_bonafide * (n_spoof + 1) / (n_bonafide + 1)
    return log10(min(upper, lower))


def _class_weights(trials: Trials, prior_spoof: float) -> npt.NDArray[np.float64]:
    """Weights (n,) that sum to 1, those of the spoof class to `prior_spoof`."""
    each_spoof = prior_spoof / np.count_nonzero(trials.is_spoof)
    each_bonafide = (1 - prior_spoof) / np.count_nonzero(~trials.is_spoof)
    return np.where(trials.is_spoof, each_spoof, each_bonafide)


def _checked_table(parsed: object, record: type[Any], where: str) -> Mapping[str, Any]:
    keys = sorted(each.name for each in fields(record))
    if not isinstance(parsed, dict) or sorted(parsed) != keys:
        found = sorted(parsed) if isinstance(parsed, dict) else type(parsed).__name__
        raise UsageError(f"{where}: found {found}, expected exactly the keys {keys}; install the model again")
    return parsed


def _number(table: Mapping[str, Any], key: str) -> float:
    value = table[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"calibration: {key!r} must be a number, not {value!r}; install the model again")
    return float(value)
