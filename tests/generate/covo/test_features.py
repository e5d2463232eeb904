import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from covoguard.core.errors import InputError
from covoguard.generate.covo.language.features import (
    EAR_RATE_HZ,
    FrontEnd,
    halved,
    mel_filters,
    mono_16k,
    reference_wave,
)

OFFICIAL = FrontEnd(mel_bins=128, window_frames=3000, row_frames=16)
SMALL = FrontEnd(mel_bins=20, window_frames=100, row_frames=16)
"""Windows of 1 s: 6.25 rows, as 187.5 in the official one."""


def noise(seconds, rate_hz, channels=None, seed=0):
    shape = round(seconds * rate_hz) if channels is None else (channels, round(seconds * rate_hz))
    return np.random.default_rng(seed).normal(0, 0.1, shape).astype(np.float32)


def tone(hz, seconds, rate_hz):
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


# --- what is heard -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate_hz", [8000, 11025, 16000, 22050, 24000, 44100, 48000])
@pytest.mark.parametrize("channels", [None, 1, 2, 7])
def test_any_rate_and_channels_become_16_khz_of_the_same_length(rate_hz, channels):
    samples = noise(0.31, rate_hz, channels)
    heard = mono_16k(samples, rate_hz)
    assert heard.dtype == np.float32
    assert len(heard) == math.ceil(samples.shape[-1] * EAR_RATE_HZ / rate_hz)


def test_sound_of_16_khz_is_heard_as_it_is_and_channels_as_their_mean():
    samples = noise(1, 16000, 7)
    np.testing.assert_array_equal(mono_16k(samples[0], 16000), samples[0])
    np.testing.assert_allclose(mono_16k(samples, 16000), samples.mean(axis=0), atol=1e-7)


@pytest.mark.parametrize("rate_hz", [8000, 24000, 44100])
def test_a_tone_stays_that_tone_and_where_it_was(rate_hz):
    heard = mono_16k(tone(1000, 0.5, rate_hz), rate_hz)
    inner = slice(800, -800)
    np.testing.assert_allclose(heard[inner], tone(1000, 0.5, 16000)[inner], atol=2e-3)


def test_what_is_not_finite_or_beyond_full_scale_is_cleaned():
    samples = noise(0.1, 16000)
    dirty = samples.copy()
    dirty[[3, 5, 7]], dirty[9] = [np.nan, np.inf, -np.inf], 40.0
    clean = samples.copy()
    clean[[3, 5, 7]], clean[9] = 0.0, 1.0
    np.testing.assert_array_equal(mono_16k(dirty, 16000), clean)
    assert np.isfinite(mono_16k(dirty, 44100)).all()


@pytest.mark.parametrize(
    ("samples", "rate_hz", "code"),
    [
        (np.zeros(0, np.float32), 16000, "too_short"),
        (noise(0.0099, 48000), 48000, "too_short"),
        (noise(0.0099, 8000, 2), 8000, "too_short"),
        (np.zeros((0, 16000), np.float32), 16000, "too_short"),
        (np.zeros(16000, np.float32), 16000, "no_speech"),
        (np.full(16000, np.nan, np.float32), 16000, "no_speech"),
        (np.stack([tone(200, 1, 16000), -tone(200, 1, 16000)]), 16000, "no_speech"),
        (noise(1, 16000), 0, "bad_header"),
        (noise(1, 16000), 10**9, "bad_header"),
    ],
)
def test_what_cannot_be_heard_is_refused_with_its_code_and_its_name(samples, rate_hz, code):
    with pytest.raises(InputError, match=r"^call\.wav: .*; \w+") as error:
        mono_16k(samples, rate_hz, "call.wav")
    assert error.value.code == code


def test_ten_milliseconds_are_enough():
    assert OFFICIAL.rows(len(mono_16k(noise(0.01, 44100), 44100))) == 1


# --- windows and rows --------------------------------------------------------------------------------------


@given(st.integers(160, 95 * EAR_RATE_HZ))
def test_windows_hold_every_sample_once_and_their_rows_are_those_of_the_whole(samples):
    spans = OFFICIAL.spans(samples)
    assert [place for span in spans for place in (span.start, span.stop)][1:-1] == [
        place for span in spans[1:] for place in (span.start, span.start)
    ]
    assert (spans[0].start, spans[-1].stop) == (0, samples)
    assert all(0 < len(span) <= OFFICIAL.window_samples for span in spans)
    assert sum(OFFICIAL.rows(len(span)) for span in spans) == OFFICIAL.rows(samples)
    assert all(span.start % OFFICIAL.row_samples == 0 for span in spans)


@given(st.integers(100, 30 * 100))
def test_up_to_one_window_the_count_is_the_official_one(centiseconds):
    assert OFFICIAL.rows(centiseconds * 160) == OFFICIAL.reference_rows(centiseconds * 240)
    assert len(OFFICIAL.spans(centiseconds * 160)) == 1


@pytest.mark.parametrize("seconds", [0.01, 0.98, 1.0, 1.01, 2.5, 7.3])
def test_a_window_says_how_many_rows_it_gives(seconds):
    sound = torch.from_numpy(noise(seconds, 16000))
    windows = list(SMALL.windows(sound))
    assert sum(window.rows for window in windows) == SMALL.rows(len(sound)) == math.ceil(seconds / 0.16)
    assert all(window.log_mel.shape == (20, 100) and window.rows <= SMALL.rows_per_window for window in windows)


def test_what_comes_late_in_a_long_sound_is_placed_where_it_belongs():
    """A click in every row's first 10 ms stands in the same frame of each row, also in later windows."""
    rows = 20
    sound = np.zeros(rows * SMALL.row_samples, np.float32)
    sound[80 :: SMALL.row_samples] = 1.0
    loud = []
    for window in SMALL.windows(torch.from_numpy(sound)):
        energy = window.log_mel.mean(dim=0)[: window.rows * SMALL.row_frames].view(window.rows, SMALL.row_frames)
        loud += energy.argmax(dim=1).tolist()
    assert len(loud) == rows
    assert set(loud) <= {0, 1}


def test_the_reference_gives_more_rows_than_sound_and_drops_them_at_the_end():
    wave = reference_wave(noise(61.3, 24000), 24000)
    windows = list(OFFICIAL.reference_windows(wave))
    assert [window.rows for window in windows] == [188, 188, 8]
    assert OFFICIAL.reference_rows(len(wave)) == 384


def test_rounding_is_the_reference_s_only_difference():
    wave = reference_wave(noise(0.5, 24000), 24000)
    exact = next(SMALL.reference_windows(wave, round_to_bfloat16=False)).log_mel
    rounded = next(SMALL.reference_windows(wave)).log_mel
    assert torch.equal(rounded, exact.bfloat16().float())
    assert not torch.equal(rounded, exact)


def test_halving_rounds_up_each_time():
    def one_by_one(count):
        for _ in range(4):
            count = (count + 1) // 2
        return count

    assert [halved(count, 4) for count in range(4000)] == [one_by_one(count) for count in range(4000)]


# --- log-mel -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bins", [80, 128])
def test_filters_are_slaney_s(bins):
    from transformers.audio_utils import mel_filter_bank

    expected = mel_filter_bank(201, bins, 0.0, 8000.0, 16000, norm="slaney", mel_scale="slaney").T
    filters = mel_filters(bins)
    assert filters.dtype == torch.float32
    np.testing.assert_allclose(filters.numpy(), expected, atol=1e-8)


def test_log_mels_are_whisper_s():
    from transformers import WhisperFeatureExtractor

    sound = noise(2.7, 16000)
    expected = WhisperFeatureExtractor(feature_size=128)(sound, sampling_rate=16000).input_features[0]
    np.testing.assert_allclose(OFFICIAL.log_mel(torch.from_numpy(sound)).numpy(), expected, atol=3e-5)
