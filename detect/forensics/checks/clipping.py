"""Plateaus: peaks that were cut off flat, at full scale or, more telling, below it."""

import numpy as np

from ....core.observationrecord import Observation, Quantity
from ....core.records import Float32Array, Segment
from ..examination import CHECKS
from ..exhibit import Exhibit, Kind
from ..runs import RunFinder

MIN_RUN_SAMPLES = 3
MIN_LEVEL = 0.1
"""Of full scale; below it, coarse quantisation of quiet sound repeats values as well."""
NEAR_PEAK = 0.98
"""Share of the largest magnitude from which a plateau counts as one of peaks."""
FULL_SCALE = 0.99
MIN_PLATEAUS = 5
MAX_PLATEAUS = 10_000
MAX_SEGMENTS = 50

PLATEAUS = Kind(
    "clipping_plateaus",
    "The sound was louder than something on its way could carry. Where the plateaus lie below full scale, the level "
    "was changed after the clipping, so the file is not the first version of the recording.",
    "Loud phone and broadcast recordings clip without any edit. Lossy compression and resampling round plateaus off, "
    "so none says nothing; a square-wave-like sound has plateaus of its own.",
)


@CHECKS.register("clipping")
class Clipping:
    """Keeps at most 10,000 plateaus of each block's largest magnitudes."""

    def __init__(self) -> None:
        """Nothing heard yet."""
        self._peak = 0.0
        self._heard = 0
        self._rate_hz = 0
        self._plateaus: list[tuple[float, int, int]] = []

    def hear(self, block: Float32Array, rate_hz: int) -> None:
        """A plateau that reaches over the end of a block counts in parts."""
        self._rate_hz = rate_hz
        loudest = float(np.abs(block).max(initial=0.0))
        self._peak = max(self._peak, loudest)
        if loudest >= max(MIN_LEVEL, NEAR_PEAK * self._peak):
            for channel in block:
                self._add_plateaus(channel)
        self._heard += block.shape[1]

    def _add_plateaus(self, channel: Float32Array) -> None:
        magnitude = np.abs(channel)
        stands = (np.diff(channel, prepend=np.float32(np.nan)) == 0) & (magnitude >= NEAR_PEAK * self._peak)
        finder = RunFinder(MIN_RUN_SAMPLES - 1)  # the first sample of a plateau does not equal the one before it
        finder.add(stands)
        found = [(float(magnitude[start]), start - 1, end) for start, end in finder.finish()]
        # Plateaus far below a louder peak that came later are none of peaks.
        kept = [each for each in self._plateaus if each[0] >= NEAR_PEAK * self._peak]
        new = [(level, self._heard + start, self._heard + end) for level, start, end in found]
        self._plateaus = [*kept, *new][:MAX_PLATEAUS]

    def observe(self, exhibit: Exhibit) -> list[Observation]:
        """A few plateaus are chance; at full scale many are a note, below it they are notable."""
        found = sorted((start, end, level) for level, start, end in self._plateaus if level >= NEAR_PEAK * self._peak)
        if len(found) < MIN_PLATEAUS:
            return []
        lowered = self._peak < FULL_SCALE
        level = float(np.median([level for _, _, level in found]))
        values = [Quantity("plateaus", len(found), "1"), Quantity("level", level, "1")]
        where = [Segment(start / self._rate_hz, end / self._rate_hz) for start, end, _ in found[:MAX_SEGMENTS]]
        place = f"{100 * level:.1f} % of full scale, below it" if lowered else "full scale"
        words = f"{len(found)} peaks are cut off flat at {place}"
        return [PLATEAUS.observed(words, "notable" if lowered else "note", values, where)]
