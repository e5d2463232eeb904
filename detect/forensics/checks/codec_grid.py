"""Traces of MP3 and AAC quantisation in the samples: sound that was lossy before, twice, or from two files."""

from itertools import pairwise

import numpy as np

from ....core.audio.facts import SourceFacts
from ....core.observationrecord import Observation, Quantity
from ....core.records import Float32Array, Segment
from ..examination import CHECKS
from ..exhibit import Exhibit, Kind
from ..grid import EXCERPT_SAMPLES, GridCounts, Peak, same_grid

MAX_EXCERPTS = 24
"""Examined of a long file, spread evenly; about half a second of computing each."""
MIN_Z = 9.0
"""For the whole file and for one excerpt; docs/decisions/021 says how far below it untouched speech stays."""
OWN_CODECS = {"mp3": "mp3", "mp3float": "mp3", "aac": "aac"}
MAX_CHANGES = 20

ONCE_LOSSY = Kind(
    "once_lossy",
    "This sound was decoded from MP3 or AAC at this very sample rate before it was stored without loss: the file is "
    "not the first version of the recording.",
    "Many recorders and services work with MP3 or AAC inside and export WAV. Any resampling, gain change with "
    "dither, filter or room in between erases the trace, so none says nothing; only MP3 and AAC-LC are looked for.",
)
SECOND_GRID = Kind(
    "second_grid",
    "The sound carries a second grid beside the one of its own encoding: it was MP3 or AAC before, was decoded, "
    "perhaps cut, and was encoded again.",
    "Uploading to a platform encodes again as a rule. Found only where the second encoding was the better one. A "
    "damaged stream shifts its own grid and looks the same.",
)
GRID_CHANGE = Kind(
    "grid_change",
    "The grid of an earlier MP3 or AAC encoding jumps along the file: something was cut out, put in or joined there "
    "after that encoding.",
    "A stream that lost packets jumps too. Edits by whole frames, and those before any lossy encoding, leave no jump. "
    "Times are those of the excerpts compared, and long files are examined in excerpts only.",
)


@CHECKS.register("codec-grid")
class CodecGrid:
    """Looks at the first channel; keeps at most 48 excerpts of 18,432 samples."""

    def __init__(self) -> None:
        """Nothing heard yet."""
        self._rest = np.zeros(0, np.float32)
        self._excerpts: dict[int, Float32Array] = {}
        self._number = 0
        self._stride = 1
        self._rate_hz = 0

    def hear(self, block: Float32Array, rate_hz: int) -> None:
        """Keep every so many excerpts; twice as many are dropped each time that the store is full."""
        self._rate_hz = rate_hz
        self._rest = np.concatenate([self._rest, block[0]])
        while len(self._rest) >= EXCERPT_SAMPLES:
            excerpt, self._rest = self._rest[:EXCERPT_SAMPLES], self._rest[EXCERPT_SAMPLES:]
            if self._number % self._stride == 0:
                self._excerpts[self._number] = excerpt.copy()
            self._number += 1
            if len(self._excerpts) > 2 * MAX_EXCERPTS:
                self._stride *= 2
                self._excerpts = {n: kept for n, kept in self._excerpts.items() if n % self._stride == 0}

    def counts(self) -> dict[int, GridCounts]:
        """Of each excerpt that is looked at, by its number in the file. A file too short for one gives what it has."""
        if not self._excerpts and len(self._rest) >= EXCERPT_SAMPLES // 4:
            self._excerpts[0] = self._rest
        loud = [number for number in sorted(self._excerpts) if self._excerpts[number].any()]
        chosen = loud[:: max(1, -(-len(loud) // MAX_EXCERPTS))]
        counted = {number: GridCounts() for number in chosen}
        for number, counts in counted.items():
            counts.add(self._excerpts[number])
        return counted

    def observe(self, exhibit: Exhibit) -> list[Observation] | None:
        """Of the whole file, and of changes between excerpts."""
        counts = self.counts()
        return observations_of(counts, exhibit.facts, self._rate_hz) if counts else None


def observations_of(counts: dict[int, GridCounts], facts: SourceFacts, rate_hz: int) -> list[Observation]:
    """What the counts of a file's excerpts say; the grid of a lossy file's own encoding is no observation."""
    whole = GridCounts()
    for each in counts.values():
        whole.merge(each)
    highest = whole.peak()
    own = None
    if highest is not None and _is_clear(highest) and OWN_CODECS.get(facts.codec) == highest.codec:
        own = highest
    other = whole.peak(without=own)
    seen = []
    if other is not None and _is_clear(other):
        seen.append(_of_whole(ONCE_LOSSY if facts.bits_per_sample is not None else SECOND_GRID, other))
    peaks = [(number, each.peak(without=own)) for number, each in counts.items()]
    return seen + _changes(peaks, rate_hz)


def _changes(peaks: list[tuple[int, Peak | None]], rate_hz: int) -> list[Observation]:
    """Neighbouring excerpts with clear grids that differ."""
    clear = [(number, peak) for number, peak in peaks if peak is not None and _is_clear(peak)]
    jumps = [pair for pair in pairwise(clear) if not same_grid(pair[0][1], pair[1][1])]
    if not jumps:
        return []
    # The jump may lie inside either excerpt.
    times_s = [
        (before * EXCERPT_SAMPLES / rate_hz, (after + 1) * EXCERPT_SAMPLES / rate_hz)
        for (before, _), (after, _) in jumps
    ]
    shown = ", ".join(
        f"{start_s:.2f} to {end_s:.2f} s ({_named(before)} to {_named(after)})"
        for (start_s, end_s), ((_, before), (_, after)) in list(zip(times_s, jumps, strict=True))[:5]
    )
    least_z = min(min(before.z, after.z) for (_, before), (_, after) in jumps)
    values = [Quantity("changes", len(jumps), "1"), Quantity("least_z", round(least_z, 1), "1")]
    where = [Segment(start_s, end_s) for start_s, end_s in times_s[:MAX_CHANGES]]
    return [GRID_CHANGE.observed(f"the grid's offset jumps somewhere in {shown}", "notable", values, where)]


def _is_clear(peak: Peak) -> bool:
    return peak.z >= MIN_Z


def _named(peak: Peak) -> str:
    return f"{peak.codec.upper()} at {peak.offset_samples}"


def _of_whole(kind: Kind, peak: Peak) -> Observation:
    words = (
        f"{100 * peak.share:.1f} % of the {peak.codec.upper()} coefficients vanish on one grid only, at offset "
        f"{peak.offset_samples}, {peak.z:.0f} deviations above all other offsets"
    )
    values = [
        Quantity("offset", peak.offset_samples, "samples"),
        Quantity("z", round(peak.z, 1), "1"),
        Quantity("share", round(peak.share, 5), "1"),
    ]
    return kind.observed(words, "notable", values)
