import math
from itertools import pairwise

import numpy as np
import pytest

from covoguard.core.records import Segment
from covoguard.watermark.evidence.hypotheses import grid_for
from covoguard.watermark.evidence.presence import PresenceTest
from covoguard.watermark.evidence.rows import token_rows
from covoguard.watermark.evidence.search import open_block, search_rates

ALPHA = 1e-6


@pytest.fixture(scope="module")
def table(world):
    return world.classed_table()


@pytest.fixture(scope="module")
def tables(world, table):
    return PresenceTest(table).prepare(world.subkeys(1))


def overlap(spans, start_s, end_s):
    """Intersection over union of spans and the truth."""
    shared = sum(max(0, min(end_s, span.end_s) - max(start_s, span.start_s)) for span in spans)
    return shared / (end_s - start_s + sum(span.duration_s for span in spans) - shared)


def marked(world, table, seconds, seed, **how):
    simulation = world.Simulation(seed)
    return simulation.hear(simulation.tokens(seconds, world.mark(table)), surprisal=True, **how)


# --- found -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first_cell", [0.0, 0.5, 1.0, 1.5])
def test_ten_seconds_are_found_wherever_the_tokens_begin(world, table, tables, first_cell):
    for seed in range(3):
        reading = PresenceTest(table).test({1.0: marked(world, table, 10, seed, first_cell=first_cell)}, tables)
        assert reading.status == "present"
        assert reading.log10_p <= -10
        assert reading.log10_p == -reading.log10_e
        assert reading.log10_p_sharp == pytest.approx(reading.log10_p, rel=0.2)
        assert reading.best.start_slot in (99, 100)
        assert overlap(reading.spans, 0, 10) > 0.9
        assert reading.seconds_used == pytest.approx(10, abs=0.05)
        assert reading.seconds_needed is None


@pytest.mark.parametrize("rate", [1 / 1.05, 1 / 0.95, 0.93, 1.013])
def test_another_tempo_is_found_blind(world, table, tables, rate):
    posteriors = marked(world, table, 10, 4, token_cells=2 * rate, first_cell=0.7)
    reading = PresenceTest(table).test({1.0: posteriors}, tables)
    assert reading.status == "present"
    assert reading.best.rate == pytest.approx(rate, abs=0.005)
    assert overlap(reading.spans, 0, 10 * rate) > 0.9


@pytest.mark.parametrize("speed", [0.95, 1.05])
def test_another_speed_is_found_in_its_pass_and_placed_in_the_sound_as_given(world, table, tables, speed):
    asked = []

    def recover(wanted):
        asked.append(wanted)
        simulation = world.Simulation(9)
        return marked(world, table, 10, 5) if wanted == speed else simulation.hear(simulation.tokens(10))

    reading = PresenceTest(table).test(recover, tables)
    assert asked[0] == 1.0
    assert speed in asked
    assert reading.status == "present"
    assert reading.best.speed == speed
    assert overlap(reading.spans, 0, 10 / speed) > 0.9


def test_what_is_plain_at_speed_one_asks_for_no_other(world, table, tables):
    asked = []

    def recover(speed):
        asked.append(speed)
        return marked(world, table, 10, 6)

    assert PresenceTest(table).test(recover, tables).status == "present"
    assert asked == [1.0]


def test_marked_stretches_inside_a_long_sound_are_placed(world):
    table = world.table(n_slots=4096)
    simulation = world.Simulation(7)
    parts, truth, at_s = [], [], 0.0
    for index, seconds in enumerate((21, 10, 30, 12, 18)):
        mark = world.mark(table, start_slot=900 * index) if index % 2 else None
        parts.append(simulation.hear(simulation.tokens(seconds, mark)))
        truth += [(at_s, at_s + seconds)] if mark else []
        at_s += seconds
    reading = PresenceTest(table).test({1.0: world.joined(*parts)}, PresenceTest(table).prepare(world.subkeys(1)))
    assert reading.status == "present"
    assert len(reading.spans) == 2
    for span, (start_s, end_s) in zip(reading.spans, truth, strict=True):
        assert overlap([span], start_s, end_s) > 0.85
        assert span.log10_p <= math.log10(ALPHA)
    assert all(earlier.end_s <= later.start_s for earlier, later in pairwise(reading.spans))


def test_sound_longer_than_the_slots_is_found_block_by_block(world):
    table = world.classed_table(n_slots=200)
    posteriors = marked(world, table, 40, 8)
    reading = PresenceTest(table).test({1.0: posteriors}, PresenceTest(table).prepare(world.subkeys(1)))
    assert reading.status == "present"
    assert overlap(reading.spans, 0, 40) > 0.9


# --- not found ---------------------------------------------------------------------------------------


def test_another_key_and_unmarked_speech_are_absent(world, table):
    test = PresenceTest(table)
    simulation = world.Simulation(11)
    unmarked = simulation.hear(simulation.tokens(10), surprisal=True)
    for posteriors, number in ((marked(world, table, 10, 10), 2), (unmarked, 1)):
        reading = test.test(dict.fromkeys((1.0, 0.95, 1.05), posteriors), test.prepare(world.subkeys(number)))
        assert reading.status == "absent"
        assert reading.log10_p > -2
        assert reading.spans == ()
        assert reading.seconds_needed == pytest.approx(1.3, abs=0.5)


def test_too_little_says_how_much_it_takes(world, table, tables):
    posteriors = marked(world, table, 0.6, 12)
    reading = PresenceTest(table).test({1.0: posteriors}, tables)
    assert reading.status == "absent"
    assert 0.6 < reading.seconds_needed < 6


def test_where_speech_is_not_there_is_nothing_to_find(world, table, tables):
    posteriors = marked(world, table, 10, 13)
    test = PresenceTest(table)
    reading = test.test({1.0: posteriors}, tables, speech=[])
    assert (reading.status, reading.reason, reading.log10_p) == ("not_checked", "no_speech", None)
    inside = test.test({1.0: posteriors}, tables, speech=[Segment(2, 8)])
    assert inside.status == "present"
    assert inside.seconds_used == pytest.approx(6, abs=0.1)
    assert overlap(inside.spans, 2, 8) > 0.9


@pytest.mark.parametrize("cells", [0, 1])
def test_shorter_than_a_token_is_not_checked(world, table, tables, cells):
    posteriors = world.posteriors(np.zeros((cells, 3)), np.full((cells, 3), 0.3))
    reading = PresenceTest(table).test({1.0: posteriors}, tables)
    assert (reading.status, reading.reason) == ("not_checked", "too_short")
    assert reading.to_evidence().p_value is None


@pytest.mark.parametrize("cells", [2, 3, 5, 9, 30])
def test_any_length_from_one_token_on_is_read(world, table, tables, cells):
    rng = np.random.default_rng(cells)
    for probs in (rng.normal(0, 3, (cells, 3)), np.full((cells, 3), math.nan), np.full((cells, 3), 1e30)):
        posteriors = world.posteriors(rng.integers(-9, 999, (cells, 3)), probs)
        reading = PresenceTest(table).test(dict.fromkeys((1.0, 0.95, 1.05), posteriors), tables)
        assert reading.status in ("absent", "not_checked")


# --- how ---------------------------------------------------------------------------------------------


def test_the_coarse_search_finds_what_the_full_search_finds(world, table, tables):
    rate = 0.961
    for seed in range(3):
        rows = token_rows(marked(world, table, 6, 20 + seed, token_cells=2 * rate, first_cell=0.4), table)
        grid = grid_for(len(rows) // 2, 2)
        search = open_block(rows, slice(0, len(rows)), tables, grid, 1)
        layers = [grid.layer(1.0, step, phase) for step in grid.steps(1.0) if step for phase in (0, 1)]
        full = max((search.everywhere(layer) for layer in layers), key=lambda each: each.log_e_each.max())
        found = max(search_rates(search, 1.0), key=lambda each: each.log_e_each.max())
        assert found.log_e_each.max() == pytest.approx(full.log_e_each.max(), abs=1.0)
        assert found.layer.rate == pytest.approx(full.layer.rate, abs=0.006)


def test_no_hypothesis_is_counted_twice(world, table, tables):
    rows = token_rows(marked(world, table, 6, 30, token_cells=2.08), table)
    grid = grid_for(len(rows) // 2, 2)
    found = search_rates(open_block(rows, slice(0, len(rows)), tables, grid, 1), 1.0)
    layers = [each.layer for each in found]
    assert len(set(layers)) == len(layers)
    assert all(layer.step != 0 for layer in layers)


def test_the_same_reading_every_time(world, table, tables):
    posteriors = dict.fromkeys((1.0, 0.95, 1.05), marked(world, table, 5, 31, token_cells=2.1))
    assert PresenceTest(table).test(posteriors, tables) == PresenceTest(table).test(posteriors, tables)


def test_gone_speeds_only_cost_power_but_speed_one_must_be_there(world, table, tables):
    test = PresenceTest(table)
    assert test.test({1.0: marked(world, table, 1, 32)}, tables).status == "absent"
    with pytest.raises(KeyError):
        test.test({1.05: marked(world, table, 5, 32)}, tables)


def test_the_record_of_a_reading(world, table, tables):
    reading = PresenceTest(table).test({1.0: marked(world, table, 10, 33)}, tables)
    evidence = reading.to_evidence(model_sha256="ab")
    assert (evidence.kind, evidence.status, evidence.model_sha256) == ("token_mark", "present", "ab")
    assert evidence.score == reading.log10_e
    assert 0 < evidence.p_value <= 1e-10
    assert evidence.segments == tuple(Segment(span.start_s, span.end_s) for span in reading.spans)


def test_what_cannot_be_is_refused(world, table, tables):
    with pytest.raises(ValueError, match="alpha"):
        PresenceTest(table, alpha=0)
    with pytest.raises(ValueError, match="another mark table"):
        PresenceTest(world.table()).test({1.0: marked(world, table, 1, 34)}, tables)
