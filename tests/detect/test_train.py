"""Training learns, repeats itself, and balances what it draws."""

from collections import Counter

import numpy as np
import pytest
import torch

from covoguard.detect.examples import Example
from covoguard.detect.train import TrainingRecipe, draw_batch, sampling_weights, schedule, train_network


def make_examples(count, rng):
    """Noise spectra; in spoofs the upper bands flicker more."""
    examples = []
    for index in range(count):
        spoof = index % 2 == 1
        spectra = rng.standard_normal((2, 80, 150)).astype(np.float16)
        if spoof:
            spectra[:, 60:] *= 2.0
        examples.append(Example(spoof, f"group {index % 6}", list(spectra)))
    return examples


def test_a_plain_difference_is_learned():
    recipe = TrainingRecipe(epochs=12, batch=16, crop_s=1.0)
    network = train_network(make_examples(64, np.random.default_rng(1)), recipe, seed=3)
    test = make_examples(40, np.random.default_rng(2))
    with torch.no_grad():
        logits = network(torch.from_numpy(np.stack([each.copies[0] for each in test]).astype(np.float32))).numpy()
    spoof = np.array([each.spoof for each in test])
    assert np.mean((logits > np.median(logits)) == spoof) > 0.9


def test_the_seed_decides_and_leaves_the_global_state_alone():
    recipe = TrainingRecipe(epochs=1, batch=8, crop_s=0.5)
    examples = make_examples(16, np.random.default_rng(1))
    before = torch.random.get_rng_state()
    first, again, other = (train_network(examples, recipe, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_classes_weigh_alike_and_groups_by_the_root_of_their_size():
    labels = [(False, "a")] * 9 + [(False, "b")] + [(True, "c")] * 4
    weights = sampling_weights([Example(spoof, group, []) for spoof, group in labels])
    assert weights[:10].sum() == pytest.approx(0.5)
    assert weights[9] / weights[0] == pytest.approx(3.0)


def test_batches_hold_both_classes_and_soft_targets():
    examples = make_examples(32, np.random.default_rng(4))
    recipe = TrainingRecipe(batch=400, crop_s=0.5, band_mask=0, frame_mask=0, mixup=1e-3)
    spectra, targets = draw_batch(examples, sampling_weights(examples), recipe, np.random.default_rng(5))
    assert spectra.shape == (400, 80, 50)
    counts = Counter(bool(target > 0.5) for target in targets)
    assert 140 < counts[True] < 260
    assert 0.05 - 1e-6 <= targets.min() <= targets.max() <= 0.95 + 1e-6


def test_the_learning_rate_rises_then_falls_to_nothing():
    factors = [schedule(step / 100, 0.1) for step in range(101)]
    assert factors[0] == 0.0
    assert max(factors) == factors[10] == 1.0
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[100] == pytest.approx(0.0)
