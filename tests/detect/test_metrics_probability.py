import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covoguard.detect.metrics.probability import brier, ece, reliability
from covoguard.detect.metrics.trials import ScoresError

trials = st.lists(st.tuples(st.floats(-5, 5), st.booleans()), min_size=2, max_size=40).filter(
    lambda rows: len({label for _, label in rows}) == 2
)
# Posteriors at even odds: a ratio of 1/3 is 0.25, of 1 is 0.5, of 3 is 0.75.
LOG3 = math.log10(3)


def test_brier_of_hand_worked_case():
    # Bona fide at 0.25 and 0.5: (0.0625 + 0.25) / 2 = 0.15625. Spoof at 0.75: 0.0625. Half of each: 0.109375.
    assert brier([-LOG3, 0.0, LOG3], [0, 0, 1]) == pytest.approx(0.109375)


def test_brier_with_a_prior_of_a_quarter():
    # Odds of 1/3: ratio 3 gives 0.5 and ratio 1 gives 0.25. 0.75 * 0.0625 + 0.25 * 0.25 = 0.109375.
    assert brier([0.0, LOG3], [0, 1], prior_spoof=0.25) == pytest.approx(0.109375)


def test_saying_nothing_costs_a_quarter_and_the_truth_nothing():
    assert brier([0, 0, 0], [0, 1, 1]) == pytest.approx(0.25)
    assert ece([0, 0, 0], [0, 1, 1]) == pytest.approx(0.0)  # a half was stated, and half of the weight is spoof
    assert brier([-400, 400], [0, 1]) == 0.0


def test_reliability_and_ece_of_hand_worked_case():
    # Weights 1/4 each. Middles of the weight 1/8, 3/8, 5/8, 7/8: two bins of two clips.
    # Low bin: stated (0.25 + 0.25) / 2, observed 1 of 2; the tie stays together. High: stated 0.75, observed 1 of 2.
    bins = reliability([-LOG3, -LOG3, LOG3, LOG3], [0, 1, 0, 1], n_bins=2)
    assert bins is not None
    assert [each.stated for each in bins] == pytest.approx([0.25, 0.75])
    assert [each.observed for each in bins] == pytest.approx([0.5, 0.5])
    assert [each.n_clips for each in bins] == [2, 2]
    assert ece([-LOG3, -LOG3, LOG3, LOG3], [0, 1, 0, 1], n_bins=2) == pytest.approx(0.25)


@given(trials)
def test_brier_agrees_with_scikit_learn(rows):
    from sklearn.metrics import brier_score_loss

    ratios, labels = map(np.array, zip(*rows, strict=True))
    weights = np.where(labels, 1 / labels.sum(), 1 / (~labels).sum())
    probabilities = 1 / (1 + 10.0**-ratios)
    assert brier(ratios, labels) == pytest.approx(brier_score_loss(labels, probabilities, sample_weight=weights))


@given(trials)
def test_bins_hold_every_clip_once_and_rise(rows):
    ratios, labels = map(np.array, zip(*rows, strict=True))
    bins = reliability(ratios, labels)
    assert bins is not None
    assert sum(each.n_clips for each in bins) == len(rows)
    assert sum(each.weight for each in bins) == pytest.approx(1)
    assert sorted(bins, key=lambda each: each.stated) == list(bins)


@pytest.mark.parametrize("measure", [brier, ece, reliability])
def test_degenerate_input(measure):
    assert measure([], []) is None
    assert measure([1.0, 2.0], [1, 1]) is None
    with pytest.raises(ScoresError):
        measure([1.0, math.nan], [0, 1])
    with pytest.raises(ScoresError):
        measure([1.0, 2.0], [0, 1], prior_spoof=1.0)


def test_no_bins_are_refused():
    with pytest.raises(ScoresError):
        reliability([1.0, 2.0], [0, 1], n_bins=0)
