"""What the recoverer hears: as many frames as there is sound, whatever the level, and nothing that is not finite."""

import numpy as np
import pytest
import torch
from speech_and_model import spoken

from covoguard.generate.pocket.hearing import BANDS, Hearing

HEARING = Hearing()


def heard(samples):
    return HEARING(torch.from_numpy(np.asarray(samples, np.float32))[None])[0].numpy()


@pytest.fixture(scope="module")
def speech():
    return spoken(8.0)


def test_one_frame_per_ten_milliseconds_for_every_small_length():
    noise = np.random.default_rng(1).standard_normal(700).astype(np.float32)
    for length in [*range(0, 402, 7), 159, 160, 161, 319, 320, 400, 512, 700]:
        frames = heard(noise[:length])
        assert frames.shape == (length // 160, BANDS)
        assert np.isfinite(frames).all()


@pytest.mark.parametrize("gain", [1e-3, 0.05, 4.0, 1000.0])
def test_gain_has_no_effect(speech, gain):
    assert np.allclose(heard(speech * np.float32(gain)), heard(speech), atol=2e-3)


def test_silence_and_nearly_silence_are_finite():
    for samples in (np.zeros(16_000), np.full(16_000, 1e-20), np.r_[np.zeros(16_000), 1.0, np.zeros(16_000)]):
        assert np.isfinite(heard(samples)).all()


def test_a_steady_channel_is_forgotten(speech):
    tilted = np.convolve(speech, [1.0, -0.6], mode="same").astype(np.float32)
    plain, changed = heard(speech), heard(tilted)
    loud = np.abs(speech[: len(plain) * 160]).reshape(-1, 160).max(axis=1) > 0.05
    assert np.abs(plain - changed)[loud].mean() < 0.15 * np.abs(plain)[loud].mean()


def test_sound_that_starts_a_frame_later_is_the_same_a_frame_later(speech):
    plain, late = heard(speech), heard(speech[160:])
    inside = slice(305, len(late) - 305)
    assert np.allclose(late[inside], plain[1:][inside], atol=1e-3)


def test_what_happens_far_away_is_not_heard(speech):
    disturbed = np.r_[speech, np.ones(16_000, np.float32)]
    # 3 s for the level, and 3 s more for the channel, which is a mean over frames that know their level
    near = len(speech) // 160 - 602
    assert np.allclose(heard(disturbed)[:near], heard(speech)[:near], atol=1e-3)


def test_a_batch_is_its_rows(speech):
    both = np.stack([speech[:16_000], speech[16_000:32_000]])
    together = HEARING(torch.from_numpy(both)).numpy()
    assert np.allclose(together[1], heard(both[1]), atol=1e-4)
