"""The lapped transforms of MP3 and AAC, as matrices: to ask which coefficients an encoder has set to zero.

Only some of the coefficients are computed, spread evenly over all frequencies: enough to count zeros.
"""

from dataclasses import dataclass, field
from functools import cache

import numpy as np
import numpy.typing as npt

from ...core.records import Float32Array
from .mp3_window import mp3_prototype

MP3_BANDS = 32
MP3_LINES = 18
"""Coefficients of each band in a granule of 576 samples."""
MP3_HOP_SAMPLES = MP3_BANDS * MP3_LINES
MP3_ALIAS = (-0.6, -0.535, -0.33, -0.185, -0.095, -0.041, -0.0142, -0.0037)
"""Coefficients c of the alias reduction, ISO/IEC 11172-3, table 3-B.9."""
MP3_EVERY = 4
AAC_HOP_SAMPLES = 1024
AAC_KAISER_ALPHA = 4.0
"""Of the Kaiser-Bessel-derived window for long blocks, ISO/IEC 14496-3."""
AAC_EVERY = 8

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LappedTransform:
    """A codec's long-block transform: every `hop_samples`, `basis` (samples, coefficients) with columns of norm 1."""

    codec: str
    hop_samples: int
    basis: Float32Array = field(repr=False, compare=False)
    shapes: int = 1
    """Window shapes that the codec may use: the columns are those of each shape in turn."""

    def small_counts(self, sound: Float32Array, threshold: float) -> Float64Array:
        """How many coefficients lie below `threshold`, for each offset of the grid, summed over all frames.

        `sound` is (n,); the result (shapes, hop_samples) has at offset o the count with frames at o, o + hop, ….
        Offsets have equal numbers of frames; a sound shorter than one frame and one hop gives zeros.
        """
        length = len(self.basis)
        counts = np.zeros((self.shapes, self.hop_samples))
        for start in range(0, len(sound) - length - self.hop_samples + 2, self.hop_samples):
            part = sound[start : start + self.hop_samples + length - 1]
            frames = np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(part, length))
            is_small = np.abs(frames @ self.basis) < threshold
            counts += is_small.reshape(self.hop_samples, self.shapes, -1).sum(axis=2).T
        return counts

    def coefficients(self, samples: int) -> int:
        """How many coefficients `small_counts` looks at for each shape and offset, for a sound of so many samples."""
        frames = len(range(0, samples - len(self.basis) - self.hop_samples + 2, self.hop_samples))
        return int(frames * self.basis.shape[1] // self.shapes)


@cache
def lapped_transforms() -> tuple[LappedTransform, ...]:
    """MP3, and AAC with its two window shapes, sine and Kaiser-Bessel-derived."""
    aac = [_columns(_aac_basis(window), AAC_EVERY) for window in (_sine_window(), _kaiser_window())]
    return (
        LappedTransform("mp3", MP3_HOP_SAMPLES, _columns(_mp3_basis(), MP3_EVERY)),
        LappedTransform("aac", AAC_HOP_SAMPLES, np.ascontiguousarray(np.concatenate(aac, axis=1)), shapes=2),
    )


def _columns(basis: Float64Array, every: int) -> Float32Array:
    """Every so many rows of (coefficients, samples), with norm 1, as columns."""
    chosen = basis[every // 2 :: every]
    norms = np.linalg.norm(chosen, axis=1, keepdims=True)
    return np.ascontiguousarray((chosen / norms).T, dtype=np.float32)


def _aac_basis(window: Float64Array) -> Float64Array:
    """The MDCT of 2,048 samples (1024, 2048)."""
    hop = AAC_HOP_SAMPLES
    samples, lines = np.arange(2 * hop), np.arange(hop)[:, None]
    basis: Float64Array = window * np.cos(np.pi / hop * (samples + 0.5 + hop / 2) * (lines + 0.5))
    return basis


def _sine_window() -> Float64Array:
    window: Float64Array = np.sin(np.pi / (2 * AAC_HOP_SAMPLES) * (np.arange(2 * AAC_HOP_SAMPLES) + 0.5))
    return window


def _kaiser_window() -> Float64Array:
    total = np.cumsum(np.kaiser(AAC_HOP_SAMPLES + 1, np.pi * AAC_KAISER_ALPHA))
    rising: Float64Array = np.sqrt(total[:-1] / total[-1])
    return np.concatenate([rising, rising[::-1]])


def _mp3_basis() -> Float64Array:
    """Filterbank, MDCT of 36 subband samples and alias reduction in one matrix (576, 1632); ISO/IEC 11172-3, C.1."""
    taps, slots = np.arange(512), np.arange(2 * MP3_LINES)
    prototype = mp3_prototype()
    mdct = np.sin(np.pi / 36 * (slots + 0.5)) * np.cos(
        np.pi / 72 * (2 * slots + 1 + MP3_LINES) * (2 * np.arange(MP3_LINES)[:, None] + 1)
    )
    basis = np.zeros((MP3_BANDS, MP3_LINES, len(taps) + MP3_BANDS * (len(slots) - 1)))
    for band in range(MP3_BANDS):
        band_filter = (prototype * np.cos((2 * band + 1) * (taps - 16) * np.pi / 64))[::-1]
        inverted = np.where((slots % 2 == 1) & (band % 2 == 1), -1.0, 1.0)
        for slot in range(len(slots)):
            start = MP3_BANDS * slot
            weights = mdct[:, slot] * inverted[slot]
            basis[band, :, start : start + len(taps)] += weights[:, None] * band_filter
    for band in range(1, MP3_BANDS):
        for line, c in enumerate(MP3_ALIAS):
            below, above = basis[band - 1, MP3_LINES - 1 - line].copy(), basis[band, line].copy()
            basis[band - 1, MP3_LINES - 1 - line] = (below + c * above) / np.hypot(1, c)
            basis[band, line] = (above - c * below) / np.hypot(1, c)
    return basis.reshape(MP3_HOP_SAMPLES, -1)
