"""Confidence intervals by resampling groups: clips of one speaker or one generator are not independent.

Intervals from resampled clips are far too narrow. The group of a clip is what would be drawn anew if the test
set were collected again: the speaker pool or source of bona fide speech, the generator family of the rest.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .trials import BoolArray, Float64Array, ScoresError, check_trials

Metric = Callable[[Float64Array, BoolArray], float | None]
"""A measure of (scores, is_spoof). `functools.partial` fixes any further argument."""

MIN_RESAMPLES = 1000
IndexArray = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Interval:
    """An estimate and the percentile interval that holds it with confidence `level`."""

    estimate: float
    low: float
    high: float
    level: float
    n_groups: int
    n_resamples: int
    """Resamples on which the measure was defined."""


def bootstrap_interval(
    metric: Metric,
    scores: npt.ArrayLike,
    is_spoof: npt.ArrayLike,
    groups: Sequence[Hashable],
    *,
    rng: np.random.Generator,
    n_resamples: int = MIN_RESAMPLES,
    level: float = 0.95,
) -> Interval | None:
    """Percentile interval of `metric` over resampled `groups` (n,), one group per score.

    Groups are drawn with replacement among those of the same make-up (bona fide only, spoof only, both), so
    every resample has both classes. None where the measure is undefined, or where one class lies in a single
    group: then nothing is known about its spread. `n_resamples` is at least 1000.
    """
    trials = check_trials(scores, is_spoof)

    def measure(index: IndexArray) -> float | None:
        return metric(trials.scores[index], trials.is_spoof[index])

    return _interval(measure, trials.is_spoof, groups, rng, n_resamples, level)


def bootstrap_difference(
    metric: Metric,
    scores: npt.ArrayLike,
    other_scores: npt.ArrayLike,
    is_spoof: npt.ArrayLike,
    groups: Sequence[Hashable],
    *,
    rng: np.random.Generator,
    n_resamples: int = MIN_RESAMPLES,
    level: float = 0.95,
) -> Interval | None:
    """Interval of `metric` of `scores` less that of `other_scores`, on the same clips and the same resamples.

    Otherwise as `bootstrap_interval`. Two systems differ where the interval leaves out 0; comparing their
    separate intervals would hide most differences.
    """
    trials = check_trials(scores, is_spoof)
    others = check_trials(other_scores, is_spoof)

    def measure(index: IndexArray) -> float | None:
        value = metric(trials.scores[index], trials.is_spoof[index])
        other = metric(others.scores[index], others.is_spoof[index])
        return None if value is None or other is None else value - other

    return _interval(measure, trials.is_spoof, groups, rng, n_resamples, level)


def _interval(
    measure: Callable[[IndexArray], float | None],
    is_spoof: BoolArray,
    groups: Sequence[Hashable],
    rng: np.random.Generator,
    n_resamples: int,
    level: float,
) -> Interval | None:
    if n_resamples < MIN_RESAMPLES or not 0 < level < 1:
        raise ScoresError(f"give at least {MIN_RESAMPLES} resamples and a level between 0 and 1")
    if len(groups) != len(is_spoof):
        raise ScoresError(f"{len(is_spoof)} scores but {len(groups)} groups; give one group per score")
    members = _members(groups)
    estimate = measure(np.arange(len(is_spoof)))
    if estimate is None or not _spread_is_visible(members, is_spoof):
        return None
    drawn = (measure(index) for index in _resamples(members, is_spoof, rng, n_resamples))
    values = np.array([value for value in drawn if value is not None])
    if not values.size:
        return None
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, float(low), float(high), level, len(members), len(values))


def _members(groups: Sequence[Hashable]) -> list[IndexArray]:
    """Positions of each group, in order of first appearance: independent of how groups are named."""
    positions: dict[Hashable, list[int]] = {}
    for position, group in enumerate(groups):
        positions.setdefault(group, []).append(position)
    return [np.array(indices, dtype=np.intp) for indices in positions.values()]


def _spread_is_visible(members: list[IndexArray], is_spoof: BoolArray) -> bool:
    with_spoof = sum(bool(is_spoof[index].any()) for index in members)
    with_bonafide = sum(not is_spoof[index].all() for index in members)
    return with_spoof >= 2 and with_bonafide >= 2


def _resamples(
    members: list[IndexArray], is_spoof: BoolArray, rng: np.random.Generator, n_resamples: int
) -> Iterator[IndexArray]:
    strata: dict[tuple[bool, bool], list[IndexArray]] = {}
    for index in members:
        make_up = (bool(is_spoof[index].any()), bool(is_spoof[index].all()))
        strata.setdefault(make_up, []).append(index)
    for _ in range(n_resamples):
        picks = [stratum[pick] for stratum in strata.values() for pick in rng.integers(len(stratum), size=len(stratum))]
        yield np.concatenate(picks)
