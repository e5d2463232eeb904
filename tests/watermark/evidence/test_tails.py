import math

import numpy as np
import pytest

from covoguard.watermark.evidence.keytables import log_evidence
from covoguard.watermark.evidence.rows import token_rows
from covoguard.watermark.evidence.tails import TILTS, log_e_values, sharp_log_p, tilted_bounds

DRAWS = 40_000


def shapes(world):
    """Rows of several kinds: sure, torn between two, torn between many, unsure, repeated, empty."""
    ids = [[1, 2, 3, 4, 5, 6]] * 7
    probs = [
        [1.0, 0, 0, 0, 0, 0],
        [0.9, 0.05, 0, 0, 0, 0],
        [0.5, 0.5, 0, 0, 0, 0],
        [0.2, 0.2, 0.2, 0.2, 0.1, 0.1],
        [0.1, 0.02, 0, 0, 0, 0],
        [0.4, 0.3, 0.2, 0.05, 0.02, 0],
        [0.0, 0, 0, 0, 0, 0],
    ]
    return world.posteriors(ids, probs, rate_hz=25)


def drawn_evidence(rows, table, world, draws, seed=0):
    """m of every row under `draws` random keys, (draws, n)."""
    rng = np.random.default_rng(seed)
    key = world.random_key(world.table(levels=table.levels, n_slots=draws, mixtures=table.mixtures), rng)
    # a path takes each row at a slot of its own
    return rng.permuted(np.exp(log_evidence(rows, key, 0).astype(np.float64)), axis=1).T


@pytest.mark.parametrize("levels", [1, 2])
def test_the_bounds_lie_above_the_moments(world, levels):
    table = world.table(levels=levels)
    rows = token_rows(shapes(world), table)
    bounds = tilted_bounds(rows, table, all_scored=True)
    assert (bounds[:, 0] == 0).all()
    assert bounds[-1] == pytest.approx(0, abs=1e-12)
    m = drawn_evidence(rows, table, world, DRAWS)
    for index, tilt in enumerate(TILTS.tolist()):
        powers = m**tilt
        error = powers.std(axis=0) / math.sqrt(DRAWS)
        assert (np.exp(bounds[:, index]) >= powers.mean(axis=0) - 4 * error).all()
    # and they are worth having: nearly exact for a row that is sure of one code
    if levels == 1:
        sure = np.log((m[:, :1] ** TILTS).mean(axis=0))
        assert bounds[0] == pytest.approx(sure, abs=0.05)


def test_where_rows_may_go_unscored_no_bound_is_below_zero(world):
    rows = token_rows(shapes(world), world.table())
    assert (tilted_bounds(rows, world.table(), all_scored=False) >= 0).all()


@pytest.mark.parametrize("levels", [1, 2])
def test_the_e_value_of_a_path_has_mean_one_at_most(world, levels):
    table = world.table(levels=levels)
    rows = token_rows(shapes(world), table)
    sums = np.log(drawn_evidence(rows, table, world, DRAWS, seed=1)).sum(axis=1)
    bounds = np.tile(tilted_bounds(rows, table, all_scored=True).sum(axis=0), (DRAWS, 1))
    e_values = np.exp(log_e_values(sums, bounds))
    assert e_values.mean() <= 1 + 4 * e_values.std() / math.sqrt(DRAWS)
    for level in (0.1, 0.01, 0.001):
        assert (e_values >= 1 / level).mean() <= level


def test_the_saddlepoint_is_near_the_truth(world):
    table = world.table()
    simulation = world.Simulation(2)
    rows = token_rows(simulation.hear(simulation.tokens(2)), table).at(np.arange(0, 99, 2))
    sums = np.log(drawn_evidence(rows, table, world, DRAWS, seed=2)).sum(axis=1)
    for level in (0.03, 0.003, 0.0005):
        reached = float(np.quantile(sums, 1 - level))
        log_m = np.full(len(rows), reached / len(rows))
        assert sharp_log_p(log_m, rows, table) / math.log(10) == pytest.approx(math.log10(level), abs=0.35)
    assert sharp_log_p(np.full(len(rows), -1.0), rows, table) == 0.0
