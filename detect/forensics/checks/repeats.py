"""Exact copies: the same samples at two places, as copying and pasting leaves them."""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ....core.observationrecord import Observation, Quantity
from ....core.records import Float32Array, Segment
from ..examination import CHECKS
from ..exhibit import Exhibit, Kind

ANCHOR_SAMPLES = 256
"""A sample that is the only largest within so many on either side is an anchor; it moves along with a copy."""
PRINT_SAMPLES = 128
"""On either side of the anchor; these must be equal to the last bit."""
MIN_DISTINCT = 32
"""Different values in a print; fewer are silence or a plain tone."""
MIN_COPY_S = 0.05
MIN_ANCHORS = 3
MAX_SAME_PRINTS = 8
"""Prints found more often are of a periodic signal, such as a dial tone."""
MAX_GAP_S = 0.2
"""Anchors of one copy lie closer together."""
MAX_COPIES = 50
_SEED = 20_251

COPY = Kind(
    "repeated_stretch",
    "The same samples stand at two places: something was copied and pasted, such as room tone laid over a cut, a "
    "looped background, or a generator that repeats itself.",
    "Ring tones, jingles, test signals and the error concealment of voice calls repeat exactly as well. Any "
    "lossy compression, gain or noise after the copy makes the places differ, so none says nothing.",
)

Int64Array = npt.NDArray[np.int64]


@CHECKS.register("repeats")
class Repeats:
    """Looks at the first channel; keeps two numbers per anchor, at most 190 anchors a second at 48 kHz."""

    def __init__(self) -> None:
        """Nothing heard yet."""
        self._weights = np.random.default_rng(_SEED).integers(1, 1 << 62, 2 * PRINT_SAMPLES + 1, dtype=np.int64) | 1
        self._rest = np.zeros(0, np.float32)
        self._heard = 0
        self._prints: list[Int64Array] = []
        self._places: list[Int64Array] = []
        self._rate_hz = 0

    def hear(self, block: Float32Array, rate_hz: int) -> None:
        """Anchors near the end of a block wait for the next one."""
        self._rate_hz = rate_hz
        sound = np.concatenate([self._rest, block[0]])
        start = self._heard - len(self._rest)
        self._heard += block.shape[1]
        anchors = _anchors(sound)
        if len(anchors):
            around = np.lib.stride_tricks.sliding_window_view(sound, 2 * PRINT_SAMPLES + 1)[anchors - PRINT_SAMPLES]
            # Whole numbers: the bits of the samples themselves, so that equal means equal.
            values = np.ascontiguousarray(around).view(np.int32).astype(np.int64)
            rich = np.array([len(np.unique(row)) >= MIN_DISTINCT for row in values])
            self._prints.append((values @ self._weights)[rich])
            self._places.append((anchors + start)[rich])
        self._rest = sound[-2 * ANCHOR_SAMPLES :].copy()

    def observe(self, exhibit: Exhibit) -> list[Observation]:
        """Copies of at least 50 ms, each with its two places."""
        copies = self._copies()
        if not copies:
            return []
        first, second = copies[0]
        total_s = sum(copy.duration_s for _, copy in copies)
        words = (
            f"{len(copies)} stretches are exact copies; that at {first.start_s:.3f} s stands again at "
            f"{second.start_s:.3f} s"
        )
        values = [Quantity("copies", len(copies), "1"), Quantity("total", total_s, "s")]
        where = [segment for pair in copies[:MAX_COPIES] for segment in pair]
        return [COPY.observed(words, "notable", values, where)]

    def _copies(self) -> list[tuple[Segment, Segment]]:
        """Pairs of an original place and the place of its copy, in order."""
        if not self._prints:
            return []
        prints, places = np.concatenate(self._prints), np.concatenate(self._places)
        places, unique = np.unique(places, return_index=True)  # blocks overlap
        pairs = _equal_pairs(prints[unique], places)
        found = []
        for stretch in _stretches(pairs, round(MAX_GAP_S * self._rate_hz)):
            start, end = stretch[0][0] - PRINT_SAMPLES, stretch[-1][0] + PRINT_SAMPLES
            shift = stretch[0][1] - stretch[0][0]
            if len(stretch) >= MIN_ANCHORS and end - start >= MIN_COPY_S * self._rate_hz:
                found.append((self._segment(start, end), self._segment(start + shift, end + shift)))
        return sorted(found)

    def _segment(self, start: int, end: int) -> Segment:
        return Segment(start / self._rate_hz, end / self._rate_hz)


def _anchors(sound: Float32Array) -> Int64Array:
    """Indices of the samples that are larger than all others near them, with a whole neighbourhood."""
    from scipy.ndimage import maximum_filter1d

    if len(sound) <= 2 * ANCHOR_SAMPLES:
        return np.zeros(0, np.int64)
    largest: Any = maximum_filter1d(sound, 2 * ANCHOR_SAMPLES + 1)
    inside = slice(ANCHOR_SAMPLES, len(sound) - ANCHOR_SAMPLES)
    return np.flatnonzero((sound == largest)[inside] & (sound[inside] > 0)) + ANCHOR_SAMPLES


def _equal_pairs(prints: Int64Array, places: Int64Array) -> list[tuple[int, int]]:
    """Neighbouring places of equal prints."""
    order = np.lexsort((places, prints))
    prints, places = prints[order], places[order]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(prints)) + 1, [len(prints)]])
    pairs = []
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        if 2 <= end - start <= MAX_SAME_PRINTS:
            same = places[start:end].tolist()
            pairs += list(pairwise(same))
    return pairs


def _stretches(pairs: list[tuple[int, int]], max_gap: int) -> list[list[tuple[int, int]]]:
    """Pairs of the same shift that follow each other closely."""
    stretches: list[list[tuple[int, int]]] = []
    for pair in sorted(pairs, key=lambda pair: (pair[1] - pair[0], pair[0])):
        last = stretches[-1][-1] if stretches else None
        if last and pair[1] - pair[0] == last[1] - last[0] and pair[0] - last[0] <= max_gap:
            stretches[-1].append(pair)
        else:
            stretches.append([pair])
    return stretches
