import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covoguard.detect.metrics.eer import eer
from covoguard.detect.metrics.per_group import FamilyEer, per_family_eer
from covoguard.detect.metrics.trials import ScoresError


def test_hand_worked_table():
    # Bona fide 1 2 3 4 for all. "easy" lies above, "hard" below, "middling" at 2.5 and 9.
    scores = [1, 2, 3, 4, 5, 6, 0, 2.5, 9]
    is_spoof = [False] * 4 + [True] * 5
    families = [None, None, "ignored", "", "easy", "easy", "hard", "middling", "middling"]
    table = per_family_eer(scores, is_spoof, families)
    assert table is not None
    assert table.families == (
        FamilyEer("hard", 1.0, 1),
        FamilyEer("middling", 0.5, 2),
        FamilyEer("easy", 0.0, 2),
    )
    assert table.n_bonafide == 4
    assert table.macro_mean == 0.5
    assert table.worst(2) == table.families[:2]


def test_macro_mean_weighs_families_alike_where_the_pooled_figure_does_not():
    bonafide = np.arange(100.0)
    easy, hard = np.full(900, 1000.0), np.full(10, -1.0)
    scores = np.concatenate((bonafide, easy, hard))
    is_spoof = np.arange(len(scores)) >= 100
    families = [None] * 100 + ["easy"] * 900 + ["hard"] * 10
    table = per_family_eer(scores, is_spoof, families)
    assert table is not None
    assert table.macro_mean == 0.5
    assert eer(scores, is_spoof) < 0.02


def test_worst_five_and_order_of_equal_families():
    names = [f"family {letter}" for letter in "gfedcba"]
    table = per_family_eer([0.0, *range(1, 8)], [False] + [True] * 7, [None, *names])
    assert table is not None
    assert [row.family for row in table.worst()] == sorted(names)[:5]
    assert len(table.worst(50)) == 7


def test_degenerate_input():
    assert per_family_eer([], [], []) is None
    assert per_family_eer([1.0], [True], ["a"]) is None
    assert per_family_eer([1.0], [False], [None]) is None


@pytest.mark.parametrize(
    ("scores", "families"),
    [
        ([1.0, 2.0], [None, None]),
        ([1.0, 2.0], [None, ""]),
        ([1.0, 2.0], ["a"]),
        ([1.0, np.nan], [None, "a"]),
    ],
)
def test_bad_input_is_an_error(scores, families):
    with pytest.raises(ScoresError):
        per_family_eer(scores, [False, True], families)


@given(st.lists(st.tuples(st.integers(-3, 3), st.sampled_from(["", "a", "b"])), max_size=30))
def test_each_row_is_the_eer_of_that_family_alone(rows):
    scores = np.array([score for score, _ in rows], dtype=float)
    families = [family for _, family in rows]
    is_spoof = np.array([family != "" for family in families], dtype=bool)
    table = per_family_eer(scores, is_spoof, families)
    assert (table is None) == (len(set(is_spoof.tolist())) < 2)
    for row in table.families if table is not None else ():
        kept = ~is_spoof | (np.array(families) == row.family)
        assert row.eer == eer(scores[kept], is_spoof[kept])
        assert row.n_spoof == families.count(row.family)
