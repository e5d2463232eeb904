"""The one resampler, for training and scanning alike.

A resampler leaves a fingerprint near the Nyquist frequency, where detectors listen: two different ones in
training and scanning would be a difference between files that no speaker or generator made.
"""

from typing import Any

import numpy as np

from ..records import Float32Array

RESAMPLER_QUALITY = "HQ"
"""soxr's 20-bit setting. The same signal in pieces of any size gives the same samples, bit for bit."""


class StreamResampler:
    """Resamples one mono signal that arrives in pieces."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        """Rates in Hz, both above 0."""
        self._stream: Any = None
        if from_hz != to_hz:
            import soxr

            self._stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality=RESAMPLER_QUALITY)

    def push(self, samples: Float32Array) -> Float32Array:
        """float32 (n,) in; whatever is ready, float32 (m,), out."""
        if self._stream is None:
            return samples
        resampled: Float32Array = self._stream.resample_chunk(np.ascontiguousarray(samples))
        return resampled

    def finish(self) -> Float32Array:
        """The samples still held back. Call once, after the last `push`."""
        if self._stream is None:
            return np.zeros(0, np.float32)
        rest: Float32Array = self._stream.resample_chunk(np.zeros(0, np.float32), last=True)
        return rest


def resample(samples: Float32Array, from_hz: int, to_hz: int) -> Float32Array:
    """Resample mono float32 (n,) from one rate in Hz to another -> float32 (about n * to_hz / from_hz,).

    Equal to `StreamResampler` over the same samples. Raises `ValueError` for rates of 0 or below and for
    anything but a one-dimensional array.
    """
    if from_hz <= 0 or to_hz <= 0:
        raise ValueError(f"sample rates must be above 0 Hz, not {from_hz} and {to_hz}")
    if samples.ndim != 1:
        raise ValueError(f"expected mono samples (n,), not an array of shape {samples.shape}")
    stream = StreamResampler(from_hz, to_hz)
    first = stream.push(np.asarray(samples, np.float32))
    return np.concatenate([first, stream.finish()])
