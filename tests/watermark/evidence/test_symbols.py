import datetime

import numpy as np
import pytest

from covoguard.watermark.evidence.presence import PresenceTest
from covoguard.watermark.evidence.symbols import symbol_scores
from covoguard.watermark.payload import Payload, decode

PAYLOAD = Payload.on(datetime.date(2026, 3, 1), model=3, tenant=700)


def test_a_payload_is_read_along_the_spans_and_presence_comes_from_the_other_slots(world):
    table = world.classed_table(n_slots=4096)
    test = PresenceTest(table)
    simulation = world.Simulation(1, entropy_bits=4)
    tokens = simulation.tokens(30, world.mark(table, start_slot=4000, payload=PAYLOAD))
    sound = simulation.hear(tokens, first_cell=0.6, surprisal=True)
    tables = test.prepare(world.subkeys(1), payload=True)
    reading = test.test({1.0: sound}, tables)
    assert reading.status == "present"
    scores = symbol_scores(sound, reading.spans, tables, 1.0)
    assert scores.shape == (12, 64)
    read = decode(scores)
    assert (read.status, read.payload) == ("read", PAYLOAD)
    assert not symbol_scores(sound, reading.spans, tables, 1.05).any()


def test_without_payload_nothing_is_read(world):
    table = world.classed_table(n_slots=4096)
    test = PresenceTest(table)
    simulation = world.Simulation(2)
    sound = simulation.hear(simulation.tokens(10, world.mark(table)), surprisal=True)
    tables = test.prepare(world.subkeys(1))
    scores = symbol_scores(sound, test.test({1.0: sound}, tables).spans, tables, 1.0)
    assert np.isfinite(scores).all()
    assert decode(scores).status == "uncertain"


def test_context_marks_have_no_payload(world):
    table = world.table(seeding="context1")
    with pytest.raises(ValueError, match="needs seeding 'slot'"):
        symbol_scores(world.posteriors([[1]], [[1.0]]), (), PresenceTest(table).prepare(world.subkeys(1)), 1.0)
