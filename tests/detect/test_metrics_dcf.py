import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covoguard.core.errors import UsageError
from covoguard.detect.metrics.dcf import ASVSPOOF5, DetectionCosts, act_dcf, min_dcf
from covoguard.detect.metrics.trials import ScoresError

scores_and_labels = st.lists(
    st.tuples(st.floats(-5, 5, allow_nan=False), st.booleans()), min_size=2, max_size=30
).filter(lambda rows: len({is_spoof for _, is_spoof in rows}) == 2)


def split(rows):
    scores, is_spoof = zip(*rows, strict=True)
    return np.array(scores), np.array(is_spoof)


def asvspoof5_dcf(bonafide_llr, spoof_llr, threshold):
    """The evaluation plan's own words: bona fide is the target, scores are natural logs in its favour."""
    p_spoof, c_miss, c_fa = 0.05, 1, 10
    miss = np.mean(bonafide_llr < threshold)
    false_alarm = np.mean(spoof_llr >= threshold)
    cost = c_miss * (1 - p_spoof) * miss + c_fa * p_spoof * false_alarm
    return cost / min(c_miss * (1 - p_spoof), c_fa * p_spoof)


def test_bayes_threshold_of_asvspoof5():
    assert pytest.approx(math.log10(1.9)) == ASVSPOOF5.threshold_log10_lr


def test_min_dcf_of_hand_worked_case():
    # Bona fide 0 1 2 3, spoof 2.5 4: (fpr, fnr) = (0, 1/2) from 4 up, (1/4, 0) from 2.5 up.
    # Costs 0.5 * 1/2 = 0.25 and 0.95 * 1/4 = 0.2375; over 0.5: 0.475.
    assert min_dcf([0, 1, 2, 3, 2.5, 4], [0, 0, 0, 0, 1, 1]) == pytest.approx(0.475)


def test_act_dcf_of_hand_worked_case():
    # log10 1.9 = 0.279: of bona fide -1 and 1 the second is flagged; of spoof 0.2 and 3 the first is missed.
    # (0.95 / 2 + 0.5 / 2) / 0.5 = 1.45, while a threshold between 1 and 3 would cost 0.5.
    assert act_dcf([-1, 1, 0.2, 3], [0, 0, 1, 1]) == pytest.approx(1.45)
    assert min_dcf([-1, 1, 0.2, 3], [0, 0, 1, 1]) == pytest.approx(0.5)


def test_a_ratio_at_the_bayes_threshold_is_not_flagged():
    at_threshold = ASVSPOOF5.threshold_log10_lr
    assert act_dcf([at_threshold, 9.0], [0, 1]) == 0.0
    assert act_dcf([-9.0, at_threshold], [0, 1]) == 1.0


def test_useless_systems_cost_one():
    labels = [False, False, True, True]
    assert min_dcf([1, 1, 1, 1], labels) == 1.0
    assert act_dcf([0, 0, 0, 0], labels) == 1.0  # flags nothing: the better trivial system
    assert act_dcf([9, 9, 9, 9], labels) == pytest.approx(1.9)  # flags everything: worse than that
    assert min_dcf([-1, -2, 1, 2], labels) == 0.0
    assert act_dcf([-1, -2, 1, 2], labels) == 0.0


def test_costs_shift_the_better_trivial_system():
    rare = DetectionCosts(prior_spoof=0.5, cost_flagged_bonafide=1, cost_missed_spoof=4)
    assert rare.threshold_log10_lr == pytest.approx(-math.log10(4))
    assert act_dcf([0, 0], [0, 1], rare) == 1.0  # flags everything, which is the better trivial system here


@pytest.mark.parametrize("measure", [min_dcf, act_dcf])
def test_degenerate_input(measure):
    assert measure([], []) is None
    assert measure([1.0, 2.0], [1, 1]) is None
    assert measure([1.0, 2.0], [0, 0]) is None
    with pytest.raises(ScoresError):
        measure([1.0, math.nan], [0, 1])
    with pytest.raises(ScoresError):
        measure([1.0, 2.0], [0, 1, 1])


@pytest.mark.parametrize("costs", [(0, 1, 1), (1, 1, 1), (0.5, 0, 1), (0.5, 1, -1), (0.5, math.inf, 1)])
def test_impossible_costs_are_refused(costs):
    with pytest.raises(UsageError):
        DetectionCosts(*costs)


@given(scores_and_labels)
def test_min_is_at_most_actual_and_both_are_in_range(rows):
    log10_lr, is_spoof = split(rows)
    lowest, actual = min_dcf(log10_lr, is_spoof), act_dcf(log10_lr, is_spoof)
    assert lowest is not None
    assert actual is not None
    assert 0 <= lowest <= min(1, actual)
    assert actual <= 1.9 + 1 + 1e-12


@given(scores_and_labels)
def test_agrees_with_the_plan_in_its_own_convention(rows):
    log10_lr, is_spoof = split(rows)
    bonafide_llr, spoof_llr = -log10_lr[~is_spoof] * np.log(10), -log10_lr[is_spoof] * np.log(10)
    actual = asvspoof5_dcf(bonafide_llr, spoof_llr, -np.log(1.9))
    assert act_dcf(log10_lr, is_spoof) == pytest.approx(actual, abs=1e-12)
    candidates = [*np.concatenate((bonafide_llr, spoof_llr)), np.inf]
    lowest = min(asvspoof5_dcf(bonafide_llr, spoof_llr, threshold) for threshold in candidates)
    assert min_dcf(log10_lr, is_spoof) == pytest.approx(lowest, abs=1e-12)


@given(scores_and_labels)
def test_min_dcf_ignores_monotone_maps(rows):
    scores, is_spoof = split(rows)
    rank = np.unique(scores, return_inverse=True)[1].astype(float)
    assert min_dcf(rank**3 + 2, is_spoof) == min_dcf(scores, is_spoof)
