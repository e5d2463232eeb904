import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covoguard.detect.metrics.coverage import risk_coverage
from covoguard.detect.metrics.eer import error_rates_at
from covoguard.detect.metrics.trials import ScoresError


def test_hand_worked_case():
    # Threshold 0. Confidences: spoof 3 and 1, bona fide -2 and 0.5 (the one that is wrong); each clip weighs 1/4.
    # 3 alone: 1/4, no error. Then -2: 1/2. Then 1: 3/4. Then 0.5: all, 1/4 wrong.
    curve = risk_coverage([3, 1, -2, 0.5], [1, 1, 0, 0], 0.0)
    assert curve is not None
    assert curve.coverage == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert curve.error == pytest.approx([0, 0, 0, 0.25])


def test_equal_confidence_is_decided_together():
    curve = risk_coverage([1, -1, 1, -1], [1, 1, 0, 0], 0.0)
    assert curve is not None
    assert (curve.coverage.tolist(), curve.error.tolist()) == ([1.0], [0.5])


def test_classes_weigh_alike_and_clips_without_score_are_never_decided():
    # Three spoofs of 1/6 each, one of them unscored (1/6 is never decided); one bona fide clip of 1/2, wrong.
    curve = risk_coverage([5, 5, 1], [1, 1, 0], 0.0, unscored_spoof=1)
    assert curve is not None
    assert curve.coverage == pytest.approx([1 / 3, 5 / 6])
    assert curve.error == pytest.approx([0, (1 / 2) / (5 / 6)])


@given(
    st.lists(st.tuples(st.floats(-5, 5), st.booleans()), min_size=2, max_size=30).filter(
        lambda rows: len({label for _, label in rows}) == 2
    ),
    st.floats(-5, 5),
)
def test_at_full_coverage_the_error_is_the_mean_of_both_rates(rows, threshold):
    scores, labels = map(np.array, zip(*rows, strict=True))
    curve, rates = risk_coverage(scores, labels, threshold), error_rates_at(scores, labels, threshold)
    assert curve is not None
    assert rates is not None
    assert curve.coverage[-1] == pytest.approx(1)
    assert curve.error[-1] == pytest.approx((rates.fpr + rates.fnr) / 2)
    assert np.all(np.diff(curve.coverage) > 0)


def test_degenerate_input():
    assert risk_coverage([], [], 0.0) is None
    assert risk_coverage([1.0], [1], 0.0) is None
    for threshold, unscored in ((np.inf, 0), (np.nan, 0), (0.0, -1)):
        with pytest.raises(ScoresError):
            risk_coverage([1.0, 2.0], [0, 1], threshold, unscored_spoof=unscored)
