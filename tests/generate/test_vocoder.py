"""The vocoder without a network: what is asked for in pitch, voicing and level is what sounds."""

import numpy as np
import pytest

from covoguard.generate.pocket.acoustics import HOP_SAMPLES, MEL_BANDS, RATE_HZ, mel_filters
from covoguard.generate.pocket.vocoder import synthesise

FRAMES = 100


def sound(*, f0_hz=120.0, voiced=1.0, level=-4.0, breath_db=-30.0, frames=FRAMES, seed=0):
    return synthesise(
        np.full((frames, MEL_BANDS), level, np.float32),
        np.full(frames, np.log(f0_hz), np.float32),
        np.full(frames, voiced, np.float32),
        np.full(frames, breath_db, np.float32),
        seed=seed,
    )


def autocorrelation(samples):
    middle = samples[len(samples) // 4 : 3 * len(samples) // 4].astype(np.float64)
    power = np.fft.irfft(np.abs(np.fft.rfft(middle, 2 * len(middle))) ** 2)[: len(middle)]
    return power / power[0]


@pytest.mark.parametrize("frames", [1, 2, 3, 7, 100])
def test_every_frame_gives_ten_milliseconds_of_float32(frames):
    made = sound(frames=frames)
    assert made.shape == (frames * HOP_SAMPLES,)
    assert made.dtype == np.float32
    assert np.isfinite(made).all()


def test_the_seed_draws_the_noise_and_nothing_else():
    assert np.array_equal(sound(breath_db=-6), sound(breath_db=-6))
    assert not np.array_equal(sound(breath_db=-6, seed=0), sound(breath_db=-6, seed=1))


@pytest.mark.parametrize("f0_hz", [75.0, 120.0, 210.0, 333.0])
def test_the_pitch_is_the_one_asked_for(f0_hz):
    similarity = autocorrelation(sound(f0_hz=f0_hz))
    shortest = RATE_HZ // 400
    period = shortest + similarity[shortest : RATE_HZ // 60].argmax()
    octaves = np.log2(RATE_HZ / period / f0_hz)
    assert octaves == pytest.approx(round(octaves), abs=0.02), "a multiple of the period is as similar"
    assert similarity[round(RATE_HZ / f0_hz)] > 0.7


def test_a_glide_is_followed():
    f0_hz = np.linspace(100, 200, FRAMES)
    level = np.full((FRAMES, MEL_BANDS), -4, np.float32)
    ones, breath = np.ones(FRAMES, np.float32), np.full(FRAMES, -30, np.float32)
    made = synthesise(level, np.log(f0_hz).astype(np.float32), ones, breath, seed=0)
    for centre, expected_hz in ((20, f0_hz[20]), (80, f0_hz[80])):
        piece = made[(centre - 8) * HOP_SAMPLES : (centre + 8) * HOP_SAMPLES]
        similarity = autocorrelation(piece)
        period = 60 + similarity[60:200].argmax()
        assert RATE_HZ / period == pytest.approx(expected_hz, rel=0.05)


def test_unvoiced_sound_has_no_period():
    assert np.abs(autocorrelation(sound(voiced=0.0, f0_hz=120))[40:300]).max() < 0.15


def test_voiced_and_unvoiced_sound_are_equally_loud():
    assert np.std(sound(voiced=1.0)) == pytest.approx(np.std(sound(voiced=0.0)), rel=0.25)


def test_a_silent_envelope_is_silence_and_level_is_amplitude():
    assert np.abs(sound(level=-40.0)).max() < 1e-5
    assert np.std(sound(level=-3.0)) == pytest.approx(np.e * np.std(sound(level=-4.0)), rel=1e-4)


def test_energy_goes_where_the_envelope_is():
    envelope = np.full((FRAMES, MEL_BANDS), -12, np.float32)
    envelope[:, 40] = -2
    tracks = np.zeros(FRAMES, np.float32)
    power = np.abs(np.fft.rfft(synthesise(envelope, tracks + 5, tracks, tracks, seed=3))) ** 2
    per_band = mel_filters(len(power)) @ power
    assert per_band.argmax() == 40


def test_mel_filters_cover_all_bands_and_sum_to_one():
    for bins, bands in ((257, 80), (513, 64), (321, 64)):
        filters = mel_filters(bins, bands)
        assert filters.shape == (bands, bins)
        assert np.allclose(filters.sum(axis=1), 1, atol=1e-5)
        assert (filters >= 0).all()
        assert (np.diff(filters.argmax(axis=1)) >= 0).all()
