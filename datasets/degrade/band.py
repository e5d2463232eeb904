"""Band limits: what telephones, old recorders and low-rate codecs leave of the spectrum."""

import numpy as np
from scipy import signal

from ...core.rates import DETECTOR_RATE_HZ
from ...core.records import Float32Array

TELEPHONE_BAND_HZ = (300.0, 3400.0)


def low_pass(samples: Float32Array, cutoff_hz: float, *, order: int = 10) -> Float32Array:
    """Remove what lies above `cutoff_hz` (Butterworth, forward and back, so without delay)."""
    sections = signal.butter(order, cutoff_hz, "lowpass", fs=DETECTOR_RATE_HZ, output="sos")
    return np.asarray(signal.sosfiltfilt(sections, samples), dtype=np.float32)


def telephone(samples: Float32Array) -> Float32Array:
    """Keep 300 to 3400 Hz."""
    sections = signal.butter(6, TELEPHONE_BAND_HZ, "bandpass", fs=DETECTOR_RATE_HZ, output="sos")
    return np.asarray(signal.sosfiltfilt(sections, samples), dtype=np.float32)
