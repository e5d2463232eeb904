"""The pointer language model: whole sequences and single steps agree, and the sampler keeps its promises."""

import numpy as np
import pytest
import torch
from transformers import DynamicCache

from covoguard.generate.pocket.language_model import (
    MAX_HELD_STEPS,
    START_TOKEN,
    PocketLanguageModel,
    Shape,
    phone_windows,
)
from covoguard.generate.pocket.sampling import (
    MAX_STEPS_PER_PHONE,
    Line,
    Sampling,
    sample_tokens,
    sampling_probabilities,
)

PHONES = 5


def small_model(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        shape = Shape(PHONES, width=32, layers=2, heads=4, key_heads=2, hidden=64)
        return PocketLanguageModel(shape).eval()


@pytest.fixture(scope="module")
def model():
    return small_model()


def always_advancing(steps):
    """A model whose pointer moves by so many phones after each token."""
    model = small_model()
    with torch.no_grad():
        model.advance[-1].weight.zero_()
        model.advance[-1].bias.copy_(torch.where(torch.arange(4) == steps, 50.0, -50.0))
    return model


def line(n_phones, seed, *, voice=0, mark=None, first_slot=0):
    phones = np.random.default_rng(seed).integers(PHONES, size=n_phones)
    windows = phone_windows([int(phone) for phone in phones], [bool(phone % 2) for phone in phones])
    return Line(windows, voice, seed, mark, first_slot)


class Listening:
    """A mark that takes the likeliest token and writes down what it was asked."""

    scheme = "listening"

    def __init__(self):
        self.slots = []
        self.probs = []

    def sample(self, probs, slot):
        self.slots.append(slot)
        self.probs.append(probs[0])
        return probs.argmax(axis=1).astype(np.int32)


def test_windows_show_the_phones_around_and_mark_word_starts():
    windows = phone_windows([2, 0, 4], [True, False, True])
    assert windows.tolist() == [[0, 6, 1, 10, 0], [6, 1, 10, 0, 0], [1, 10, 0, 0, 0]]


def test_whole_sequences_and_single_steps_agree(model):
    rng = torch.Generator().manual_seed(3)
    tokens = torch.randint(1024, (2, 9), generator=rng)
    windows = torch.randint(2 * PHONES + 1, (2, 9, 5), generator=rng)
    held = torch.randint(MAX_HELD_STEPS + 1, (2, 9), generator=rng)
    previous = torch.cat([torch.full((2, 1), START_TOKEN), tokens[:, :-1]], dim=1)
    voice = torch.tensor([0, 1])
    with torch.no_grad():
        whole, advance = model(model.inputs(previous, windows, held, voice), tokens)
        cache = DynamicCache()
        for t in range(9):
            step = slice(t, t + 1)
            embedded = model.inputs(previous[:, step], windows[:, step], held[:, step], voice)
            hidden = model.backbone(inputs_embeds=embedded, past_key_values=cache, use_cache=True).last_hidden_state
            assert torch.allclose(model.next_token(hidden)[:, 0], whole[:, t], atol=1e-4)
            assert torch.allclose(model.advance_logits(hidden, tokens[:, step])[:, 0], advance[:, t], atol=1e-4)


def test_temperature_sharpens_and_top_p_cuts_the_tail():
    logits = np.log(np.array([[0.5, 0.3, 0.15, 0.05]], np.float32))
    assert np.allclose(sampling_probabilities(logits, Sampling()), [[0.5, 0.3, 0.15, 0.05]], atol=1e-6)
    squared = np.array([0.25, 0.09, 0.0225, 0.0025])
    assert np.allclose(sampling_probabilities(logits, Sampling(temperature=0.5)), squared / squared.sum(), atol=1e-6)
    assert np.allclose(sampling_probabilities(logits, Sampling(top_p=0.79)), [[0.625, 0.375, 0, 0]], atol=1e-6)
    assert np.allclose(sampling_probabilities(logits, Sampling(top_p=0.9)), [[0.5263, 0.3158, 0.1579, 0]], atol=1e-3)
    assert np.allclose(sampling_probabilities(logits, Sampling(top_p=1e-6)), [[1, 0, 0, 0]])
    large = sampling_probabilities(np.array([[1e4, 0, -1e4]], np.float32), Sampling(top_p=0.5))
    assert large.tolist() == [[1, 0, 0]]
    assert large.dtype == np.float32


def test_the_same_seed_says_the_same_and_reports_what_it_drew(model):
    first, again = (sample_tokens(model, [line(12, 5)], Sampling())[0] for _ in range(2))
    assert np.array_equal(first.ids, again.ids)
    other = sample_tokens(model, [Line(line(12, 5).windows, 0, 6)], Sampling())[0]
    assert not np.array_equal(first.ids, other.ids)
    assert first.ids.dtype == np.int32
    assert first.surprisal_bits.shape == first.entropy_bits.shape == first.ids.shape
    assert (first.surprisal_bits > 0).all()
    assert (first.entropy_bits <= 10 + 1e-5).all()


def test_a_batch_says_what_its_lines_say_alone(model):
    lines = [line(n, seed, voice=seed % 2) for seed, n in enumerate((3, 14, 1, 8))]
    together = sample_tokens(model, lines, Sampling(0.9, 0.95))
    for one, said in zip(lines, together, strict=True):
        alone = sample_tokens(model, [one], Sampling(0.9, 0.95))[0]
        assert np.array_equal(said.ids, alone.ids)
        assert np.allclose(said.surprisal_bits, alone.surprisal_bits, atol=1e-3)


def test_no_lines_and_lines_without_phones(model):
    assert sample_tokens(model, [], Sampling()) == []
    silent, spoken = sample_tokens(model, [line(0, 1), line(4, 2)], Sampling())
    assert len(silent.ids) == 0
    assert len(spoken.ids) > 0


def test_a_mark_chooses_at_its_own_slots_from_what_would_be_sampled(model):
    mark, settings = Listening(), Sampling(0.8, 0.9)
    plain = line(9, 3)
    marked, unmarked = sample_tokens(model, [line(9, 4, mark=mark, first_slot=100), plain], settings)
    assert mark.slots == list(range(100, 100 + len(marked.ids)))
    assert [int(probs.argmax()) for probs in mark.probs] == marked.ids.tolist()
    assert np.allclose([probs.sum() for probs in mark.probs], 1, atol=1e-5)
    assert np.allclose([-np.log2(probs.max()) for probs in mark.probs], marked.surprisal_bits, atol=1e-4)
    assert np.array_equal(unmarked.ids, sample_tokens(model, [plain], settings)[0].ids)


def test_a_line_that_is_said_stops_while_others_go_on():
    marks = [Listening(), Listening()]
    lines = [line(3, 1, mark=marks[0]), line(10, 2, mark=marks[1])]
    said = sample_tokens(always_advancing(3), lines, Sampling())
    assert [len(one.ids) for one in said] == [len(mark.slots) for mark in marks] == [1, 4]


def test_a_model_that_never_moves_on_is_cut_off():
    said = sample_tokens(always_advancing(0), [line(4, 1)], Sampling())[0]
    assert len(said.ids) == 4 * MAX_STEPS_PER_PHONE
