import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covoguard.core.errors import CovoguardError
from covoguard.detect.metrics.eer import (
    auc,
    eer,
    error_rates_at,
    fnr_at_fpr,
    roc_points,
    threshold_at_fpr,
)
from covoguard.detect.metrics.trials import ScoresError

# Few distinct values, so that ties within and between the classes are common.
tied_scores = st.integers(-4, 4).map(float)
trials = st.lists(st.tuples(tied_scores, st.booleans()), min_size=2, max_size=30).filter(
    lambda rows: len({is_spoof for _, is_spoof in rows}) == 2
)


def split(rows):
    scores, is_spoof = zip(*rows, strict=True)
    return np.array(scores), np.array(is_spoof)


def test_eer_of_hand_worked_case_on_a_roc_point():
    # Bona fide 1 2 3 6, spoof 4 5 7 8.
    scores = [1, 2, 3, 6, 4, 5, 7, 8]
    is_spoof = [False] * 4 + [True] * 4
    # From 5 up: fpr 1/4 (the 6), fnr 1/4 (the 4).
    assert eer(scores, is_spoof) == 0.25
    assert error_rates_at(scores, is_spoof, 5) == (0.25, 0.25)


def test_eer_is_interpolated_between_roc_points():
    # Bona fide 1 3, spoof 2 2 4. Points (fpr, fnr): (0, 1) (0, 2/3) (1/2, 2/3) (1/2, 0) (1, 0).
    # From (1/2, 2/3) to (1/2, 0) the line meets fpr = fnr at 1/2; the nearest point would give 7/12.
    assert eer([1, 3, 2, 2, 4], [0, 0, 1, 1, 1]) == 0.5
    # Bona fide 0 1 1, spoof 1 2: points (0, 1) (0, 1/2) (2/3, 0) (1, 0). On the sloping line
    # (2t/3, (1 - t)/2) both are equal at t = 3/7: 2/7.
    assert eer([0, 1, 1, 1, 2], [0, 0, 0, 1, 1]) == pytest.approx(2 / 7, abs=1e-15)


def test_extremes_of_eer_and_auc():
    labels = [False, False, True, True]
    assert eer([0, 1, 2, 3], labels) == 0.0
    assert auc([0, 1, 2, 3], labels) == 1.0
    assert eer([3, 2, 1, 0], labels) == 1.0
    assert auc([3, 2, 1, 0], labels) == 0.0
    assert eer([7, 7, 7, 7], labels) == 0.5
    assert auc([7, 7, 7, 7], labels) == 0.5


def test_roc_points_of_hand_worked_case():
    roc = roc_points([1, 2, 2, 3], [False, False, True, True])
    assert roc is not None
    assert roc.thresholds.tolist() == [math.inf, 3, 2, 1]
    assert roc.fpr.tolist() == [0, 0, 0.5, 1]
    assert roc.fnr.tolist() == [1, 0.5, 0, 0]
    assert (roc.n_bonafide, roc.n_spoof) == (2, 2)


def test_threshold_at_fpr_keeps_ties_together():
    bonafide = [1.0, 2.0, 3.0, 3.0]
    scores, labels = [*bonafide, 3.0, 4.0], [False] * 4 + [True] * 2
    # One of four may be flagged, but the two 3.0 only together: so neither.
    threshold = threshold_at_fpr(scores, labels, 0.25)
    assert threshold == np.nextafter(3.0, 4.0)
    assert error_rates_at(scores, labels, threshold) == (0.0, 0.5)
    assert fnr_at_fpr(scores, labels, 0.25) == 0.5
    assert fnr_at_fpr(scores, labels, 0.5) == 0.0


def test_a_rate_of_29_in_100_allows_29_although_the_product_rounds_below():
    assert 0.29 * 100 < 29
    scores = np.arange(101.0)
    threshold = threshold_at_fpr(scores, scores == 100, 0.29)
    assert np.count_nonzero(scores[:100] >= threshold) == 29


def test_threshold_needs_bona_fide_speech_only():
    assert threshold_at_fpr([1.0, 2.0], [False, False], 0.0) == np.nextafter(2.0, 3.0)
    assert threshold_at_fpr([1.0, 2.0], [True, True], 0.0) is None


@pytest.mark.parametrize("measure", [eer, auc, roc_points])
@pytest.mark.parametrize(("scores", "labels"), [([], []), ([1, 2], [1, 1]), ([1, 2], [0, 0])])
def test_without_both_classes_nothing_is_measured(measure, scores, labels):
    assert measure(scores, labels) is None
    assert error_rates_at(scores, labels, 1.5) is None
    assert fnr_at_fpr(scores, labels, 0.01) is None


@pytest.mark.parametrize("measure", [eer, auc, roc_points])
@pytest.mark.parametrize(
    ("scores", "labels"),
    [
        ([1.0, math.nan], [True, False]),
        ([1.0, math.inf], [True, False]),
        ([1.0, None], [True, False]),
        (["high", "low"], [True, False]),
        ([1.0, 2.0, 3.0], [True, False]),
        ([[1.0], [2.0]], [[True], [False]]),
        ([1.0, 2.0], [1, 2]),
        ([1.0, 2.0], ["spoof", "bonafide"]),
        ([1.0, 2.0], [1.0, 0.0]),
    ],
)
def test_input_that_cannot_be_measured_is_an_error(measure, scores, labels):
    with pytest.raises(ScoresError):
        measure(scores, labels)


def test_scores_error_is_one_of_ours_and_a_value_error():
    assert issubclass(ScoresError, CovoguardError)
    assert issubclass(ScoresError, ValueError)


@pytest.mark.parametrize("rate", [-0.1, 1.0, math.nan])
def test_impossible_false_alarm_rate_is_an_error(rate):
    with pytest.raises(ScoresError):
        threshold_at_fpr([1.0, 2.0], [True, False], rate)


def test_threshold_that_is_not_a_number_is_an_error():
    with pytest.raises(ScoresError):
        error_rates_at([1.0, 2.0], [True, False], math.nan)


def test_numpy_integers_and_lists_are_read_alike():
    assert eer(np.array([1, 2, 3], np.float32), np.array([0, 1, 1], np.int8)) == eer([1, 2, 3], [0, 1, 1])


@given(trials)
def test_auc_agrees_with_its_definition_and_with_scikit_learn(rows):
    from sklearn.metrics import roc_auc_score

    scores, is_spoof = split(rows)
    pairs = scores[is_spoof][:, None] - scores[~is_spoof][None, :]
    by_pairs = np.mean((pairs > 0) + 0.5 * (pairs == 0))
    assert auc(scores, is_spoof) == pytest.approx(by_pairs, abs=1e-12)
    assert auc(scores, is_spoof) == pytest.approx(roc_auc_score(is_spoof, scores), abs=1e-12)


@given(trials)
def test_roc_agrees_with_counting(rows):
    scores, is_spoof = split(rows)
    roc = roc_points(scores, is_spoof)
    assert roc is not None
    for threshold, fpr, fnr in zip(roc.thresholds, roc.fpr, roc.fnr, strict=True):
        assert fpr == np.mean(scores[~is_spoof] >= threshold)
        assert fnr == np.mean(scores[is_spoof] < threshold)
        assert error_rates_at(scores, is_spoof, threshold) == (fpr, fnr)


@given(trials)
def test_eer_agrees_with_exact_fractions(rows):
    scores, is_spoof = split(rows)
    points = [(Fraction(0), Fraction(1))]
    for threshold in sorted(set(scores), reverse=True):
        fpr = Fraction(int(np.sum(scores[~is_spoof] >= threshold)), int(np.sum(~is_spoof)))
        fnr = Fraction(int(np.sum(scores[is_spoof] < threshold)), int(np.sum(is_spoof)))
        points.append((fpr, fnr))
    crossings = []
    for (fpr_a, fnr_a), (fpr_b, fnr_b) in pairwise(points):
        gap_a, gap_b = fnr_a - fpr_a, fnr_b - fpr_b
        if gap_a > 0 >= gap_b:
            crossings.append(fpr_a + gap_a / (gap_a - gap_b) * (fpr_b - fpr_a))
    assert len(crossings) == 1
    assert eer(scores, is_spoof) == pytest.approx(float(crossings[0]), abs=1e-15)


@given(trials)
def test_eer_is_a_rate_and_ignores_monotone_maps_and_order(rows):
    scores, is_spoof = split(rows)
    value = eer(scores, is_spoof)
    assert value is not None
    assert 0 <= value <= 1
    assert eer(np.exp(scores) * 1e-9, is_spoof) == value
    assert eer(3 * scores**3 - 17, is_spoof) == value
    assert eer(scores[::-1], is_spoof[::-1]) == value


@given(trials)
def test_exchanging_sign_and_classes_changes_nothing(rows):
    scores, is_spoof = split(rows)
    assert eer(-scores, ~is_spoof) == pytest.approx(eer(scores, is_spoof), abs=1e-12)
    assert auc(-scores, ~is_spoof) == pytest.approx(auc(scores, is_spoof), abs=1e-12)
    assert auc(-scores, is_spoof) == pytest.approx(1 - auc(scores, is_spoof), abs=1e-12)


@given(trials, st.floats(0, 0.999))
def test_threshold_at_fpr_is_the_lowest_that_keeps_the_rate(rows, max_fpr):
    scores, is_spoof = split(rows)
    threshold = threshold_at_fpr(scores, is_spoof, max_fpr)
    assert threshold is not None
    bonafide = scores[~is_spoof]
    assert np.mean(bonafide >= threshold) <= max_fpr
    assert np.mean(bonafide >= np.nextafter(threshold, -np.inf)) > max_fpr
