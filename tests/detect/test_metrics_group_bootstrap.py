"""Intervals of groups: the same as by the plain way, shared draws, and no certainty that a few clips cannot give."""

import numpy as np
import pytest

from covoguard.detect.metrics.bootstrap import bootstrap_interval
from covoguard.detect.metrics.eer import eer, error_rates_at
from covoguard.detect.metrics.group_bootstrap import Contest, Side, group_intervals
from covoguard.detect.metrics.trials import ScoresError


def sides(seed, n_bonafide=60, n_spoof=40, n_units=10, shift=1.0):
    rng = np.random.default_rng(seed)
    return [
        Side.of(
            list(np.round(rng.normal(mean, size=count), 1)), [int(unit) for unit in rng.integers(n_units, size=count)]
        )
        for mean, count in ((0.0, n_bonafide), (shift, n_spoof))
    ]


def rng():
    return np.random.default_rng(7)


def test_a_resample_counts_to_the_rates_of_its_clips():
    """Every clip drawn as often as its unit: the rates of the list with each clip written out so many times."""
    bonafide, spoof = sides(1)
    draws = np.random.default_rng(7)
    expected = []
    for _ in range(1000):
        drawn = [np.repeat(side.scores, side.draw(draws)) for side in (bonafide, spoof)]
        scores, is_spoof = np.concatenate(drawn), np.repeat([False, True], [len(each) for each in drawn])
        expected.append((eer(scores, is_spoof), *error_rates_at(scores, is_spoof, 0.5)))
    intervals = group_intervals([Contest(bonafide, spoof)], 0.5, draws_groups=False, rng=rng())
    for name, values in zip(("eer", "fpr", "fnr"), np.transpose(expected), strict=True):
        assert intervals[name].groups[0] == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))
        assert intervals[name].mean == intervals[name].groups[0]


def test_it_agrees_with_the_pooled_bootstrap():
    bonafide, spoof = sides(2)
    scores = np.concatenate((bonafide.scores, spoof.scores))
    is_spoof = np.arange(100) >= 60
    groups = [("b", int(unit)) for unit in bonafide.unit] + [("s", int(unit)) for unit in spoof.unit]
    plain = bootstrap_interval(eer, scores, is_spoof, groups, rng=rng(), n_resamples=4000)
    (quick,) = group_intervals([Contest(bonafide, spoof)], None, draws_groups=False, rng=rng(), n_resamples=4000)[
        "eer"
    ].groups
    assert tuple(quick) == pytest.approx((plain.low, plain.high), abs=0.015)


def test_groups_that_share_a_side_share_its_draws():
    """Two equal families against one genuine pool differ only by their own draws; the mean keeps the common part."""
    bonafide, spoof = sides(3, n_units=4)
    fixed = Side(spoof.scores, np.zeros(len(spoof.scores), np.intp), 1)
    twice = group_intervals([Contest(bonafide, fixed)] * 2, None, draws_groups=False, rng=rng())["eer"]
    once = group_intervals([Contest(bonafide, fixed)], None, draws_groups=False, rng=rng())["eer"]
    assert (twice.groups, once.groups) == ((None, None), (None,)), "a side of one unit shows no spread"
    assert (twice.mean, once.mean) == (None, None)
    drawn = [
        group_intervals([Contest(bonafide, spoof)] * n, None, draws_groups=False, rng=rng())["eer"] for n in (1, 2)
    ]
    assert drawn[1].mean == drawn[0].mean


def test_the_mean_over_a_sample_of_groups_is_less_certain_than_over_given_ones():
    bonafide, _ = sides(4)
    contests = [Contest(bonafide, sides(seed, shift=shift)[1]) for seed, shift in enumerate((0.0, 0.5, 2.0, 3.0))]
    given, sample = (
        group_intervals(contests, None, draws_groups=draws, rng=rng())["eer"].mean for draws in (False, True)
    )
    assert sample.high - sample.low > 1.3 * (given.high - given.low)
    (alone,) = [group_intervals(contests[:1], None, draws_groups=True, rng=rng())["eer"].mean]
    assert alone is None, "one group is no sample"


def test_a_rate_of_zero_has_no_interval():
    clear = Contest(Side.of([0.0, 0.1], "ab"), Side.of([2.0, 2.1], "cd"))
    intervals = group_intervals([clear], 1.0, draws_groups=False, rng=rng())
    assert {name: spread.groups for name, spread in intervals.items()} == {
        "eer": (None,), "fpr": (None,), "fnr": (None,)
    }  # fmt: skip


def test_what_cannot_be_resampled_is_refused():
    with pytest.raises(ScoresError, match="1000"):
        group_intervals([], None, draws_groups=False, rng=rng(), n_resamples=10)
    for scores, units in (([], []), ([1.0], ["a", "b"])):
        with pytest.raises(ScoresError, match="one unit per score"):
            Side.of(scores, units)
    assert group_intervals([], 0.5, draws_groups=True, rng=rng())["fpr"].groups == ()
