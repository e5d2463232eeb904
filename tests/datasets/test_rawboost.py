"""RawBoost: each kind of noise is what the paper says, every algorithm keeps length and repeats itself."""

import dataclasses

import numpy as np
import pytest

from covoguard.datasets.degrade.chain import ChainRecipe, Sounds, degrade
from covoguard.datasets.degrade.rawboost import (
    ALGORITHMS,
    RELEASED,
    convolutive,
    impulsive,
    rawboost,
    stationary,
)


@pytest.fixture(scope="module")
def voice():
    time = np.arange(16_000) / 16_000
    buzz = sum(np.sin(2 * np.pi * 150 * k * time) / k for k in range(1, 30))
    return (0.5 * buzz / np.abs(buzz).max()).astype(np.float32)


@pytest.mark.parametrize("snr_db", [10.0, 25.0, 40.0])
def test_stationary_noise_has_the_ratio_asked_for(voice, snr_db):
    recipe = dataclasses.replace(RELEASED, snr_db=(snr_db, snr_db))
    noise = stationary(voice, np.random.default_rng(1), recipe).astype(float) - voice
    assert 10 * np.log10(np.sum(voice.astype(float) ** 2) / np.sum(noise**2)) == pytest.approx(snr_db, abs=0.02)


def test_stationary_noise_does_not_follow_the_signal(voice):
    half = voice.copy()
    half[8000:] = 0.0
    noise = stationary(half, np.random.default_rng(1)) - half
    assert np.std(noise[:8000]) == pytest.approx(np.std(noise[8000:]), rel=0.1)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.1])
def test_impulses_touch_no_more_than_the_share_and_stay_in_proportion(voice, share):
    recipe = dataclasses.replace(RELEASED, impulsive_share=share, impulsive_gain=0.9)
    counts = []
    for seed in range(20):
        moved = np.flatnonzero(impulsive(voice, np.random.default_rng(seed), recipe) != voice)
        change = np.abs(impulsive(voice, np.random.default_rng(seed), recipe) - voice)[moved]
        assert (change <= 0.9 * np.abs(voice[moved]) + 1e-6).all()
        counts.append(len(moved) / len(voice))
    assert max(counts) <= share
    assert np.mean(counts) == pytest.approx(share / 2, abs=share / 4)


def test_convolutive_noise_is_linear_at_order_1_and_makes_harmonics_above():
    def level_at(samples, hz):
        return np.abs(np.fft.rfft(samples[4000:12_000]))[hz // 2]  # half a second without the edges: bins of 2 Hz

    tone = (0.9 * np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000)).astype(np.float32)
    plain = convolutive(tone, np.random.default_rng(0), dataclasses.replace(RELEASED, order=1))
    assert max(level_at(plain, hz) for hz in (2000, 3000, 4000, 5000)) < 1e-4 * level_at(plain, 1000)
    crooked = convolutive(tone, np.random.default_rng(0))
    assert level_at(crooked, 2000) > 1e-2 * level_at(crooked, 1000)


def test_notches_of_the_filter_take_out_what_they_cover():
    noise = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * 0.1
    narrow = dataclasses.replace(
        RELEASED, order=1, notch_centre_hz=(4000.0, 4000.0), notch_width_hz=(1000.0, 1000.0), notch_taps=(99, 100)
    )
    power = np.abs(np.fft.rfft(convolutive(noise, np.random.default_rng(0), narrow))) ** 2
    assert power[3800:4200].mean() < 1e-4 * power[1000:2000].mean()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_keeps_length_changes_the_sound_and_repeats_itself(voice, algorithm):
    first = rawboost(voice, algorithm, np.random.default_rng(5))
    assert first.shape == voice.shape
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert not np.array_equal(first, voice)
    assert np.array_equal(first, rawboost(voice, algorithm, np.random.default_rng(5)))
    assert not np.array_equal(first, rawboost(voice, algorithm, np.random.default_rng(6)))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("length", [0, 1, 50])
def test_silence_stays_silent_and_short_clips_stay_short(algorithm, length):
    boosted = rawboost(np.zeros(length, np.float32), algorithm, np.random.default_rng(0))
    assert np.array_equal(boosted, np.zeros(length, np.float32))


def test_series_are_their_parts_one_after_the_other(voice):
    rng = np.random.default_rng(3)
    parts = stationary(impulsive(convolutive(voice, rng), rng), rng)
    assert np.array_equal(rawboost(voice, 4, np.random.default_rng(3)), parts)


def test_an_unknown_algorithm_is_refused(voice):
    with pytest.raises(ValueError, match="1 to 8"):
        rawboost(voice, 9, np.random.default_rng(0))


BEFORE_RAWBOOST = (
    ("room/distort/mp3-44k:64000", 648155949), ("room/coloured_noise/mp3-44k:96000", 969000424), ("", 715351391),
    ("", 598359492), ("distort", 385593316), ("distort/clicks", 432974121), ("mp3:64000/a-law", 912886007),
    ("distort/telephone/mp3:32000", 265599476), ("mp3-44k:128000", 276107608),
    ("telephone/aac:48000/opus:8000", 5077692), ("speed/room", 1004566752), ("", 675867905),
)  # fmt: skip
"""Stages of the chain for seeds 0 to 11 and the next number drawn, written down before RawBoost was added."""


def test_a_chain_without_rawboost_draws_what_it_always_drew():
    tone = np.sin(np.arange(4000) * 0.05).astype(np.float32)
    for seed, expected in enumerate(BEFORE_RAWBOOST):
        rng = np.random.default_rng(seed)
        _, stages = degrade(tone, ChainRecipe(), Sounds(), rng)
        assert ("/".join(stages), int(rng.integers(1 << 30))) == expected


def test_a_chain_with_rawboost_says_which_algorithm_it_took(voice):
    recipe = ChainRecipe(
        clean=0.0, speed=0.0, room=0.0, distort=0.0, clicks=0.0, clip=0.0, coloured_noise=0.0, low_pass=0.0,
        telephone=0.0, codec=0.0, second_codec=0.0, rawboost=1.0, rawboost_algorithms=(3, 5),
    )  # fmt: skip
    names = {degrade(voice, recipe, Sounds(), np.random.default_rng(seed))[1] for seed in range(20)}
    assert names == {("rawboost:3",), ("rawboost:5",)}
