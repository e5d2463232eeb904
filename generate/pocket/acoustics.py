"""The constants of the pocket model's sound, and its mel scale."""

import numpy as np

from ...core.rates import TOKEN_RATE_HZ
from ...core.records import Float32Array

RATE_HZ = 16_000
HOP_SAMPLES = 160
HOP_S = HOP_SAMPLES / RATE_HZ
FRAMES_PER_S = RATE_HZ // HOP_SAMPLES
FRAMES_PER_TOKEN = FRAMES_PER_S // TOKEN_RATE_HZ
SAMPLES_PER_TOKEN = RATE_HZ // TOKEN_RATE_HZ
MEL_BANDS = 64
CODEBOOK_SIZE = 1024
VOICES = ("slt", "rms")
"""The two teachers: CMU Arctic speakers as Debian's `flite` speaks them."""


def mel_centres_hz(bands: int = MEL_BANDS) -> Float32Array:
    """Band edges and centres, (bands + 2,), equally spaced in mel from 0 Hz to the Nyquist frequency."""
    top = 2595 * np.log10(1 + RATE_HZ / 2 / 700)
    mels = np.linspace(0, top, bands + 2)
    return (700 * (10 ** (mels / 2595) - 1)).astype(np.float32)


def mel_filters(bins: int, bands: int = MEL_BANDS) -> Float32Array:
    """Triangular filters (bands, bins), each summing to one, over `bins` frequencies from 0 to Nyquist."""
    edges = mel_centres_hz(bands).astype(np.float64)
    frequencies = np.linspace(0, RATE_HZ / 2, bins)
    rising = (frequencies[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - frequencies[None]) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.maximum(0, np.minimum(rising, falling))
    totals = filters.sum(axis=1, keepdims=True)
    nearest = np.abs(frequencies[None] - edges[1:-1, None]).argmin(axis=1)
    filters[totals[:, 0] == 0, nearest[totals[:, 0] == 0]] = 1.0
    normalised: Float32Array = (filters / filters.sum(axis=1, keepdims=True)).astype(np.float32)
    return normalised
