"""The making of the pocket model, step by step: what does not need flite."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from pocket_model import random_codec

from covoguard.datasets.degrade.chain import Sounds
from covoguard.generate.pocket.language_model import PocketLanguageModel, Shape
from covoguard.generate.training.corpus import Utterance
from covoguard.generate.training.features import Features
from covoguard.generate.training.language_model import spoken
from covoguard.pipeline import train_pocket


@pytest.fixture(scope="module")
def items():
    frames = 80
    tracks = [np.full(frames, value, np.float32) for value in (4.8, 1, -10)]
    features = Features(np.full((frames, 64), -5, np.float32), *tracks)
    utterance = Utterance("me", "slt", features, ("pau", "m", "iy"), (0.2, 0.5, 0.8))
    return [spoken(utterance, [0, 1, 2], [True, True, False], np.array(utterance.phone_ends_s)) for _ in range(3)]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return train_pocket.Workshop(tmp_path_factory.mktemp("work"), Sounds([], []))


def test_without_the_letter_to_sound_model_it_says_what_to_do(tmp_path):
    result = CliRunner().invoke(train_pocket.main, ["--work", str(tmp_path / "work"), "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "letter_to_sound.safetensors: missing; make it with" in result.output
    assert not (tmp_path / "work").exists()


def test_pairs_of_corpus_tokens_are_labelled_and_repeatable(shop, items):
    codec = random_codec()
    first, again = ([*train_pocket.corpus_pairs(shop, codec, items, 3, seed=4)] for _ in range(2))
    assert len(first) == 3
    for pair, same in zip(first, again, strict=True):
        assert np.array_equal(pair.mel, same.mel)
        assert np.array_equal(pair.ids, same.ids)
        assert (pair.ids >= 0).mean() > 0.7
        assert np.isnan(pair.surprisal_bits).all()


def test_pairs_of_sampled_tokens_come_from_few_items_too(shop, items):
    torch.manual_seed(1)
    model = PocketLanguageModel(Shape(3, width=32, layers=1, heads=4, key_heads=2, hidden=64)).eval()
    with torch.no_grad():
        # eight steps or so per phone: long enough to be kept
        model.advance[-1].bias.copy_(torch.tensor([2.5, 0.0, -50.0, -50.0]))
    pairs = [*train_pocket.sampled_pairs(shop, random_codec(), model, items, 96, seed=2)]
    assert pairs
    for pair in pairs:
        inside = pair.ids >= 0
        assert np.isfinite(pair.surprisal_bits[inside]).all()
        assert np.isnan(pair.surprisal_bits[~inside]).all()
