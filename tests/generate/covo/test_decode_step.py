"""Our decode step gives the logits of transformers' own model, on the very same weights."""

import copy

import pytest
import torch
from transformers import DynamicCache

from covoguard.core.errors import UsageError
from covoguard.generate.covo.decoding.decode_step import DecodeStep, join_weights

TOLERANCE = 5e-4
PROMPTS = (3, 11, 20)


@pytest.fixture
def llm(backbone):
    return copy.deepcopy(backbone)


def read(llm, ids):
    cache = DynamicCache(config=llm.config)
    llm.model(input_ids=ids[None], past_key_values=cache, use_cache=True)
    return cache


def decoded(llm, step, sequences, n_steps, reach):
    """Logits (steps, rows, vocabulary) after each token that follows the prompts."""
    for row, (ids, n) in enumerate(zip(sequences, PROMPTS, strict=True)):
        step.load_rows(torch.tensor([row]), read(llm, ids[:n]))
    rows = [
        step(
            torch.stack([ids[n + t] for ids, n in zip(sequences, PROMPTS, strict=True)]),
            torch.tensor(PROMPTS) + t,
            reach,
        )
        for t in range(n_steps)
    ]
    return torch.stack(rows)


@pytest.fixture
def sequences():
    generator = torch.Generator().manual_seed(3)
    return [torch.randint(0, 104, (n + 8,), generator=generator) for n in PROMPTS]


def test_rows_at_positions_of_their_own_get_the_logits_of_transformers(backbone, llm, sequences):
    got = decoded(llm, DecodeStep(llm, 3, 64), sequences, 8, reach=28)
    for row, (ids, n) in enumerate(zip(sequences, PROMPTS, strict=True)):
        expected = backbone(ids[None]).logits[0, n:]
        torch.testing.assert_close(got[:, row], expected, rtol=0, atol=TOLERANCE)


def test_places_beyond_a_row_change_nothing(llm, sequences):
    step = DecodeStep(llm, 3, 64)
    near = decoded(llm, step, sequences, 8, reach=28)
    for each in (*step.keys, *step.values):
        each[:, :, 28:] = 1e4
    torch.testing.assert_close(decoded(llm, step, sequences, 8, reach=64), near, rtol=0, atol=1e-5)


def test_weights_are_held_once_and_the_model_goes_on_working(backbone, llm):
    before = {name: parameter.clone() for name, parameter in llm.named_parameters()}
    first, second = DecodeStep(llm, 1, 8), DecodeStep(llm, 1, 8)
    attention = llm.model.layers[1].self_attn
    storages = {each.untyped_storage().data_ptr() for each in llm.parameters()}
    joined = {layer.qkv.untyped_storage().data_ptr() for layer in (*first._layers, *second._layers)}
    assert joined <= storages
    assert attention.q_proj.weight.untyped_storage().data_ptr() == attention.v_proj.weight.untyped_storage().data_ptr()
    assert all(torch.equal(parameter, before[name]) for name, parameter in llm.named_parameters())
    ids = torch.arange(9)[None]
    assert torch.equal(llm(ids).logits, backbone(ids).logits)


def test_weights_that_only_share_a_storage_are_not_taken_for_joined():
    whole = torch.arange(12.0).reshape(6, 2)
    parts = [torch.nn.Parameter(whole[4:]), torch.nn.Parameter(whole[:4])]
    assert join_weights(parts).tolist() == [*whole[4:].tolist(), *whole[:4].tolist()]


def test_bfloat16_stays_near_float32(backbone, llm, sequences):
    exact = decoded(llm, DecodeStep(llm, 3, 32), sequences, 8, reach=28)
    half = copy.deepcopy(backbone).to(torch.bfloat16)
    rounded = decoded(half, DecodeStep(half, 3, 32), sequences, 8, reach=28).float()
    assert (rounded - exact).abs().mean() < 0.1 * exact.std()


def test_a_model_of_another_kind_is_refused(llm):
    llm.config.hidden_act = "gelu"
    with pytest.raises(UsageError, match="no plain Qwen2"):
        DecodeStep(llm, 1, 8)
