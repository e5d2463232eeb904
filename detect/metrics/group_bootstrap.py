"""Intervals for every group of a table and for the mean over its groups, from one set of resamples.

As in `bootstrap`, what is drawn anew are units and not clips: speakers, generators. Groups that are measured with the
same clips share each draw of them, so the spread of the mean holds what they have in common.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from .bootstrap import MIN_RESAMPLES, IndexArray
from .eer import Int64Array, eer_of_counts
from .trials import Float64Array, ScoresError, check_scores

RATES = ("eer", "fpr", "fnr")
_ZERO = np.zeros(1, np.int64)


@dataclass(frozen=True, eq=False)
class Side:
    """Scores (n,) of one class with the unit (n,) of each, n >= 1; units are numbered from 0."""

    scores: Float64Array = field(repr=False)
    unit: IndexArray = field(repr=False)
    n_units: int

    @classmethod
    def of(cls, scores: Sequence[float], units: Sequence[Hashable]) -> "Side":
        """Number the units. Raises `ScoresError` without scores, or unless there is one unit per score."""
        if not len(scores) == len(units) > 0:
            raise ScoresError(f"{len(scores)} scores and {len(units)} units; give one unit per score")
        numbers: dict[Hashable, int] = {}
        unit = np.array([numbers.setdefault(each, len(numbers)) for each in units], dtype=np.intp)
        return cls(check_scores(scores), unit, len(numbers))

    def draw(self, rng: np.random.Generator) -> Int64Array:
        """How often each clip (n,) stands in a resample of the units."""
        times = np.bincount(rng.integers(self.n_units, size=self.n_units), minlength=self.n_units)
        return times[self.unit].astype(np.int64)


@dataclass(frozen=True, eq=False)
class Contest:
    """The two classes of one group. Groups with the same `Side` share its draws."""

    bonafide: Side
    spoof: Side


class Range(NamedTuple):
    """The ends of an interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Spread:
    """Intervals of one rate: per group, and of the mean over groups.

    None: one unit shows no spread, and neither do resamples that all agree, such as those of a rate of 0. An interval
    from 0 to 0 would claim a certainty that a few clips cannot give.
    """

    groups: tuple[Range | None, ...]
    mean: Range | None


def group_intervals(
    contests: Sequence[Contest],
    threshold: float | None,
    *,
    draws_groups: bool,
    rng: np.random.Generator,
    n_resamples: int = MIN_RESAMPLES,
    level: float = 0.95,
) -> dict[str, Spread]:
    """Percentile intervals of the `RATES` of each group and of their mean; `threshold` None: of the EER alone.

    `draws_groups`: the groups too are drawn anew for the mean, as a sample of many. Raises `ScoresError` for fewer
    than 1000 resamples.
    """
    if n_resamples < MIN_RESAMPLES or not 0 < level < 1:
        raise ScoresError(f"give at least {MIN_RESAMPLES} resamples and a level between 0 and 1")
    names = RATES if threshold is not None else RATES[:1]
    sides = {id(side): side for contest in contests for side in (contest.bonafide, contest.spoof)}
    rocs = [_Roc(contest, threshold) for contest in contests]
    values = np.empty((n_resamples, len(contests), len(names)))
    means = np.empty((n_resamples, len(names)))
    for resample in range(n_resamples if contests else 0):
        times = {key: side.draw(rng) for key, side in sides.items()}
        for group, (roc, contest) in enumerate(zip(rocs, contests, strict=True)):
            values[resample, group] = roc.rates(times[id(contest.bonafide)], times[id(contest.spoof)])[: len(names)]
        drawn = rng.integers(len(contests), size=len(contests)) if draws_groups else slice(None)
        means[resample] = values[resample, drawn].mean(axis=0)
    ends = [(1 - level) / 2, (1 + level) / 2]
    return {
        name: _spread(name, values[:, :, at], means[:, at], contests, draws_groups, ends)
        for at, name in enumerate(names)
    }


def _spread(
    name: str,
    values: Float64Array,
    means: Float64Array,
    contests: Sequence[Contest],
    draws_groups: bool,
    ends: Sequence[float],
) -> Spread:
    visible = [
        (name == "fnr" or contest.bonafide.n_units > 1) and (name == "fpr" or contest.spoof.n_units > 1)
        for contest in contests
    ]
    groups = tuple(_range(values[:, group], ends) if shows else None for group, shows in enumerate(visible))
    shows_mean = len(contests) > 1 if draws_groups else bool(visible) and all(visible)
    return Spread(groups, _range(means, ends) if shows_mean else None)


def _range(values: Float64Array, ends: Sequence[float]) -> Range | None:
    low, high = map(float, np.quantile(values, ends))
    return Range(low, high) if low < high else None


class _Roc:
    """A group's scores in falling order, so that a resample is only counted and not sorted."""

    def __init__(self, contest: Contest, threshold: float | None) -> None:
        self._orders = [np.argsort(-side.scores, kind="stable") for side in (contest.bonafide, contest.spoof)]
        thresholds = np.unique(np.concatenate((contest.bonafide.scores, contest.spoof.scores)))[::-1]
        limits = np.concatenate(([np.inf], thresholds, [np.inf if threshold is None else threshold]))
        self._flagged = [_at_or_above(side.scores, limits) for side in (contest.bonafide, contest.spoof)]

    def rates(self, bonafide_times: Int64Array, spoof_times: Int64Array) -> tuple[float, float, float]:
        """-> (EER, fpr, fnr) of the resample in which each clip stands so many times."""
        false_alarms, hits = (
            np.concatenate((_ZERO, times[order].cumsum()))[flagged]
            for times, order, flagged in zip((bonafide_times, spoof_times), self._orders, self._flagged, strict=True)
        )
        misses = hits[-2] - hits  # the lowest score flags everything
        return (
            eer_of_counts(false_alarms[:-1], misses[:-1]),
            float(false_alarms[-1] / false_alarms[-2]),
            float(misses[-1] / hits[-2]),
        )


def _at_or_above(scores: Float64Array, limits: Float64Array) -> IndexArray:
    """How many of the scores lie at or above each limit."""
    return len(scores) - np.searchsorted(np.sort(scores), limits, side="left")
