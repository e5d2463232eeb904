"""Another speed moves the pitch, another tempo does not; both change the length as they say."""

import numpy as np
import pytest

from covoguard.core.rates import DETECTOR_RATE_HZ
from covoguard.datasets.degrade.playback import change_speed, change_tempo

TONE_HZ = 440.0
FACTORS = (0.8, 0.95, 1.05, 1.3)


@pytest.fixture(scope="module")
def tone():
    time_s = np.arange(3 * DETECTOR_RATE_HZ) / DETECTOR_RATE_HZ
    return (0.5 * np.sin(2 * np.pi * TONE_HZ * time_s)).astype(np.float32)


def pitch_hz(samples):
    window = np.hanning(len(samples))
    return np.abs(np.fft.rfft(samples * window, 8 * len(samples))).argmax() * DETECTOR_RATE_HZ / (8 * len(samples))


@pytest.mark.parametrize("factor", FACTORS)
def test_speed_divides_the_length_and_multiplies_the_pitch(tone, factor):
    changed = change_speed(tone, factor)
    assert changed.dtype == np.float32
    assert len(changed) == pytest.approx(len(tone) / factor, abs=2)
    assert pitch_hz(changed) == pytest.approx(TONE_HZ * factor, rel=2e-3)


@pytest.mark.parametrize("factor", FACTORS)
def test_tempo_divides_the_length_and_keeps_the_pitch(tone, factor):
    changed = change_tempo(tone, factor)
    assert changed.dtype == np.float32
    assert len(changed) == pytest.approx(len(tone) / factor, rel=0.03)
    assert pitch_hz(changed) == pytest.approx(TONE_HZ, rel=5e-3)


def test_going_there_and_back_is_going_nowhere(tone):
    back = change_speed(change_speed(tone, 1.05), 1 / 1.05)
    inside = slice(2000, 40_000)
    assert np.abs(back[inside] - tone[inside]).max() < 1e-3
