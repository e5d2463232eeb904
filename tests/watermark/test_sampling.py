"""The mark leaves the model's distribution alone, and nothing but the key can see it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from covoguard.watermark.payload import Payload
from covoguard.watermark.sampling import (
    ContextGumbel,
    SlotGumbel,
    audio_step,
    cluster_masses,
    ordinary_draw,
    race,
    race_weights,
)
from covoguard.watermark.stream import payload_stream, slot_uniforms
from covoguard.watermark.table import MarkTable

PROBS = np.array([0.3, 0.2, 0.15, 0.1, 0.08, 0.06, 0.04, 0.03, 0.02, 0.01, 0.006, 0.004], np.float32)
N_KEYS = 20_000
PAYLOAD = Payload(model=3, tenant=700, day=20_000)
LEAST_P = 1e-3
"""A fixed seed gives one p-value per test; a true mark falls below this in one of a thousand seeds."""


def fits(ids, probs):
    """p-value that `ids` were drawn from `probs`."""
    counts = np.bincount(ids, minlength=len(probs))
    assert counts[probs == 0].sum() == 0
    expected = probs[probs > 0].astype(float)
    return stats.chisquare(counts[probs > 0], expected / expected.sum() * len(ids)).pvalue


@pytest.mark.parametrize(("levels", "payload"), [(1, None), (2, PAYLOAD)])
def test_over_keys_a_token_has_the_models_probability(key_of, table_of, levels, payload):
    table = table_of(levels=levels, n_slots=48)
    marks = (SlotGumbel.from_key(key_of(k), table, start_slot=5, payload=payload) for k in range(N_KEYS))
    assert fits(np.concatenate([mark.sample(PROBS[None], 3) for mark in marks]), PROBS) > LEAST_P


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("payload", [None, PAYLOAD])
def test_over_slots_of_one_key_tokens_are_independent_draws_of_the_model(key_of, table_of, levels, payload):
    table = table_of(levels=levels, n_slots=2 * N_KEYS)
    mark = SlotGumbel.from_key(key_of(7), table, start_slot=0, payload=payload)
    ids = mark.sample(np.tile(PROBS, (2 * N_KEYS, 1)), np.arange(2 * N_KEYS))
    assert fits(ids, PROBS) > LEAST_P
    pairs = ids[0::2] * len(PROBS) + ids[1::2]
    common = np.outer(PROBS, PROBS).reshape(-1) * len(pairs) >= 5
    counts = np.bincount(pairs, minlength=len(PROBS) ** 2)
    expected = np.outer(PROBS, PROBS).reshape(-1).astype(float)
    found = np.append(counts[common], counts[~common].sum())
    wanted = np.append(expected[common], expected[~common].sum())
    assert stats.chisquare(found, wanted / wanted.sum() * len(pairs)).pvalue > LEAST_P


def test_context_seeding_has_the_law_of_the_model_over_keys_even_when_contexts_come_back(key_of, table_of):
    table = table_of(3, seeding="context1")
    probs = np.array([[0.5, 0.3, 0.2]], np.float32)
    sequences = []
    for k in range(N_KEYS):
        mark = ContextGumbel.from_key(key_of(k), table, seed=k)
        sequences.append([int(mark.sample(probs, t)[0]) for t in range(3)])
    words = np.array(sequences) @ [9, 3, 1]
    law = np.zeros(27)
    for word in np.ndindex(3, 3, 3):
        law[np.dot(word, [9, 3, 1])] = np.prod(probs[0][list(word)])
    counts = np.bincount(words, minlength=27)
    assert stats.chisquare(counts[law > 0], law[law > 0] / law.sum() * N_KEYS).pvalue > LEAST_P


@pytest.mark.parametrize("levels", [1, 2])
def test_the_right_key_ranks_the_tokens_and_a_wrong_key_ranks_nothing(key_of, table_of, levels):
    table = table_of(levels=levels, n_slots=3000)
    ids = SlotGumbel.from_key(key_of(1), table, start_slot=0).sample(np.tile(PROBS, (3000, 1)), np.arange(3000))
    for purpose in table.purposes[:levels]:
        size = {"token": 12, "cluster": table.n_clusters}[purpose]
        codes = ids if purpose == "token" else table.cluster_of[ids]

        def chosen_numbers(key, purpose=purpose, size=size, codes=codes):
            subkey = table.subkeys(key)[purpose]
            return np.array([slot_uniforms(subkey, t, size)[code] for t, code in enumerate(codes)])

        assert stats.kstest(chosen_numbers(key_of(2)), "uniform").pvalue > LEAST_P
        assert stats.kstest(chosen_numbers(key_of(1)), "uniform").pvalue < 1e-12


def test_the_chosen_number_of_a_token_of_probability_p_follows_beta_of_one_over_p(key_of, table_of):
    table = table_of(n_slots=4000)
    ids = SlotGumbel.from_key(key_of(1), table, start_slot=0).sample(np.tile(PROBS, (4000, 1)), np.arange(4000))
    subkey = table.subkeys(key_of(1))["token"]
    numbers = [slot_uniforms(subkey, t, 12)[0] for t in np.flatnonzero(ids == 0)]
    assert stats.kstest(numbers, stats.beta(1 / PROBS[0], 1).cdf).pvalue > LEAST_P


@given(st.lists(st.floats(0, 1), min_size=12, max_size=12).filter(lambda p: sum(p) > 0.01), st.integers(0, 10_000))
def test_what_a_warper_removed_is_never_chosen(key_of, table_of, weights, number):
    probs = np.array(weights) / sum(weights)
    probs[probs < 0.05] = 0
    probs = (probs / probs.sum()).astype(np.float32)
    for levels in (1, 2):
        mark = SlotGumbel.from_key(key_of(number), table_of(levels=levels), start_slot=number % 4096)
        assert probs[mark.sample(probs[None], 0)[0]] > 0


def test_a_certain_token_is_always_chosen(key_of, table_of):
    probs = np.eye(12, dtype=np.float32)
    for levels in (1, 2):
        mark = SlotGumbel.from_key(key_of(1), table_of(levels=levels), start_slot=0)
        for t in range(50):
            assert mark.sample(probs, t).tolist() == list(range(12))


def test_of_equals_the_lowest_id_is_chosen():
    scores = np.array([[0.1, 0.4, 0.4, 0.1]], np.float32)
    assert race(scores, np.ones((1, 4), np.float32)).tolist() == [1]


def test_the_race_is_gumbel_max():
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(50), 2000)
    u = rng.random((2000, 50))
    expected = (np.log(probs) - np.log(-np.log(u))).argmax(axis=1)
    # float32 may decide otherwise only where two scores differ in the eighth digit
    assert (race(probs.astype(np.float32), race_weights(u)) == expected).mean() > 0.999


def test_positions_count_from_the_start_slot_and_wrap(key_of, table_of):
    table = table_of(n_slots=100)
    rows = np.tile(PROBS, (100, 1))
    at_zero = SlotGumbel.from_key(key_of(1), table, start_slot=0).sample(rows, np.arange(100))
    at_ninety = SlotGumbel.from_key(key_of(1), table, start_slot=90).sample(rows, np.arange(100))
    assert (at_ninety == np.roll(at_zero, -90)).all()


def test_a_batch_chooses_as_its_rows_do_alone(key_of, table_of):
    mark = SlotGumbel.from_key(key_of(1), table_of(levels=2), start_slot=4000)
    rows = np.random.default_rng(1).dirichlet(np.ones(12), 40).astype(np.float32)
    slots = np.arange(40) * 37
    alone = [int(mark.sample(row[None], int(t))[0]) for row, t in zip(rows, slots, strict=True)]
    assert mark.sample(rows, slots).tolist() == alone
    assert mark.sample(rows[:0], 3).shape == (0,)


def test_payload_changes_the_streams_of_its_own_slots_only(key_of, table_of):
    table = table_of(n_slots=480)
    plain = SlotGumbel.from_key(key_of(1), table, start_slot=0)
    marked = SlotGumbel.from_key(key_of(1), table, start_slot=0, payload=PAYLOAD)
    streams = [marked.stream_at(t) for t in range(480)]
    carriers = [t for t, stream in enumerate(streams) if stream != t]
    assert len(carriers) == 240
    assert all(streams[t] in {payload_stream(t, value) for value in range(64)} for t in carriers)
    assert [plain.stream_at(t) for t in range(480)] == list(range(480))
    assert (plain.scheme, marked.scheme) == ("gumbel-slot-1", "gumbel-slot-1-payload")


def test_a_context_that_comes_back_is_drawn_ordinarily(key_of, table_of):
    table = table_of(seeding="context1")
    ids = {seed: [] for seed in (1, 2)}
    for seed, chosen in ids.items():
        mark = ContextGumbel.from_key(key_of(1), table, seed=seed)
        chosen += [int(mark.sample(PROBS[None], t)[0]) for t in range(60)]
    first, second = ids[1], ids[2]
    repeat = next(t for t in range(1, 60) if first[t - 1] in first[: t - 1])
    assert first[:repeat] == second[:repeat], "marked by the key alone, so the ordinary seed plays no part"
    assert first != second


def test_utterances_of_a_context_mark_start_anew_at_slot_zero(key_of, table_of):
    mark = ContextGumbel.from_key(key_of(1), table_of(seeding="context1"), seed=3)
    runs = [[mark.sample(np.tile(PROBS, (2, 1)), t).tolist() for t in range(30)] for _ in range(2)]
    assert runs[0] == runs[1]
    with pytest.raises(ValueError, match="3 rows"):
        mark.sample(np.tile(PROBS, (3, 1)), 30)


def test_the_first_context_is_no_token(table_of):
    assert table_of(12, n_slots=4).first_context == 12
    assert table_of(12, n_slots=64).first_context == 64


# --- speech tokens inside a larger vocabulary --------------------------------------------------------------------


def test_the_mass_of_speech_and_the_law_of_all_tokens_stay(key_of, table_of):
    table = table_of(n_slots=N_KEYS)
    mark = SlotGumbel.from_key(key_of(4), table, start_slot=0)
    speech = range(3, 15)
    probs = np.concatenate([[0.1, 0.05, 0.0], PROBS * 0.7, [0.15]]).astype(np.float32)
    rng = np.random.default_rng(5)
    ids = np.array([audio_step(mark, probs, speech, t, rng) for t in range(N_KEYS)])
    assert fits(ids, probs) > LEAST_P
    share = np.isin(ids, speech).sum()
    assert stats.binomtest(int(share), N_KEYS, 0.7).pvalue > LEAST_P


def test_without_mass_on_speech_none_is_chosen_and_with_all_of_it_nothing_else(key_of, table_of):
    mark = SlotGumbel.from_key(key_of(4), table_of(), start_slot=0)
    rng = np.random.default_rng(5)
    text_only = np.concatenate([[0.5, 0.5], np.zeros(12)]).astype(np.float32)
    speech_only = np.concatenate([[0.0, 0.0], PROBS]).astype(np.float32)
    for t in range(200):
        assert audio_step(mark, text_only, range(2, 14), t, rng) < 2
        assert audio_step(mark, speech_only, range(2, 14), t, rng) == 2 + mark.sample(PROBS[None], t)[0]


@given(st.lists(st.sampled_from([0.0, 0.0, 1e-30, 0.3, 1.0]), min_size=1, max_size=9).filter(any), st.integers(0, 99))
def test_an_ordinary_draw_never_takes_what_has_no_weight(weights, seed):
    assert weights[ordinary_draw(np.array(weights), np.random.default_rng(seed))] > 0


# --- the same everywhere -----------------------------------------------------------------------------------------


def test_cluster_masses_do_not_depend_on_the_order_of_summation():
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.full(4096, 0.02), 5).astype(np.float32)
    cluster_of = rng.integers(0, 16, 4096).astype(np.int32)
    order = rng.permutation(4096)
    masses = cluster_masses(probs, cluster_of, 16)
    assert (cluster_masses(probs[:, order], cluster_of[order], 16) == masses).all()
    assert masses.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_one_step_is_what_it_always_was(key_of, table_of):
    """Golden ids: a change here breaks every mark already out in the world."""
    mark = SlotGumbel.from_key(key_of(1), table_of(levels=1), start_slot=0)
    ids = mark.sample(np.tile(PROBS, (24, 1)), np.arange(24))
    assert ids.tolist() == GOLDEN_FLAT
    mark = SlotGumbel.from_key(key_of(1), table_of(levels=2), start_slot=0, payload=PAYLOAD)
    assert mark.sample(np.tile(PROBS, (24, 1)), np.arange(24)).tolist() == GOLDEN_TWO_LEVELS


GOLDEN_FLAT = [5, 3, 2, 5, 0, 0, 4, 0, 0, 5, 0, 0, 2, 1, 1, 3, 0, 1, 0, 4, 1, 6, 10, 10]
GOLDEN_TWO_LEVELS = [1, 1, 0, 2, 5, 1, 0, 0, 2, 7, 5, 5, 0, 4, 4, 9, 2, 3, 2, 4, 1, 1, 0, 5]

# --- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "probs",
    [
        np.log(PROBS)[None],
        np.zeros((1, 12)),
        np.full((1, 12), np.nan),
        np.where(np.arange(12) == 3, np.inf, PROBS)[None],
        np.where(np.arange(12) == 3, -0.1, PROBS)[None],
        2 * PROBS[None],
        PROBS,
        PROBS[None, :11],
        PROBS[None, None],
    ],
)
def test_what_is_no_distribution_over_the_codebook_is_refused(key_of, table_of, probs):
    mark = SlotGumbel.from_key(key_of(1), table_of(), start_slot=0)
    with pytest.raises(ValueError, match="probabilities"):
        mark.sample(probs, 0)


def test_wrong_tables_start_slots_and_missing_subkeys_are_refused(key_of, table_of):
    key, table = key_of(1), table_of(levels=2)
    with pytest.raises(ValueError, match="start slot"):
        SlotGumbel.from_key(key, table, start_slot=4096)
    with pytest.raises(ValueError, match="context1"):
        SlotGumbel.from_key(key, table_of(seeding="context1"), start_slot=0)
    with pytest.raises(ValueError, match="slot"):
        ContextGumbel.from_key(key, table, seed=0)
    with pytest.raises(ValueError, match="'cluster'"):
        SlotGumbel(table, {"token": bytes(32), "payload": bytes(32)}, 0)


def test_weights_and_keys_are_not_in_reprs(key_of, table_of):
    mark = SlotGumbel.from_key(key_of(1), table_of(levels=2), start_slot=0)
    text = repr(mark) + repr(mark.weights(0, 1)) + repr(vars(mark))
    for subkey in mark.table.subkeys(key_of(1)).values():
        assert subkey.hex() not in text
        assert repr(subkey)[2:-1] not in text


def test_rows_made_in_blocks_are_those_of_their_own_streams():
    key = bytes(range(32))
    table = MarkTable("made-up@1", 12, np.zeros(12, np.int32), (((1.0, 2.0),),), n_slots=100)
    mark = SlotGumbel(table, {"token": key, "payload": key}, start_slot=0)
    for slot in (0, 31, 32, 33, 99):
        expected = race_weights(slot_uniforms(key, slot, 12))
        assert np.array_equal(mark.weights(slot, 1).token[0], expected)
        assert np.array_equal(mark.weights(np.array([slot, 0]), 2).token[0], expected)
