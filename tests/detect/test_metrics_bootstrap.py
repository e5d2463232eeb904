from functools import partial

import numpy as np
import pytest

from covoguard.detect.metrics.bootstrap import bootstrap_difference, bootstrap_interval
from covoguard.detect.metrics.eer import eer, fnr_at_fpr
from covoguard.detect.metrics.trials import ScoresError


def mean_of_spoof(scores, is_spoof):
    return float(scores[is_spoof].mean()) if is_spoof.any() else None


def grouped_trials(n_groups=12, per_group=20, spread=1.0, seed=5):
    """Groups of one class each, whose clips lie close together: what clip-wise resampling gets wrong."""
    rng = np.random.default_rng(seed)
    is_spoof = np.repeat(np.arange(n_groups) % 2 == 0, per_group)
    centres = np.repeat(rng.normal(scale=spread, size=n_groups), per_group)
    scores = centres + 1.5 * is_spoof + rng.normal(scale=0.3, size=n_groups * per_group)
    return scores, is_spoof, [f"group {number}" for number in np.repeat(np.arange(n_groups), per_group)]


def test_same_seed_same_interval_whatever_the_groups_are_called():
    scores, is_spoof, groups = grouped_trials()
    renamed = [("group", len(groups), group) for group in groups]
    first, again, under_other_names, other_seed = (
        bootstrap_interval(mean_of_spoof, scores, is_spoof, names, rng=np.random.default_rng(seed))
        for names, seed in ((groups, 1), (groups, 1), (renamed, 1), (groups, 2))
    )
    assert first == again == under_other_names
    assert first != other_seed
    assert first is not None
    assert first.estimate == mean_of_spoof(scores, is_spoof)
    assert first.low < first.estimate < first.high
    assert (first.n_groups, first.n_resamples, first.level) == (12, 1000, 0.95)


def test_groups_widen_the_interval():
    scores, is_spoof, groups = grouped_trials()
    by_group = bootstrap_interval(eer, scores, is_spoof, groups, rng=np.random.default_rng(1))
    by_clip = bootstrap_interval(eer, scores, is_spoof, range(len(scores)), rng=np.random.default_rng(1))
    assert by_group is not None
    assert by_clip is not None
    assert by_group.high - by_group.low > 2 * (by_clip.high - by_clip.low)


def test_interval_of_a_mean_agrees_with_theory():
    rng = np.random.default_rng(3)
    n = 400
    scores = np.concatenate((rng.normal(size=n), [0.0, 0.0]))
    is_spoof = np.arange(n + 2) < n
    interval = bootstrap_interval(
        mean_of_spoof, scores, is_spoof, range(n + 2), rng=np.random.default_rng(4), n_resamples=2000
    )
    assert interval is not None
    half_width = 1.96 * scores[:n].std() / np.sqrt(n)
    assert interval.low == pytest.approx(interval.estimate - half_width, abs=0.1 * half_width)
    assert interval.high == pytest.approx(interval.estimate + half_width, abs=0.1 * half_width)


def test_level_nests_intervals():
    scores, is_spoof, groups = grouped_trials()
    narrow, wide = (
        bootstrap_interval(eer, scores, is_spoof, groups, rng=np.random.default_rng(1), level=level)
        for level in (0.5, 0.99)
    )
    assert narrow is not None
    assert wide is not None
    assert wide.low < narrow.low <= narrow.high < wide.high


def test_every_resample_holds_both_classes_and_whole_groups():
    seen = []

    def spy(scores, is_spoof):
        seen.append((scores.copy(), is_spoof.copy()))
        return 0.0

    # Scores say which group they are from; "mixed" holds both classes.
    groups = ["a", "a", "b", "c", "c", "c", "d", "mixed", "mixed"]
    scores = np.array([0, 0, 1, 2, 2, 2, 3, 4, 4.0])
    is_spoof = np.array([1, 1, 1, 0, 0, 0, 0, 1, 0], bool)
    interval = bootstrap_interval(spy, scores, is_spoof, groups, rng=np.random.default_rng(0))
    assert interval is not None
    assert len(seen) == 1001
    sizes = {0: 2, 1: 1, 2: 3, 3: 1, 4: 2}
    compositions = set()
    for drawn, labels in seen[1:]:
        assert labels.any()
        assert not labels.all()
        values, counts = np.unique(drawn, return_counts=True)
        assert all(count % sizes[int(value)] == 0 for value, count in zip(values, counts, strict=True))
        compositions.add(tuple(drawn))
    assert len(compositions) > 1


def test_metrics_with_further_arguments_come_as_partials():
    scores, is_spoof, groups = grouped_trials()
    measure = partial(fnr_at_fpr, max_fpr=0.05)
    interval = bootstrap_interval(measure, scores, is_spoof, groups, rng=np.random.default_rng(1))
    assert interval is not None
    assert interval.estimate == measure(scores, is_spoof)


def test_difference_of_a_system_to_itself_is_nothing():
    scores, is_spoof, groups = grouped_trials()
    interval = bootstrap_difference(eer, scores, 2 * scores + 1, is_spoof, groups, rng=np.random.default_rng(1))
    assert interval is not None
    assert (interval.estimate, interval.low, interval.high) == (0.0, 0.0, 0.0)


def test_paired_difference_finds_what_separate_intervals_hide():
    scores, is_spoof, groups = grouped_trials()
    worse = scores - 0.1 * is_spoof
    better_alone, worse_alone = (
        bootstrap_interval(mean_of_spoof, each, is_spoof, groups, rng=np.random.default_rng(1))
        for each in (scores, worse)
    )
    difference = bootstrap_difference(mean_of_spoof, scores, worse, is_spoof, groups, rng=np.random.default_rng(1))
    assert better_alone is not None
    assert worse_alone is not None
    assert difference is not None
    assert better_alone.low < worse_alone.estimate < better_alone.high
    assert (difference.low, difference.estimate, difference.high) == pytest.approx((0.1, 0.1, 0.1))


def test_undefined_resamples_are_left_out_and_counted():
    calls = iter(range(2000))

    def sometimes_undefined(scores, is_spoof):
        return None if next(calls) % 4 == 3 else float(scores.mean())

    scores, is_spoof, groups = grouped_trials()
    interval = bootstrap_interval(sometimes_undefined, scores, is_spoof, groups, rng=np.random.default_rng(1))
    assert interval is not None
    assert interval.n_resamples == 750


@pytest.mark.parametrize(
    ("scores", "labels", "groups"),
    [
        ([], [], []),
        ([1, 2, 3], [1, 1, 1], "abc"),
        ([1, 2, 3, 4], [0, 0, 1, 1], "aabc"),  # all bona fide speech is one group: its spread is unknown
        ([1, 2, 3, 4], [0, 0, 1, 1], "abcc"),
        ([1, 2, 3, 4], [0, 0, 1, 1], "aaaa"),
    ],
)
def test_no_interval_where_the_spread_is_unknown(scores, labels, groups):
    assert bootstrap_interval(eer, scores, labels, groups, rng=np.random.default_rng(1)) is None
    assert bootstrap_difference(eer, scores, scores, labels, groups, rng=np.random.default_rng(1)) is None


def test_a_measure_that_is_never_defined_on_resamples_gives_none():
    calls = iter(range(2000))

    def first_only(scores, is_spoof):
        return 0.1 if next(calls) == 0 else None

    scores, is_spoof, groups = grouped_trials()
    assert bootstrap_interval(first_only, scores, is_spoof, groups, rng=np.random.default_rng(1)) is None


@pytest.mark.parametrize("change", [{"n_resamples": 999}, {"level": 0.0}, {"level": 1.0}, {"groups": "ab"}])
def test_bad_arguments_are_errors(change):
    arguments = {"groups": "abcd", "rng": np.random.default_rng(1)} | change
    with pytest.raises(ScoresError):
        bootstrap_interval(eer, [1, 2, 3, 4], [0, 0, 1, 1], **arguments)


def test_scores_that_are_not_numbers_are_errors():
    with pytest.raises(ScoresError):
        bootstrap_difference(eer, [1, 2, 3, 4], [1, 2, 3, np.nan], [0, 0, 1, 1], "abcd", rng=np.random.default_rng(1))
