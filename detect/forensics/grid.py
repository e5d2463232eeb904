"""Finds the grid of frames on which MP3 or AAC once quantised a sound, from the samples alone.

On the encoder's own grid many coefficients come back as zero, up to the rounding of the samples; on any other offset
hardly any do (R. Yang, Z. Qu, J. Huang: Detecting digital audio forgeries by checking frame offsets, 2008).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...core.records import Float32Array
from .lapped import LappedTransform, lapped_transforms

EXCERPT_SAMPLES = 18 * 1024
"""Whole hops of both codecs (18 of AAC, 32 of MP3), so that offsets in all excerpts of a file count alike."""
SMALL = 2.0**-15
"""One step of 16 bits: 3.5 times the deviation that rounding to 16 bits leaves in a coefficient of norm 1."""
NEIGHBOURHOOD = 16
"""Offsets on either side that a peak is compared with."""
PEAK_WIDTH = 4
"""Offsets on either side that belong to one peak."""

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Peak:
    """The offset on which most coefficients vanish."""

    codec: str
    offset_samples: int
    """From the first sample to the grid, less than the codec's hop."""
    z: float
    """Height over the other offsets, in their robust standard deviations."""
    share: float
    """Coefficients that vanish on this offset only, of all that were looked at."""


class GridCounts:
    """Counts of vanishing coefficients for each window shape and offset, over any number of excerpts."""

    def __init__(self) -> None:
        """Nothing counted yet."""
        self._counts: dict[int, Float64Array] = {}
        self._looked_at: dict[int, int] = {}

    def add(self, excerpt: Float32Array) -> None:
        """Count in an excerpt (n,) that starts at a multiple of `EXCERPT_SAMPLES` in its file."""
        for number, transform in enumerate(lapped_transforms()):
            counts = transform.small_counts(excerpt, SMALL)
            self._counts[number] = self._counts.get(number, 0) + counts
            self._looked_at[number] = self._looked_at.get(number, 0) + transform.coefficients(len(excerpt))

    def merge(self, other: "GridCounts") -> None:
        """Count in all excerpts of another."""
        for number, counts in other._counts.items():
            self._counts[number] = self._counts.get(number, 0) + counts
            self._looked_at[number] = self._looked_at.get(number, 0) + other._looked_at[number]

    def peak(self, without: Peak | None = None) -> Peak | None:
        """The highest peak of all transforms, not counting that of `without`; None where nothing was counted."""
        peaks = [
            _highest(transform, counts, self._looked_at[number], without)
            for number, transform in enumerate(lapped_transforms())
            if self._looked_at.get(number)
            for counts in self._counts[number]
        ]
        return max(peaks, key=lambda peak: peak.z) if peaks else None


def same_grid(first: Peak, second: Peak) -> bool:
    """Whether two peaks are of one codec and one offset."""
    return first.codec == second.codec and _distance(first, second.offset_samples) <= PEAK_WIDTH


def _distance(peak: Peak, offset: int) -> int:
    hop = next(each.hop_samples for each in lapped_transforms() if each.codec == peak.codec)
    around = abs(peak.offset_samples - offset) % hop
    return min(around, hop - around)


def _highest(transform: LappedTransform, counts: Float64Array, looked_at: int, without: Peak | None) -> Peak:
    """The peak over the median of its neighbourhood: slow changes along the offsets are of the sound itself."""
    around = np.pad(counts, NEIGHBOURHOOD, mode="wrap")
    windows = np.lib.stride_tricks.sliding_window_view(around, 2 * NEIGHBOURHOOD + 1)
    above = counts - np.median(windows, axis=1)
    spread = max(1.4826 * float(np.median(np.abs(above))), np.sqrt(max(float(np.median(counts)), 1.0)) / 2, 1.0)
    if without is not None and without.codec == transform.codec:
        near = [_distance(without, offset) <= PEAK_WIDTH for offset in range(len(above))]
        above = np.where(near, -np.inf, above)
    offset = int(np.argmax(above))
    return Peak(transform.codec, offset, float(above[offset] / spread), float(above[offset] / looked_at))
