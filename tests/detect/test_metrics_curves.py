import numpy as np
import pytest

from covoguard.detect.metrics.curves import det_points, histogram, tippett_points
from covoguard.detect.metrics.eer import auc, eer, error_rates_at, roc_points, threshold_at_eer


def drawn(n=2000, seed=3):
    rng = np.random.default_rng(seed)
    is_spoof = np.arange(n) % 2 == 0
    return rng.normal(size=n) + is_spoof, is_spoof


def test_det_of_hand_worked_case():
    # From nothing flagged to everything: scores 4 (spoof), 3 (bona fide), 2 (spoof), 1 (bona fide).
    points = det_points([1, 2, 3, 4], [0, 1, 0, 1])
    assert points == ((0, 1), (0, 0.5), (0.5, 0.5), (0.5, 0), (1, 0))


def test_thinned_det_points_are_operating_points_and_few():
    scores, is_spoof = drawn()
    points, roc = det_points(scores, is_spoof), roc_points(scores, is_spoof)
    assert points is not None
    assert roc is not None
    assert set(points) <= set(zip(roc.fpr.tolist(), roc.fnr.tolist(), strict=True))
    assert len(points) < len(roc.fpr) / 2
    assert sorted(points, key=lambda each: (each.fpr, -each.fnr)) == list(points)


def test_roc_and_auc_agree_with_scikit_learn():
    from sklearn.metrics import roc_auc_score, roc_curve

    scores, is_spoof = drawn(400)
    scores = np.round(scores, 1)  # with ties
    fpr, tpr, thresholds = roc_curve(is_spoof, scores, drop_intermediate=False)
    roc = roc_points(scores, is_spoof)
    assert roc is not None
    assert roc.fpr == pytest.approx(fpr)
    assert 1 - roc.fnr == pytest.approx(tpr)
    assert roc.thresholds[1:] == pytest.approx(thresholds[1:])
    assert auc(scores, is_spoof) == pytest.approx(roc_auc_score(is_spoof, scores))


def test_tippett_of_hand_worked_case():
    # At -1 or above: all of either class. At 0: half of bona fide. At 2: one of two spoofs.
    points = tippett_points([-1.0, 0.0, 0.0, 2.0], [0, 0, 1, 1])
    assert points == ((-1.0, 1.0, 1.0), (0.0, 0.5, 1.0), (2.0, 0.0, 0.5))


def test_histogram_counts_every_clip_once():
    scores, is_spoof = drawn(500)
    bins = histogram(scores, is_spoof, n_bins=7)
    assert bins is not None
    assert (len(bins.edges), sum(bins.bonafide), sum(bins.spoof)) == (8, 250, 250)
    # Bins of width 1 from 0 to 2: 0 and 0.5 in the first, 1.5 and 2 in the second.
    assert histogram([0, 0.5, 1.5, 2], [0, 0, 1, 0], n_bins=2) == ((0.0, 1.0, 2.0), (2, 1), (0, 1))


def test_threshold_at_eer_of_hand_worked_case():
    # Between 2 and 3 one of two spoofs (2) is missed and one of two bona fide clips (3) flagged: both 1/2.
    assert threshold_at_eer([1, 2, 3, 4], [0, 1, 0, 1]) == 2.5
    assert threshold_at_eer([1, 2, 3, 4], [0, 0, 1, 1]) == 2.5
    tied = threshold_at_eer([1, 1], [0, 1])
    assert error_rates_at([1, 1], [0, 1], tied) == (0.0, 1.0)


def test_at_that_threshold_the_rates_are_near_the_eer():
    scores, is_spoof = drawn()
    rates, value = error_rates_at(scores, is_spoof, threshold_at_eer(scores, is_spoof)), eer(scores, is_spoof)
    assert (rates.fpr, rates.fnr) == pytest.approx((value, value), abs=0.002)


def test_degenerate_input():
    for curve in (det_points, tippett_points, threshold_at_eer):
        assert curve([], []) is None
        assert curve([1.0, 2.0], [1, 1]) is None
    assert histogram([], []) is None
