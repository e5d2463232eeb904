"""Cheap equipment: filters with notches, non-linear stages, clicks.

The three kinds of disturbance follow RawBoost (Tak et al., arXiv 2111.04433, section 3), with our own filters
and ranges.
"""

import numpy as np
from scipy import signal

from ...core.rates import DETECTOR_RATE_HZ
from ...core.records import Float32Array

FILTER_TAPS = 129


def random_filter(rng: np.random.Generator) -> Float32Array:
    """A linear-phase filter with a gently drawn response and up to five notches or peaks."""
    grid_hz = np.linspace(0.0, DETECTOR_RATE_HZ / 2, 33)
    gains_db = np.cumsum(rng.normal(0.0, 1.0, len(grid_hz)))
    gains_db -= gains_db.mean()
    for _ in range(int(rng.integers(0, 6))):
        centre_hz, width_hz = rng.uniform(100.0, 7900.0), rng.uniform(100.0, 800.0)
        gains_db += rng.uniform(-20.0, 6.0) * np.exp(-0.5 * ((grid_hz - centre_hz) / width_hz) ** 2)
    gains = 10.0 ** (np.clip(gains_db, -30.0, 12.0) / 20.0)
    return np.asarray(signal.firwin2(FILTER_TAPS, grid_hz, gains, fs=DETECTOR_RATE_HZ), dtype=np.float32)


def distort(samples: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Filter, add weak filtered powers of the signal (a non-linear stage), keep the peak."""
    peak = float(np.max(np.abs(samples), initial=0.0))
    if peak == 0.0:
        return samples
    unit = samples / peak
    mixed = np.convolve(unit, random_filter(rng), mode="same")
    for power in range(2, int(rng.integers(2, 6))):
        gain = 10.0 ** (rng.uniform(-35.0, -15.0) / 20.0)
        mixed = mixed + gain * np.convolve(unit**power, random_filter(rng), mode="same")
    return np.asarray(mixed * (peak / (np.max(np.abs(mixed)) + 1e-12)), dtype=np.float32)


def add_clicks(samples: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Disturb up to 1 % of the samples in proportion to the signal there."""
    count = int(len(samples) * rng.uniform(0.0, 0.01))
    places = rng.choice(len(samples), size=count, replace=False)
    clicked = samples.copy()
    clicked[places] += (rng.uniform(-1.0, 1.0, count) * rng.uniform(0.1, 1.0) * samples[places]).astype(np.float32)
    return clicked


def clip(samples: Float32Array, share_of_peak: float) -> Float32Array:
    """Cut off everything above `share_of_peak` (0 to 1) of the largest sample."""
    ceiling = share_of_peak * float(np.max(np.abs(samples), initial=0.0))
    return np.clip(samples, -ceiling, ceiling)
