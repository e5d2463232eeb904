"""Linear frequency cepstral coefficients in numpy: the front end of the classic baseline.

Settings of the ASVspoof baselines (Sahidullah et al., "A comparison of features for synthetic speech detection",
Interspeech 2015): 20 ms frames every 10 ms, 512-point spectrum, 20 linear triangles, 20 coefficients with first and
second differences. The mean over time is removed, so that the channel's colour carries no information.
"""

from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import fft

from ..core.rates import DETECTOR_RATE_HZ
from ..core.records import Float32Array

FRAME_SAMPLES = 320
HOP_SAMPLES = 160
FFT_SAMPLES = 512
COEFFICIENTS = 20
LOWEST_HZ = 62.5
FLOOR = 1e-6


def lfcc(samples: Float32Array) -> Float32Array:
    """16 kHz samples (n,), n >= 320 -> (frames, 60), zero mean over time."""
    level = np.sqrt(np.mean(np.square(samples, dtype=np.float64)) + 1e-12)
    frames = np.lib.stride_tricks.sliding_window_view(samples / level, FRAME_SAMPLES)[::HOP_SAMPLES]
    window = np.hamming(FRAME_SAMPLES)
    power = np.abs(fft.rfft(frames * window, FFT_SAMPLES)) ** 2 / np.sum(window**2)
    cepstrum = fft.dct(np.log(power @ _triangles().T + FLOOR), norm="ortho", axis=1)[:, :COEFFICIENTS]
    slope = _difference(cepstrum)
    features = np.hstack([cepstrum, slope, _difference(slope)])
    return np.asarray(features - features.mean(axis=0), dtype=np.float32)


def _difference(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Half the difference of the next and the last frame; the edges repeat."""
    padded = np.pad(values, ((1, 1), (0, 0)), mode="edge")
    return np.asarray((padded[2:] - padded[:-2]) / 2.0)


@cache
def _triangles() -> npt.NDArray[np.float64]:
    """Linearly spaced overlapping triangles: (20, 257)."""
    bins_hz = np.fft.rfftfreq(FFT_SAMPLES, 1.0 / DETECTOR_RATE_HZ)
    edges_hz = np.linspace(LOWEST_HZ, DETECTOR_RATE_HZ / 2, COEFFICIENTS + 2)
    left, centre, right = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    rising = (bins_hz - left) / (centre - left)
    falling = (right - bins_hz) / (right - centre)
    return np.maximum(np.minimum(rising, falling), 0.0)
