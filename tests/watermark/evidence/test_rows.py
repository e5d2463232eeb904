import math

import numpy as np
import pytest

from covoguard.core.records import Posteriors, Segment
from covoguard.watermark.evidence.rows import MIN_WEIGHT, token_rows


def sums(rows):
    return rows.weights.sum(axis=1, dtype=np.float64) + rows.rest


def test_a_row_is_the_mean_of_the_cells_of_one_token(world):
    table = world.table()
    rows = token_rows(world.posteriors([[3, 4], [3, 5], [6, 7]], [[0.5, 0.3], [0.7, 0.2], [0.9, 0.05]]), table)
    assert len(rows) == 2
    assert rows.weights[[0]].toarray()[0, 3:6] == pytest.approx([0.6, 0.15, 0.1])
    assert rows.weights[[1]].toarray()[0, [3, 5, 6, 7]] == pytest.approx([0.35, 0.1, 0.45, 0.025])
    assert rows.top == pytest.approx([0.6, 0.45])
    assert sums(rows) == pytest.approx(1)


def test_one_cell_per_token_is_taken_as_it_is(world):
    rows = token_rows(world.posteriors([[3, 4], [3, 5]], [[0.5, 0.3], [0.7, 0.2]], rate_hz=25), world.table())
    assert len(rows) == 2
    assert rows.rest == pytest.approx([0.2, 0.1])


@pytest.mark.parametrize(
    "probs",
    [
        [[math.nan, 0.5], [0.2, math.inf]],
        [[-3.0, 0.5], [0.2, -0.1]],
        [[5.0, 7.0], [1.0, 1.0]],
        [[0.0, 0.0], [0.0, 0.0]],
    ],
)
def test_what_is_no_distribution_is_put_right(world, probs):
    posteriors = Posteriors(
        np.array([[1, 1], [2, 3]], np.int32), np.array(probs, np.float32), np.full(2, np.nan, np.float32), 25
    )
    rows = token_rows(posteriors, world.table())
    assert sums(rows) == pytest.approx(1)
    assert (rows.rest >= 0).all()
    assert np.isfinite(rows.weights.data).all()


def test_ids_that_are_no_codes_count_as_the_rest(world):
    rows = token_rows(world.posteriors([[-1, 2, 10**6]], [[0.5, 0.2, 0.2]], rate_hz=25), world.table())
    assert rows.rest == pytest.approx([0.8])


def test_repeated_ids_are_one_code_and_small_ones_the_rest(world):
    rows = token_rows(world.posteriors([[7, 7, 8]], [[0.5, 0.3, MIN_WEIGHT / 2]], rate_hz=25), world.table())
    assert rows.weights.nnz == 1
    assert rows.top == pytest.approx([0.8])
    assert sums(rows) == pytest.approx(1)


def test_outside_speech_there_is_no_evidence(world):
    posteriors = world.posteriors(np.full((100, 1), 5), np.full((100, 1), 0.9))
    rows = token_rows(posteriors, world.table(), speed=1.05, speech=[Segment(0.5, 1.0)])
    inside = np.flatnonzero(rows.active)
    assert inside[0] / 50 / 1.05 == pytest.approx(0.5, abs=0.05)
    assert inside[-1] / 50 / 1.05 == pytest.approx(1.0, abs=0.05)
    assert not token_rows(posteriors, world.table(), speech=[]).active.any()


def test_surprisal_picks_the_mixture_and_what_is_unknown_takes_the_last(world):
    table = world.classed_table()
    posteriors = world.posteriors(np.zeros((4, 1)), np.full((4, 1), 0.9), [0.1, 1.0, 5.0, math.nan], rate_hz=25)
    assert token_rows(posteriors, table).mixture.tolist() == [0, 1, 2, 2]
    assert set(token_rows(world.posteriors([[1]], [[0.9]], rate_hz=25), table).mixture.tolist()) == {2}


def test_too_short_gives_no_rows_and_odd_rates_are_refused(world):
    assert len(token_rows(world.posteriors([[1]], [[0.9]]), world.table())) == 0
    assert len(token_rows(world.posteriors(np.zeros((0, 4)), np.zeros((0, 4))), world.table())) == 0
    with pytest.raises(ValueError, match="multiple of 25"):
        token_rows(world.posteriors([[1]], [[0.9]], rate_hz=30), world.table())
