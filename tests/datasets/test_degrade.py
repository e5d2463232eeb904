"""Degradations: same length, finite, repeatable, and each does what its name says."""

import numpy as np
import pytest

from covoguard.core.rates import DETECTOR_RATE_HZ
from covoguard.datasets.degrade.band import low_pass, telephone
from covoguard.datasets.degrade.chain import ChainRecipe, Sounds, degrade
from covoguard.datasets.degrade.codec import CODECS, round_trip
from covoguard.datasets.degrade.conditions import CONDITIONS
from covoguard.datasets.degrade.equipment import clip, distort
from covoguard.datasets.degrade.noise import add_at_snr, coloured_noise, excerpt
from covoguard.datasets.degrade.room import reverberate, synthetic_response


@pytest.fixture(scope="module")
def voice():
    """Two seconds of a buzzing, gliding tone with pauses: 16 kHz, peak 0.5."""
    time = np.arange(2 * DETECTOR_RATE_HZ) / DETECTOR_RATE_HZ
    pitch_hz = 140 + 30 * np.sin(2 * np.pi * 0.7 * time)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / DETECTOR_RATE_HZ
    buzz = sum(np.sin(k * phase) / k for k in range(1, 40))
    syllables = np.clip(np.sin(2 * np.pi * 3 * time) + 0.3, 0, None)
    samples = buzz * syllables
    return (0.5 * samples / np.max(np.abs(samples))).astype(np.float32)


def loudness(samples):
    """Level per 10 ms."""
    return np.sqrt(np.mean(samples.reshape(-1, 160) ** 2, axis=1))


def band_level(samples, low_hz, high_hz):
    power = np.abs(np.fft.rfft(samples)) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / DETECTOR_RATE_HZ)
    return float(power[(hz >= low_hz) & (hz < high_hz)].sum())


@pytest.mark.parametrize("name", sorted(CODECS))
def test_every_codec_keeps_length_and_content(voice, name):
    codec = CODECS[name]
    decoded = round_trip(voice, codec, max(codec.bit_rates_bps, default=None))
    assert decoded.shape == voice.shape
    assert decoded.dtype == np.float32
    assert np.corrcoef(loudness(voice), loudness(decoded))[0, 1] > 0.95
    assert not np.array_equal(voice, decoded)


def test_noise_comes_at_the_stated_ratio(voice):
    noise = coloured_noise(len(voice), 1.0, np.random.default_rng(1))
    added = add_at_snr(voice, noise, 7.0) - voice
    assert 10 * np.log10(np.mean(voice**2) / np.mean(added**2)) == pytest.approx(7.0, abs=0.01)


def test_noise_on_silence_changes_nothing():
    silence = np.zeros(100, np.float32)
    assert np.array_equal(add_at_snr(silence, np.ones(100, np.float32), 0.0), silence)


def test_coloured_noise_falls_by_its_exponent():
    noise = coloured_noise(DETECTOR_RATE_HZ * 8, 2.0, np.random.default_rng(2))
    ratio = band_level(noise, 400, 800) / band_level(noise, 800, 1600)
    assert 10 * np.log10(ratio) == pytest.approx(3.0, abs=0.7)  # power 1 / f**2 in octaves: 3 dB per octave


def test_excerpt_repeats_what_is_too_short():
    noise = np.arange(5, dtype=np.float32)
    assert len(excerpt(noise, 12, np.random.default_rng(0))) == 12


def test_band_limits_remove_what_lies_outside(voice):
    assert band_level(low_pass(voice, 3000), 4000, 8000) < 1e-3 * band_level(voice, 4000, 8000)
    narrow = telephone(voice)
    assert band_level(narrow, 0, 150) < 0.05 * band_level(voice, 0, 150)
    assert band_level(narrow, 5000, 8000) < 1e-3 * band_level(voice, 5000, 8000)


def test_room_keeps_level_and_place(voice):
    response = synthetic_response(0.4, np.random.default_rng(3))
    wet = reverberate(voice, response)
    assert wet.shape == voice.shape
    assert np.std(wet) == pytest.approx(np.std(voice), rel=0.05)
    delta = np.zeros(50, np.float32)
    delta[20] = 1.0
    assert np.allclose(reverberate(voice, delta), voice, atol=1e-5)


def test_distortion_keeps_the_peak(voice):
    assert np.max(np.abs(distort(voice, np.random.default_rng(4)))) == pytest.approx(0.5, rel=1e-3)


def test_clipping_caps_the_samples(voice):
    assert np.max(np.abs(clip(voice, 0.4))) == pytest.approx(0.2, rel=1e-5)


def test_a_chain_is_repeatable_and_says_what_it_did(voice):
    recipe = ChainRecipe(clean=0.0, speed=0.0, codec=1.0, room=1.0)
    first, stages = degrade(voice, recipe, Sounds(), np.random.default_rng(5))
    second, _ = degrade(voice, recipe, Sounds(), np.random.default_rng(5))
    other, _ = degrade(voice, recipe, Sounds(), np.random.default_rng(6))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)
    assert stages[0] == "room"
    assert any(stage.split(":")[0] in CODECS for stage in stages)


def test_chains_hide_level_silence_and_bit_depth(voice):
    recipe = ChainRecipe(clean=1.0)
    levels = [
        20 * np.log10(np.std(degrade(voice * gain, recipe, Sounds(), np.random.default_rng(seed))[0]))
        for seed, gain in enumerate((0.01, 1.0))
    ]
    assert all(-35 < level < -15 for level in levels)
    with_gap = voice.copy()
    with_gap[:4000] = 0.0
    assert not np.any(degrade(with_gap, recipe, Sounds(), np.random.default_rng(7))[0][:4000] == 0.0)


def test_silence_passes_through_a_chain():
    silence = np.zeros(DETECTOR_RATE_HZ, np.float32)
    out, _ = degrade(silence, ChainRecipe(clean=1.0), Sounds(), np.random.default_rng(8))
    assert np.array_equal(out, silence)


@pytest.mark.parametrize("name", sorted(CONDITIONS))
def test_conditions_keep_length_and_differ_from_clean(voice, name):
    out = CONDITIONS[name](voice, np.random.default_rng(9))
    assert out.shape == voice.shape
    assert np.isfinite(out).all()
    assert np.array_equal(out, voice) == (name == "clean")
