"""The promise: over keys, P(p <= a) <= a, for any sound and any recoverer."""

import math

import numpy as np
import pytest

from covoguard.watermark.evidence.evalue import total_log_e
from covoguard.watermark.evidence.hypotheses import grid_for
from covoguard.watermark.evidence.presence import PresenceTest
from covoguard.watermark.evidence.rows import token_rows
from covoguard.watermark.evidence.search import open_block

KEYS = 400
SLOTS = 128


def sounds(world):
    """Posteriors of many shapes, none of which knows a key."""
    simulation = world.Simulation(1)
    rng = np.random.default_rng(2)
    spoken = simulation.hear(simulation.tokens(3), surprisal=True)
    n = 120
    return {
        "speech": spoken,
        "overconfident": world.posteriors(spoken.ids[:, :1], np.ones((len(spoken.ids), 1)), spoken.surprisal),
        "one code for ever": world.posteriors(np.full((n, 1), 7), np.full((n, 1), 1.0)),
        "two codes in turn": world.posteriors(np.arange(n)[:, None] % 2, np.full((n, 1), 0.99)),
        "random": world.posteriors(rng.integers(0, world.codes, (n, 8)), rng.dirichlet(np.ones(8), n)),
        "hardly anything": world.posteriors(rng.integers(0, world.codes, (n, 2)), np.full((n, 2), 0.05)),
        "not distributions": world.posteriors(rng.integers(-5, world.codes + 5, (n, 4)), rng.normal(0.5, 2, (n, 4))),
        "jumps in surprisal": world.posteriors(
            rng.integers(0, world.codes, (n, 1)), np.full((n, 1), 0.95), rng.exponential(2, n)
        ),
    }


SOUNDS = (
    "speech",
    "overconfident",
    "one code for ever",
    "two codes in turn",
    "random",
    "hardly anything",
    "not distributions",
    "jumps in surprisal",
)


def readings(world, table, posteriors, keys, *, speeds=(1.0,), seed=0):
    test = PresenceTest(table, alpha=0.05)
    rng = np.random.default_rng(seed)
    return [test.test(dict.fromkeys(speeds, posteriors), world.random_key(table, rng)) for _ in range(keys)]


def check_uniform_or_better(log10_e):
    e_values = 10 ** np.array(log10_e)
    assert e_values.mean() <= 1 + 4 * e_values.std() / math.sqrt(len(e_values))
    for level in (0.1, 0.01):
        allowed = level * len(e_values)
        assert (e_values >= 1 / level).sum() <= allowed + 3 * math.sqrt(allowed)


@pytest.mark.parametrize("name", SOUNDS)
def test_evidence_at_speed_one_keeps_to_alpha_for_any_recoverer(world, name):
    table = world.classed_table(n_slots=SLOTS)
    rows = token_rows(sounds(world)[name], table)
    grid = grid_for(len(rows) // 2, 2)
    layers = [grid.layer(1.0, 0, phase) for phase in (0, 1)]
    rng = np.random.default_rng(len(name))
    found = []
    for _ in range(KEYS):
        search = open_block(rows, slice(0, min(len(rows), 200)), world.random_key(table, rng), grid, 1)
        found.append([search.everywhere(layer) for layer in layers])
    check_uniform_or_better([total_log_e(each) / math.log(10) for each in found])
    # any stretch certain by itself, at 5 %
    alarms = [max(layer.log_e_each.max() for layer in each) >= math.log(20) for each in found]
    assert np.mean(alarms) <= 0.05 + 3 * math.sqrt(0.05 / KEYS)


@pytest.mark.parametrize("name", ["overconfident", "random"])
def test_false_alarms_keep_to_alpha_with_the_whole_search(world, name):
    found = readings(world, world.classed_table(n_slots=SLOTS), sounds(world)[name], KEYS // 10, seed=len(name))
    check_uniform_or_better([each.log10_e for each in found])
    assert not any(each.spans for each in found if each.status != "present")


def test_false_alarms_keep_to_alpha_with_all_speeds_and_two_levels(world):
    table = world.table(n_slots=SLOTS, levels=2)
    found = readings(world, table, sounds(world)["speech"], KEYS // 10, speeds=(1.0, 0.95, 1.05), seed=5)
    check_uniform_or_better([each.log10_e for each in found])


def test_false_alarms_keep_to_alpha_over_many_keys_where_only_few_hypotheses_correct_them(world):
    # one slot row per token and hardly any start slots: the e-value is as large as it can be
    table = world.table(n_slots=16, mixtures=(((0.5, 1.0), (0.5, 4.0)),))
    posteriors = world.posteriors(np.arange(12)[:, None], np.full((12, 1), 0.9), rate_hz=25)
    found = readings(world, table, posteriors, KEYS, seed=6)
    check_uniform_or_better([each.log10_e for each in found])
    # so that the test above would notice a wrong weight: the e-value does use what it may
    assert np.mean([10**each.log10_e for each in found]) > 0.3


def test_a_sound_without_evidence_has_the_weight_of_what_was_searched(world):
    # m = 1 everywhere, so E is the prior weight that was evaluated: half for
    # speed 1 and rate 1, of it the plain e-value's share at each start slot, and a little
    posteriors = world.posteriors(np.zeros((200, 1)), np.full((200, 1), 0.011))
    table = world.table(n_slots=SLOTS, mixtures=(((1.0, 1.0),),))
    (reading,) = readings(world, table, posteriors, 1)
    assert 0.37 <= 10**reading.log10_e <= 0.5
    assert reading.log10_p == 0.0
