import math

import numpy as np
import pytest

from covoguard.core.records import Posteriors
from covoguard.watermark.evidence.context import best_codes, context_values
from covoguard.watermark.evidence.keytables import prepare_key
from covoguard.watermark.evidence.presence import PresenceTest
from covoguard.watermark.evidence.rows import token_rows
from covoguard.watermark.sampling import ContextGumbel


def marked(world, table, seconds, seed, **how):
    simulation = world.Simulation(seed, clarity=3.0, entropy_bits=4.0)
    probs = simulation.probs(round(seconds * 25))
    mark = ContextGumbel(table, world.subkeys(1), seed)
    ids = np.array([mark.sample(row[None], slot)[0] for slot, row in enumerate(probs)])
    return simulation.hear((ids, -np.log2(probs[np.arange(len(ids)), ids])), **how)


@pytest.mark.parametrize("levels", [1, 2])
def test_a_context_mark_is_found_and_another_key_not(world, levels):
    table = world.table(seeding="context1", levels=levels)
    test = PresenceTest(table)
    sound = marked(world, table, 10, 1, first_cell=1.0)
    reading = test.test({1.0: sound}, test.prepare(world.subkeys(1)))
    assert reading.status == "present"
    assert reading.spans[0].start_s < 1
    assert reading.spans[-1].end_s > 7  # later most contexts have come before
    assert test.test({1.0: sound}, test.prepare(world.subkeys(2))).status == "absent"


def test_a_context_mark_is_found_at_another_tempo(world):
    table = world.table(seeding="context1")
    test = PresenceTest(table)
    reading = test.test({1.0: marked(world, table, 10, 2, token_cells=2.1)}, test.prepare(world.subkeys(1)))
    assert reading.status == "present"
    assert reading.best.rate == pytest.approx(1.05, abs=0.01)


def test_each_context_is_scored_once(world):
    table = world.table(seeding="context1")
    rows = token_rows(world.posteriors([[3], [4], [3], [4], [3]], np.full((5, 1), 0.9), rate_hz=25), table)
    assert best_codes(rows).tolist() == [3, 4, 3, 4, 3]
    log_m = context_values(rows, prepare_key(table, world.subkeys(1)))(rows, 0)
    assert (log_m[:3] != 0).all()  # the first token, after a 3, after a 4
    assert (log_m[3:] == 0).all()


def test_rows_without_codes_have_no_best_code(world):
    rows = token_rows(world.posteriors([[3, 9], [1, 2]], [[0.2, 0.7], [0.0, 0.0]], rate_hz=25), world.table())
    assert best_codes(rows).tolist() == [9, world.codes]


def test_false_alarms_keep_to_alpha_however_repetitive_the_sound(world):
    table = world.table(seeding="context1", mixtures=(((0.5, 1.0), (0.5, 6.0)),))
    rng = np.random.default_rng(3)
    ids = np.concatenate((np.arange(40) % 3, rng.integers(0, 9, 20)))[:, None]
    sound: Posteriors = world.posteriors(ids, np.full((60, 1), 0.95), rate_hz=25)
    test = PresenceTest(table, alpha=0.01)
    found = [test.test({1.0: sound}, test.prepare(world.subkeys(number))) for number in range(150)]
    e_values = np.array([10**each.log10_e for each in found])
    for level in (0.1, 0.02):
        assert (e_values >= 1 / level).mean() <= level + 3 * math.sqrt(level / len(found))
    assert e_values.mean() <= 1 + 4 * e_values.std() / math.sqrt(len(found))
