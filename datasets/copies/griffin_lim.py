"""Griffin-Lim: phases that fit a magnitude spectrogram, found by going back and forth between spectrum and sound.

Griffin and Lim 1984, "Signal estimation from modified short-time Fourier transform", with the momentum of Perraudin,
Balazs and Søndergaard 2013, "A fast Griffin-Lim algorithm" (algorithm 2).
"""

from functools import cache

import numpy as np
from scipy import signal

from ...core.cliprecord import Settings, SpeechKind
from ...core.rates import DETECTOR_RATE_HZ
from ...core.records import Float32Array
from .registry import COPIES

_WINDOW_SAMPLES = 512
_HOP_SAMPLES = 128
_ITERATIONS = 32
_MOMENTUM = 0.99


@COPIES.register("griffin-lim")
class GriffinLim:
    """Magnitudes of the recording (512-point Hann window, hop 128) under phases that start at random."""

    name = "griffin-lim"
    kind: SpeechKind = "vocoder-copy-synthesis"
    family = "Griffin-Lim"
    model_sha256: str | None = None
    settings: Settings = (
        ("window_samples", _WINDOW_SAMPLES), ("hop_samples", _HOP_SAMPLES), ("iterations", _ITERATIONS),
        ("momentum", _MOMENTUM),
    )  # fmt: skip

    def copy(self, samples: Float32Array, rng: np.random.Generator) -> Float32Array:
        """As `CopyMethod.copy`; `rng` draws the first phases."""
        count = max(len(samples), _WINDOW_SAMPLES)  # less is no spectrum
        magnitudes = np.abs(_transform().stft(np.pad(samples, (0, count - len(samples)))))
        spectrum = magnitudes * np.exp(2j * np.pi * rng.random(magnitudes.shape))
        consistent = np.zeros_like(spectrum)
        for _ in range(_ITERATIONS):
            earlier, consistent = consistent, _transform().stft(_sound(spectrum, count))
            advanced = consistent + _MOMENTUM * (consistent - earlier)
            spectrum = magnitudes * advanced / np.maximum(np.abs(advanced), np.finfo(np.float64).tiny)
        return _sound(spectrum, count)[: len(samples)].astype(np.float32)


@cache
def _transform() -> signal.ShortTimeFFT:
    window = signal.windows.hann(_WINDOW_SAMPLES, sym=False)
    return signal.ShortTimeFFT(window, hop=_HOP_SAMPLES, fs=DETECTOR_RATE_HZ)


def _sound(spectrum: np.ndarray, count: int) -> np.ndarray:
    samples: np.ndarray = _transform().istft(spectrum, k1=count)
    return samples
