"""Rooms: convolution with a measured or a made-up impulse response."""

import numpy as np
from scipy import signal

from ...core.rates import DETECTOR_RATE_HZ
from ...core.records import Float32Array


def synthetic_response(reverberation_s: float, rng: np.random.Generator) -> Float32Array:
    """A direct path and exponentially decaying noise that falls by 60 dB in `reverberation_s`."""
    length = max(2, int(reverberation_s * DETECTOR_RATE_HZ))
    decay = 10.0 ** (-3.0 * np.arange(length) / length)
    tail = rng.standard_normal(length) * decay
    tail[: int(0.002 * DETECTOR_RATE_HZ)] = 0.0
    direct_to_reverberant_db = rng.uniform(-2.0, 12.0)
    tail *= 10.0 ** (-direct_to_reverberant_db / 20.0) / np.sqrt(np.sum(tail**2) + 1e-12)
    tail[0] = 1.0
    return np.asarray(tail, dtype=np.float32)


def reverberate(samples: Float32Array, response: Float32Array) -> Float32Array:
    """Convolve and keep the direct path where it was, at the old level."""
    onset = int(np.argmax(np.abs(response)))
    wet = signal.fftconvolve(samples, response)[onset : onset + len(samples)]
    level = np.sqrt(np.mean(np.square(samples)) / (np.mean(np.square(wet)) + 1e-12))
    return np.asarray(wet * level, dtype=np.float32)
