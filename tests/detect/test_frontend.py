"""The front end takes away what must not tell the classes apart: level, offset, colour, dither."""

import numpy as np
import pytest
import torch

from covoguard.detect.frontend import BANDS, FFT_SAMPLES, HOP_SAMPLES, LogBands


@pytest.fixture(scope="module")
def frontend():
    return LogBands()


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(21)
    envelope = np.repeat(rng.uniform(0.1, 1.0, 50), 640)
    return torch.from_numpy((0.1 * envelope * rng.standard_normal(32_000)).astype(np.float32))[None]


def test_shape_and_zero_mean(frontend, samples):
    bands = frontend(samples)
    assert bands.shape == (1, BANDS, 1 + (32_000 - FFT_SAMPLES) // HOP_SAMPLES)
    assert torch.allclose(bands.mean(dim=2), torch.zeros(1, BANDS), atol=1e-4)


def test_level_plays_no_part(frontend, samples):
    assert torch.allclose(frontend(samples * 0.003), frontend(samples), atol=1e-3)


def test_an_offset_plays_no_part(frontend, samples):
    plain, shifted = frontend.log_power(samples), frontend.log_power(samples + 0.02)
    difference = plain - shifted
    assert difference.std() < 2e-3  # the offset raises the level a little, and so moves all bands alike


def test_a_fixed_filter_plays_almost_no_part(frontend, samples):
    coloured = samples - 0.6 * torch.roll(samples, 1, dims=1)
    difference = frontend.log_power(coloured) - frontend.log_power(samples)
    assert difference.abs().mean() > 0.3
    assert (frontend(coloured) - frontend(samples)).abs().mean() < 0.1


def test_a_tone_lands_in_its_band(frontend):
    time = torch.arange(16_000) / 16_000
    for hz in (500.0, 3000.0, 7000.0):
        power = frontend.log_power(torch.sin(2 * torch.pi * hz * time)[None]).mean(dim=2)[0]
        centre_hz = 31.25 + (power.argmax() + 1) * (8031.25 - 31.25) / (BANDS + 1)
        assert abs(float(centre_hz) - hz) < 100.0


def test_white_noise_has_unit_power_in_every_band(frontend):
    noise = torch.randn(1, 320_000, generator=torch.Generator().manual_seed(3))
    power = frontend.log_power(noise).exp().mean(dim=2)
    assert torch.allclose(power, torch.ones(1, BANDS), atol=0.1)
