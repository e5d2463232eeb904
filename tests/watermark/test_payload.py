import datetime
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covoguard.watermark.payload import MIN_MARGIN_NATS, Payload, decode, encode, payload_plan
from covoguard.watermark.table import density_ratio

PAYLOADS = st.builds(Payload, st.integers(0, 15), st.integers(0, 1023), st.integers(0, 65535))
MIXTURE = ((0.4, 1.0), (0.2, 2.0), (0.2, 4.0), (0.2, 16.0))


def clear_scores(payload, strength=10.0):
    scores = np.zeros((12, 64))
    scores[np.arange(12), encode(payload)] = strength
    return scores


def scores_of_sound(rng, sent, n_slots, token_p=0.15):
    """Scores of `n_slots` payload slots: the sent stream's numbers follow Beta(1/p, 1), all others are uniform."""
    scores = np.zeros((12, 64))
    for t in range(n_slots):
        u = rng.random(64)
        if sent is not None:
            u[sent[t % 12]] = rng.random() ** token_p
        scores[t % 12] += np.log(0.2 + 0.8 * density_ratio(MIXTURE, u))
    return scores


@given(PAYLOADS)
def test_a_payload_comes_back(payload):
    symbols = encode(payload)
    assert len(symbols) == 12
    assert all(0 <= symbol < 64 for symbol in symbols)
    reading = decode(clear_scores(payload))
    assert (reading.status, reading.payload) == ("read", payload)
    assert reading.margin_nats > MIN_MARGIN_NATS


@given(PAYLOADS, st.permutations(range(12)), st.lists(st.integers(1, 63), min_size=3, max_size=3))
def test_three_wrong_symbols_are_corrected(payload, order, shifts):
    scores = clear_scores(payload, 30.0)
    for symbol, shift in zip(order, shifts, strict=False):
        scores[symbol] = np.roll(scores[symbol], shift) / 2
    assert decode(scores).payload == payload


@given(PAYLOADS, st.permutations(range(12)))
def test_six_silent_symbols_are_filled_in(payload, order):
    scores = clear_scores(payload, 30.0)
    scores[order[:6]] = 0
    assert decode(scores).payload == payload


@settings(max_examples=40)
@given(PAYLOADS, st.permutations(range(12)), st.integers(0, 2), st.lists(st.integers(1, 63), min_size=2, max_size=2))
def test_errors_and_silence_together_up_to_the_distance_of_the_code(payload, order, n_errors, shifts):
    scores = clear_scores(payload, 40.0)
    for symbol, shift in zip(order[:n_errors], shifts, strict=False):
        scores[symbol] = np.roll(scores[symbol], shift) / 20
    silent = order[n_errors : n_errors + 6 - 2 * n_errors]
    scores[silent] = 0
    assert decode(scores).payload == payload


def test_any_two_codewords_differ_in_seven_symbols_of_twelve():
    payloads = [Payload(m, t, d) for m in (0, 1, 15) for t in (0, 1, 512) for d in (0, 1, 2, 40_000)]
    for one, other in itertools.combinations(map(encode, payloads), 2):
        assert sum(a != b for a, b in zip(one, other, strict=True)) >= 7


def test_sound_with_a_payload_is_read_and_never_wrongly():
    rng = np.random.default_rng(1)
    n_read = 0
    for _ in range(60):
        payload = Payload(int(rng.integers(16)), int(rng.integers(1024)), int(rng.integers(65536)))
        for n_slots in (40, 80, 240):
            reading = decode(scores_of_sound(rng, encode(payload), n_slots))
            assert reading.payload in (None, payload)
            n_read += n_slots == 240 and reading.status == "read"
    assert n_read >= 57


def test_sound_without_a_payload_gives_none():
    rng = np.random.default_rng(2)
    for _ in range(400):
        reading = decode(scores_of_sound(rng, None, 72))
        assert (reading.status, reading.payload) == ("uncertain", None)


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_noise_of_any_strength_whose_evidence_has_mean_one_gives_none(scale):
    rng = np.random.default_rng(3)
    for _ in range(300):
        # log-normal of mean 1, as an e-value must have
        assert decode(rng.normal(-(scale**2) / 2, scale, (12, 64))).payload is None


def test_the_margin_is_the_odds_against_chance_while_little_is_heard():
    margins = [decode(clear_scores(Payload(1, 2, 3), strength)).margin_nats for strength in (0.001, 1, 2, 4, 8, 100)]
    assert margins[0] == pytest.approx(0.012 - 30 * math.log(2), abs=1e-3)
    assert margins == sorted(margins)
    assert all(map(math.isfinite, margins))


def test_the_margin_is_the_odds_against_the_next_payloads_when_much_is_heard():
    payload = Payload(1, 2, 3)
    scores = clear_scores(payload, 30.0)
    scores[3:8] = 0
    # the next payloads share the five silent symbols and differ in two or more of the clear ones: 21 pairs, 63 words
    # for each, one in 64 with a good CRC
    assert decode(scores).margin_nats == pytest.approx(60 - math.log(21 * 63 / 64), abs=0.1)


@pytest.mark.parametrize("scores", [np.zeros((12, 63)), np.zeros(768), np.full((12, 64), np.nan)])
def test_scores_of_another_shape_or_not_finite_are_refused(scores):
    with pytest.raises(ValueError, match="symbol scores"):
        decode(scores)


def test_equal_scores_and_huge_ones_are_read_as_uncertain_or_right():
    assert decode(np.zeros((12, 64))).status == "uncertain"
    assert decode(np.full((12, 64), -1e6)).status == "uncertain"
    assert decode(clear_scores(Payload(9, 9, 9), 1e6)).payload == Payload(9, 9, 9)


@pytest.mark.parametrize(
    ("model", "tenant", "day"), [(16, 0, 0), (0, 1024, 0), (0, 0, 65536), (-1, 0, 0), (0, -1, 0), (0, 0, -1)]
)
def test_values_that_do_not_fit_are_refused(model, tenant, day):
    with pytest.raises(ValueError, match="payload"):
        Payload(model, tenant, day)


def test_days_are_dates():
    payload = Payload.on(datetime.date(2026, 3, 1), model=1, tenant=2)
    assert payload.day == 20_513
    assert payload.date == datetime.date(2026, 3, 1)
    with pytest.raises(ValueError, match="day"):
        Payload.on(datetime.date(1969, 12, 31), model=1, tenant=2)


# --- the plan ----------------------------------------------------------------------------------------------------


@given(st.binary(min_size=32, max_size=32), st.integers(1, 500))
def test_the_plan_gives_half_of_the_slots_to_all_symbols_evenly(subkey, n_slots):
    plan = payload_plan(subkey, n_slots)
    assert plan.shape == (n_slots,)
    assert plan.dtype == np.int8
    for first in range(0, n_slots - 23, 24):
        assert sorted(plan[first : first + 24]) == [-1] * 12 + list(range(12))
    assert (payload_plan(subkey, n_slots + 31)[:n_slots] == plan).all()


def test_the_plan_is_secret():
    plans = np.array([payload_plan(number.to_bytes(32, "big"), 24) for number in range(4000)])
    for slot in range(24):
        counts = np.bincount(plans[:, slot].astype(int) + 1, minlength=13)
        assert abs(counts[0] - 2000) < 5 * math.sqrt(1000)
        assert np.abs(counts[1:] - 4000 / 24).max() < 5 * math.sqrt(4000 / 24)
