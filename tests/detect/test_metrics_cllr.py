import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covoguard.detect.metrics.cllr import cllr, min_cllr
from covoguard.detect.metrics.trials import ScoresError

scores_and_labels = st.lists(
    st.tuples(st.one_of(st.integers(-3, 3).map(float), st.floats(-300, 300)), st.booleans()),
    min_size=2,
    max_size=30,
).filter(lambda rows: len({is_spoof for _, is_spoof in rows}) == 2)


def split(rows):
    scores, is_spoof = zip(*rows, strict=True)
    return np.array(scores), np.array(is_spoof)


def test_cllr_of_hand_worked_case():
    # Ratios 1/3 and 1 for bona fide: log2(4/3) and 1 bit. Ratio 3 for spoof: log2(4/3).
    ratios = np.log10([1 / 3, 1, 3])
    expected = ((math.log2(4 / 3) + 1) / 2 + math.log2(4 / 3)) / 2
    assert cllr(ratios, [0, 0, 1]) == pytest.approx(expected)


def test_saying_nothing_costs_one_bit():
    assert cllr([0, 0, 0], [0, 1, 1]) == pytest.approx(1)
    assert min_cllr([5, 5, 5], [0, 1, 1]) == pytest.approx(1)


def test_misleading_ratios_cost_more_than_one_bit_and_large_ones_do_not_overflow():
    assert cllr([1, -1], [0, 1]) == pytest.approx(math.log2(11))
    assert cllr([1000, -1000], [0, 1]) == pytest.approx(1000 * math.log2(10))
    assert cllr([-1000, 1000], [0, 1]) == 0.0


def test_min_cllr_of_hand_worked_case():
    # In order b s b s: blocks {b}, {s b}, {s}. The middle one has ratio 1 (one of each, equal classes) and
    # costs 1 bit for one of two trials on either side; the outer ones cost nothing.
    assert min_cllr([1, 2, 3, 4], [0, 1, 0, 1]) == pytest.approx(0.5)
    # Two bona fide to one spoof: b, then {s b} with ratio (1/1) / (1/2) = 2.
    expected = (math.log2(1 + 1 / 2) / 1 + math.log2(1 + 2) / 2) / 2
    assert min_cllr([1, 2, 3], [0, 1, 0]) == pytest.approx(expected)


def test_min_cllr_of_separated_and_of_reversed_classes():
    assert min_cllr([1, 2, 3, 4], [0, 0, 1, 1]) == 0.0
    assert min_cllr([4, 3, 2, 1], [0, 0, 1, 1]) == pytest.approx(1)  # no monotone map can turn it round


@pytest.mark.parametrize("measure", [cllr, min_cllr])
def test_degenerate_input(measure):
    assert measure([], []) is None
    assert measure([1.0, 2.0], [1, 1]) is None
    assert measure([1.0, 2.0], [0, 0]) is None
    for scores in ([1.0, math.nan], [math.inf, 0.0]):
        with pytest.raises(ScoresError):
            measure(scores, [0, 1])
    with pytest.raises(ScoresError):
        measure([1.0, 2.0], [0])


@given(scores_and_labels)
def test_min_cllr_is_at_most_cllr_and_at_most_one(rows):
    log10_lr, is_spoof = split(rows)
    lowest, actual = min_cllr(log10_lr, is_spoof), cllr(log10_lr, is_spoof)
    assert lowest is not None
    assert actual is not None
    assert -1e-12 <= lowest <= min(1, actual) + 1e-9


@given(scores_and_labels)
def test_agrees_with_the_formula_in_asvspoof_convention(rows):
    log10_lr, is_spoof = split(rows)
    toward_bonafide = -log10_lr * np.log(10)
    target = np.logaddexp(0, -toward_bonafide[~is_spoof]).mean()
    nontarget = np.logaddexp(0, toward_bonafide[is_spoof]).mean()
    assert cllr(log10_lr, is_spoof) == pytest.approx(0.5 * (target + nontarget) / np.log(2), abs=1e-12)


@given(scores_and_labels)
def test_symmetry_and_monotone_maps(rows):
    scores, is_spoof = split(rows)
    assert cllr(-scores, ~is_spoof) == pytest.approx(cllr(scores, is_spoof), abs=1e-12)
    assert min_cllr(-scores, ~is_spoof) == pytest.approx(min_cllr(scores, is_spoof), abs=1e-9)
    rank = np.unique(scores, return_inverse=True)[1]
    assert min_cllr(rank * 1e-200, is_spoof) == min_cllr(scores, is_spoof)


@given(scores_and_labels, st.integers(2, 4))
def test_repeating_one_class_changes_nothing(rows, times):
    scores, is_spoof = split(rows)
    repeated = np.concatenate((scores[~is_spoof], np.tile(scores[is_spoof], times)))
    labels = np.arange(len(repeated)) >= np.count_nonzero(~is_spoof)
    assert cllr(repeated, labels) == pytest.approx(cllr(scores, is_spoof), abs=1e-9)
    assert min_cllr(repeated, labels) == pytest.approx(min_cllr(scores, is_spoof), abs=1e-9)
