import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covoguard.watermark.evidence.keytables import (
    N_BINS,
    binned_ratio,
    expand_streams,
    log_evidence,
    path_evidence,
    prepare_key,
)
from covoguard.watermark.evidence.rows import token_rows
from covoguard.watermark.payload import payload_plan
from covoguard.watermark.stream import slot_uniforms
from covoguard.watermark.table import density_ratio

exponents = st.lists(st.floats(1, 500), min_size=1, max_size=5)


@given(exponents)
def test_the_steps_have_mean_one_and_rise(values):
    steps = binned_ratio(tuple((1 / len(values), value) for value in values))
    assert steps.mean() == pytest.approx(1, abs=1e-12)
    assert (steps >= 0).all()
    assert (np.diff(steps) >= -1e-9).all()


def test_the_steps_are_the_density_ratio(world):
    middle = (np.arange(N_BINS) + 0.5) / N_BINS
    assert binned_ratio(world.mixture) == pytest.approx(density_ratio(world.mixture, middle), rel=2e-3)


@pytest.mark.parametrize("levels", [1, 2])
def test_the_bins_are_the_samplers_numbers(world, levels):
    table = world.table(levels=levels, n_slots=70)
    tables = prepare_key(table, world.subkeys(3))
    for slot in (0, 1, 63, 64, 69):
        uniforms = slot_uniforms(world.subkeys(3)["token"], slot, world.codes)
        assert np.array_equal(tables.token_bins[:, slot], np.floor(uniforms * N_BINS))
    assert (tables.cluster_bins is None) == (levels == 1)


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("payload", [False, True])
def test_all_slots_at_once_are_what_single_paths_are(world, levels, payload):
    table = world.classed_table(levels=levels, n_slots=100)
    simulation = world.Simulation(1)
    rows = token_rows(simulation.hear(simulation.tokens(3), surprisal=True), table)
    tables = prepare_key(table, world.subkeys(1), payload=payload)
    everything = log_evidence(rows, tables, 40)
    assert everything.shape == (len(rows), 140)
    assert np.array_equal(everything[:, 100:], everything[:, :40])
    for start in (0, 7, 99):
        slots = (start + np.arange(len(rows))) % 100
        assert path_evidence(rows, tables, slots) == pytest.approx(everything[np.arange(len(rows)), slots], abs=1e-4)
    silent = payload_plan(world.subkeys(1)["payload"], 100) >= 0
    assert (everything[:, :100][:, silent] == 0).all() == payload


def test_streams_in_place_of_slots(world):
    table = world.table(n_slots=32)
    tables = prepare_key(table, world.subkeys(1))
    assert np.array_equal(expand_streams(tables, [5, 31]).token_bins, tables.token_bins[:, [5, 31]])


def test_a_prepared_key_shows_no_secret_and_needs_all_subkeys(world):
    subkeys = world.subkeys(1)
    shown = repr(prepare_key(world.table(n_slots=8), subkeys))
    assert not any(repr(secret)[2:-1] in shown or secret.hex() in shown for secret in subkeys.values())
    with pytest.raises(ValueError, match="'payload' is missing"):
        prepare_key(world.table(), {"token": bytes(32)})
