"""The marks of others that the benchmark compares with must be what their authors say, or the comparison is unfair."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

SOURCE = Path(__file__).resolve().parents[2] / "benchmarks" / "baseline_marks.py"
PROBS = np.array([0.4, 0.25, 0.15, 0.1, 0.06, 0.04], np.float32)
KEYS = [number.to_bytes(32, "big") for number in range(4000)]


@pytest.fixture(scope="module")
def marks():
    spec = importlib.util.spec_from_file_location("baseline_marks", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def kinds(marks):
    return [
        (marks.HashedGumbelMark, marks.hashed_gumbel_log10_p),
        (marks.TournamentMark, marks.tournament_log10_p),
    ]


def spread(n):
    return np.random.default_rng(1).dirichlet(np.full(n, 0.2)).astype(np.float32)


def test_over_keys_they_leave_the_model_alone(marks):
    for mark_class, _ in kinds(marks):
        ids = []
        for seed, key in enumerate(KEYS):
            mark = mark_class(key, seed)
            ids.append([int(mark.sample(PROBS[None], t)[0]) for t in range(3)])
        for position in range(3):
            counts = np.bincount(np.array(ids)[:, position], minlength=6)
            assert stats.chisquare(counts, PROBS.astype(float) / PROBS.sum() * len(ids)).pvalue > 1e-3


@pytest.mark.parametrize("context_tokens", [1, 4])
def test_they_are_found_with_their_key_and_not_with_another(marks, context_tokens):
    probs = spread(256)
    for mark_class, log10_p in kinds(marks):
        mark = mark_class(KEYS[1], 5, context_tokens)
        ids = [int(mark.sample(probs[None], t)[0]) for t in range(250)]
        assert log10_p(ids, KEYS[1], 256, context_tokens) < -6
        assert log10_p(ids, KEYS[2], 256, context_tokens) > -3


def test_their_p_values_hold_over_keys_also_for_repetitive_tokens(marks):
    ids = [3, 3, 7, 3] * 10 + np.random.default_rng(0).integers(0, 20, 30).tolist()
    for _, log10_p in kinds(marks):
        p = np.array([log10_p(ids, key, 32) for key in KEYS[:600]])
        for level in (0.1, 0.01):
            assert (p <= math.log10(level)).sum() <= stats.binom.ppf(0.9999, len(p), level)
            assert (p <= math.log10(level)).sum() >= stats.binom.ppf(0.0001, len(p), level / 2)


def test_the_gamma_tail_is_exact(marks):
    for n in (1, 5, 200):
        for total in (0.5 * n, n, 2.5 * n):
            expected = stats.gamma.logsf(total, n) / math.log(10)
            assert marks.gamma_log10_p(total, n) == pytest.approx(expected, rel=1e-8)


def test_a_layer_of_the_tournament_is_a_match_between_two_draws(marks):
    """The change of the probabilities against the tournament itself: 2^layers draws, pairs, the larger g wins."""
    bits = marks.tournament_bits(KEYS[3], 9, 6)[:2]
    rng = np.random.default_rng(0)
    draws = rng.choice(6, (60_000, 4), p=PROBS.astype(float) / PROBS.sum())
    for layer in bits:
        left, right = draws[:, 0::2], draws[:, 1::2]
        coin = rng.random(left.shape) < 0.5
        left_wins = np.where(layer[left] == layer[right], coin, layer[left] > layer[right])
        draws = np.where(left_wins, left, right)
    expected = PROBS.astype(float) / PROBS.sum()
    for layer in bits:
        expected = expected * (1 + layer - (expected * layer).sum())
    assert stats.chisquare(np.bincount(draws[:, 0], minlength=6), expected * 60_000).pvalue > 1e-3
