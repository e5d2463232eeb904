import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from covoguard.watermark.kgw import GreenListMark, binomial_log10_p, green_list, green_log10_p

PROBS = np.random.default_rng(0).dirichlet(np.full(64, 0.3)).astype(np.float32)
SEEDINGS = ("fixed", "context1", "slot")


def green_subkey(key, table):
    return key.subkey("green", model=table.model, table_sha256=table.sha256)


def marked_ids(key, table, n=150, **settings):
    mark = GreenListMark.from_key(key, table, seed=1, **settings)
    return np.array([int(mark.sample(PROBS[None], t)[0]) for t in range(n)], np.int32)


@pytest.mark.parametrize("seeding", SEEDINGS)
def test_marked_tokens_are_found_with_their_key_and_not_with_another(key_of, table_of, seeding):
    table = table_of(64, n_slots=256)
    ids = marked_ids(key_of(1), table, seeding=seeding, delta=4.0)
    right, wrong = (green_log10_p(ids, table, green_subkey(key_of(k), table), seeding=seeding) for k in (1, 2))
    assert right < -4
    assert wrong > -3


@pytest.mark.parametrize("seeding", SEEDINGS)
@pytest.mark.parametrize("repetitive", [False, True])
def test_p_values_hold_over_keys_also_for_repetitive_tokens(key_of, table_of, seeding, repetitive):
    table = table_of(64, n_slots=16)
    rng = np.random.default_rng(3)
    ids = np.tile([3, 3, 7, 3], 40) if repetitive else rng.choice(64, 160, p=PROBS / PROBS.sum())
    p = [green_log10_p(ids, table, green_subkey(key_of(k), table), seeding=seeding) for k in range(1000)]
    for level in (0.1, 0.01):
        limit = stats.binom.ppf(0.9999, len(p), level)
        assert (np.array(p) <= math.log10(level)).sum() <= limit


def test_a_delta_of_zero_is_the_model(key_of, table_of):
    ids = marked_ids(key_of(1), table_of(64), n=5000, delta=0.0)
    common = PROBS * 5000 >= 5
    counts = np.bincount(ids, minlength=64)
    found = np.append(counts[common], counts[~common].sum())
    wanted = np.append(PROBS[common], PROBS[~common].sum()).astype(float)
    assert stats.chisquare(found, wanted / wanted.sum() * 5000).pvalue > 1e-3


def test_the_mark_is_biased_towards_green(key_of, table_of):
    table = table_of(64)
    green = green_list(green_subkey(key_of(1), table), 0, 64, 0.25)
    ids = marked_ids(key_of(1), table, n=2000, delta=2.0)
    mass = PROBS[green].sum()
    boosted = mass * math.exp(2) / (1 + mass * (math.exp(2) - 1))
    assert green[ids].mean() == pytest.approx(boosted, abs=0.05)


def test_green_lists_have_their_share():
    share = np.mean([green_list(bytes(32), stream, 500, 0.25).mean() for stream in range(400)])
    assert share == pytest.approx(0.25, abs=0.005)


@given(st.integers(1, 400), st.data(), st.sampled_from([0.25, 0.5]))
def test_the_binomial_tail_is_exact(n, data, probability):
    k = data.draw(st.integers(0, n))
    expected = stats.binom.logsf(k - 1, n, probability) / math.log(10)
    assert binomial_log10_p(k, n, probability) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_the_tail_far_below_the_smallest_float():
    assert binomial_log10_p(2000, 2000, 0.25) == pytest.approx(2000 * math.log10(0.25))


@pytest.mark.parametrize("seeding", SEEDINGS)
def test_nothing_to_count_is_no_evidence(table_of, seeding):
    assert green_log10_p(np.zeros(0, np.int32), table_of(64, n_slots=16), bytes(32), seeding=seeding) == 0


def test_a_repeat_is_counted_once(key_of, table_of):
    table = table_of(64)
    subkey = green_subkey(key_of(1), table)
    token = int(np.flatnonzero(green_list(subkey, 0, 64, 0.25))[0])
    assert green_log10_p(np.full(500, token), table, subkey) == pytest.approx(math.log10(0.25))


@pytest.mark.parametrize("settings", [{"gamma": 0.0}, {"gamma": 1.0}, {"delta": -1.0}, {"seeding": "other"}])
def test_settings_that_cannot_be_are_refused(key_of, table_of, settings):
    with pytest.raises(ValueError, match="green-list"):
        GreenListMark.from_key(key_of(1), table_of(64), seed=0, **settings)


def test_other_rows_and_missing_subkeys_are_refused(key_of, table_of):
    mark = GreenListMark.from_key(key_of(1), table_of(64), seed=0)
    mark.sample(PROBS[None], 0)
    with pytest.raises(ValueError, match="2 rows"):
        mark.sample(np.tile(PROBS, (2, 1)), 1)
    with pytest.raises(ValueError, match="'green'"):
        GreenListMark(table_of(64), {}, seed=0)
