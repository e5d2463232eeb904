"""One utterance is found beside its copies, whatever made them, and no other one with it."""

import numpy as np
import pytest
import sound_files as sounds

from covoguard.datasets.copies import COPIES
from covoguard.datasets.utterances import same_utterances, utterance_spectrum

RATE_HZ = 16_000


def speech(seed, seconds=2.0):
    """Syllables of random length and colour."""
    rng = np.random.default_rng(seed)
    parts = []
    while sum(map(len, parts)) < seconds * RATE_HZ:
        length = int(rng.uniform(0.08, 0.3) * RATE_HZ)
        voiced = sounds.speech_like(length / RATE_HZ, RATE_HZ, seed=int(rng.integers(1_000_000)))[:length]
        colour = rng.standard_normal(48) * np.exp(-np.arange(48) / rng.uniform(2, 12))
        parts.append(np.convolve(voiced, colour, mode="same") * rng.uniform(0.2, 1.0))
        parts.append(np.zeros(int(rng.uniform(0.0, 0.12) * RATE_HZ)))
    samples = np.concatenate(parts)[: int(seconds * RATE_HZ)]
    noise = 1e-3 * rng.standard_normal(len(samples))
    return (samples / np.abs(samples).max() * 0.5 + noise).astype(np.float32)


def found(*clips):
    return same_utterances([utterance_spectrum(clip) for clip in clips])


@pytest.fixture(scope="module")
def others():
    return [speech(seed) for seed in range(20, 26)]


def test_a_vocoders_copy_is_the_same_utterance(others):
    recording = speech(1)
    copy = COPIES.get("griffin-lim")().copy(recording, np.random.default_rng(2))
    assert found(recording, *others, copy) == [(0, 7)]


@pytest.mark.parametrize("shift_s", [-0.2, 0.1, 0.22])
def test_beginnings_may_lie_apart(others, shift_s):
    recording, cut = speech(2), round(abs(shift_s) * RATE_HZ)
    later, earlier = (recording, recording[cut:]) if shift_s > 0 else (recording[cut:], recording)
    assert found(*others, later, 0.1 * earlier) == [(6, 7)]


def test_colour_and_level_do_not_matter_and_the_order_of_syllables_does(others):
    recording = speech(3)
    coloured = np.convolve(recording, [1.0, -0.7, 0.2], mode="same").astype(np.float32)
    turned = recording[::-1].copy()
    assert found(recording, turned, 3.0 * coloured) == [(0, 2)]


def test_what_holds_too_little_is_compared_with_nothing(others):
    short = speech(4, 0.5)
    silence, nothing = np.zeros(RATE_HZ, np.float32), np.zeros(0, np.float32)
    assert found(short, short, silence, silence, nothing, others[0]) == []
    assert found() == []


def test_more_clips_than_a_block_give_the_same_pairs(others, monkeypatch):
    clips = [speech(1), *others, 0.5 * speech(1), speech(2), 0.5 * speech(2)]
    whole = found(*clips)
    monkeypatch.setattr("covoguard.datasets.utterances._BLOCK", 3)
    assert found(*clips) == whole == [(0, 7), (8, 9)]
