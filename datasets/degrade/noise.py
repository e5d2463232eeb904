"""Additive noise at a stated signal-to-noise ratio."""

import numpy as np

from ...core.records import Float32Array


def add_at_snr(samples: Float32Array, noise: Float32Array, snr_db: float) -> Float32Array:
    """Add `noise` (same length) so that mean signal power over mean noise power is `snr_db`.

    Silence of either kind leaves the samples as they are: the ratio is not defined there.
    """
    signal_power = float(np.mean(np.square(samples, dtype=np.float64)))
    noise_power = float(np.mean(np.square(noise, dtype=np.float64)))
    if signal_power == 0.0 or noise_power == 0.0:
        return samples
    gain = np.sqrt(signal_power / noise_power / 10.0 ** (snr_db / 10.0))
    return np.asarray(samples + gain * noise, dtype=np.float32)


def coloured_noise(length: int, exponent: float, rng: np.random.Generator) -> Float32Array:
    """Noise whose power falls as 1 / f ** exponent: 0 is white, 1 pink, 2 brown, below 0 rises."""
    spectrum = rng.standard_normal(length // 2 + 1) + 1j * rng.standard_normal(length // 2 + 1)
    bins = np.arange(len(spectrum), dtype=np.float64)
    bins[0] = 1.0
    noise = np.fft.irfft(spectrum / bins ** (exponent / 2.0), n=length)
    return np.asarray(noise / (np.std(noise) + 1e-12), dtype=np.float32)


def excerpt(noise: Float32Array, length: int, rng: np.random.Generator) -> Float32Array:
    """`length` samples of `noise` from a random place, repeated where it is too short."""
    if len(noise) < length:
        noise = np.tile(noise, -(-length // len(noise)))
    start = int(rng.integers(0, len(noise) - length + 1))
    return noise[start : start + length]
