"""Each warper does what its definition says, row by row, whatever the other rows ask for."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import RepetitionPenaltyLogitsProcessor, TopKLogitsWarper, TopPLogitsWarper

from covoguard.core.errors import UsageError
from covoguard.generate.covo.decoding.sampling import CovoSampling
from covoguard.generate.covo.decoding.warpers import (
    REMOVED,
    ranked,
    repetition_penalty,
    top_k,
    top_p,
    windowed_penalty,
    with_temperature,
)

SCORES = torch.randn(4, 60, generator=torch.Generator().manual_seed(1)) * 3


def back_in_place(values, ids):
    return torch.empty_like(values).scatter(1, ids, values)


def test_rows_with_settings_of_their_own_are_warped_as_transformers_warps_each():
    penalties, ks, ps, temperatures = [1.0, 1.3, 1.05, 2.0], [0, 5, 50, 1], [1.0, 0.9, 0.4, 0.7], [1.0, 0.5, 2.0, 0.1]
    ids = torch.randint(0, 60, (4, 12), generator=torch.Generator().manual_seed(2))
    lengths = torch.full((4,), 12)
    penalised = repetition_penalty(SCORES, ids, lengths, torch.tensor(penalties))
    values, order = ranked(penalised, 60)
    values = with_temperature(values, torch.tensor(temperatures))
    values = top_p(top_k(values, torch.tensor(ks)), torch.tensor(ps))
    for row in range(4):
        expected = RepetitionPenaltyLogitsProcessor(penalties[row])(ids[row : row + 1], SCORES[row : row + 1].clone())
        expected = expected / temperatures[row]
        if ks[row]:
            expected = TopKLogitsWarper(ks[row])(None, expected)
        if ps[row] < 1:
            expected = TopPLogitsWarper(ps[row])(None, expected)
        assert torch.equal(back_in_place(values, order)[row], expected[0])


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=14),
    st.integers(0, 16),
    st.integers(0, 3),
    st.sampled_from([0.5, 1.0, 1.05, 3.0]),
)
def test_a_window_penalises_each_of_its_ids_once_and_no_other(ids, window, padding, penalty):
    scores = torch.tensor([[-3.0, -torch.inf, 0.0, 1.0, 2.5, -0.1, 7.0, -8.0, 3.0, 4.0]])
    inside = set(ids[-window:] if window else ids)
    expected = [(s * penalty if s < 0 else s / penalty) if v in inside else s for v, s in enumerate(scores[0].tolist())]
    got = windowed_penalty(
        scores,
        torch.tensor([ids + [3] * padding]),
        torch.tensor([len(ids)]),
        torch.tensor([penalty]),
        torch.tensor([window]),
    )
    torch.testing.assert_close(got, torch.tensor([expected]), rtol=1e-6, atol=0)


def test_equals_are_ranked_by_id_and_equals_of_the_k_th_stay():
    scores = torch.tensor([[1.0, 2.0, 2.0, 0.0, 2.0, -torch.inf]])
    for n in (5, 6):
        values, ids = ranked(scores, n)
        assert ids[0].tolist() == [1, 2, 4, 0, 3, 5][:n]
        kept = top_k(values, torch.tensor([2]))
        assert (kept[0] > REMOVED).tolist() == [True, True, True, False, False, False][:n]


def test_top_p_always_leaves_the_best():
    values, _ = ranked(SCORES, 60)
    kept = top_p(values, torch.full((4,), 1e-9))
    assert (kept > REMOVED).sum(dim=1).tolist() == [1, 1, 1, 1]
    assert torch.equal(kept[:, 0], SCORES.amax(dim=1))


def test_settings_are_the_official_ones_and_go_into_a_recipe():
    assert dict(CovoSampling().pairs) == {
        "temperature": 0.5,
        "top_k": 50,
        "top_p": 0.9,
        "repetition_penalty": 1.05,
        "window_penalty": 1.05,
        "window_tokens": 8,
        "max_new_tokens": 2048,
        "greedy": False,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 0.0),
        ("temperature", float("nan")),
        ("top_k", -1),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("repetition_penalty", 0.0),
        ("window_penalty", float("inf")),
        ("window_tokens", -1),
        ("max_new_tokens", 0),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(name, value):
    with pytest.raises(UsageError, match=name):
        CovoSampling(**{name: value})
