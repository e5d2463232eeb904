import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covoguard.core.audio import resample
from covoguard.core.audio.resample import StreamResampler


@given(
    from_hz=st.sampled_from([8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000]),
    sizes=st.lists(st.integers(0, 5_000), max_size=8),
)
def test_pieces_of_any_size_give_the_same_samples(from_hz, sizes):
    sound = np.random.default_rng(0).standard_normal(sum(sizes)).astype(np.float32)
    stream = StreamResampler(from_hz, 16_000)
    pieces = [stream.push(piece) for piece in np.split(sound, np.cumsum(sizes))] + [stream.finish()]
    np.testing.assert_array_equal(np.concatenate(pieces), resample(sound, from_hz, 16_000))


@pytest.mark.parametrize("from_hz", [8_000, 22_050, 44_100, 48_000])
def test_a_tone_keeps_its_pitch_phase_and_level(from_hz):
    time = np.arange(from_hz) / from_hz
    tone = 0.5 * np.sin(2 * np.pi * 1000 * time).astype(np.float32)
    out = resample(tone, from_hz, 16_000)
    assert len(out) == 16_000
    expected = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000)
    np.testing.assert_allclose(out[500:-500], expected[500:-500], atol=1e-4)


def test_what_lies_above_the_new_nyquist_frequency_is_gone():
    tone = np.sin(2 * np.pi * 10_000 * np.arange(48_000) / 48_000).astype(np.float32)
    assert np.abs(resample(tone, 48_000, 16_000)[500:-500]).max() < 1e-4


def test_the_same_rate_changes_nothing():
    sound = np.random.default_rng(0).standard_normal(100).astype(np.float32)
    np.testing.assert_array_equal(resample(sound, 16_000, 16_000), sound)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="above 0 Hz"):
        resample(np.zeros(10, np.float32), 0, 16_000)
    with pytest.raises(ValueError, match="mono"):
        resample(np.zeros((2, 10), np.float32), 8_000, 16_000)
