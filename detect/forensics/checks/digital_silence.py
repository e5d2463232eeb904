"""Stretches of exact zeros, and of any other value that stands still."""

import numpy as np

from ....core.observationrecord import Observation, Quantity
from ....core.records import Float32Array, Segment
from ..examination import CHECKS
from ..exhibit import Exhibit, Kind
from ..runs import RunFinder

MIN_RUN_S = 0.01
"""No microphone gives 10 ms of one value: its noise moves the last bit, from 16 bits on."""
EDGE_S = 0.05
"""Zeros that begin or end so close to the file's own ends are what exports and codecs put there."""
MAX_SEGMENTS = 50

ZEROS = Kind(
    "digital_silence",
    "Zeros within the sound are what an editor leaves where something was muted, moved or generated, what a noise "
    "gate or a voice call's silence suppression sends, and what a speech generator may put between sentences. At the "
    "ends they are padding.",
    "Recorders with a noise gate, codecs that send no frames in pauses, and 8-bit or very quiet recordings give zeros "
    "too. Lossy compression or dither after an edit fills them in, so none says nothing.",
)
STANDING = Kind(
    "constant_value",
    "A value other than zero that stands still comes from a lost connection, a repeated sample in a damaged stream, "
    "or an editor's offset; no microphone gives it.",
    "Recordings of 8 bits or fewer, and clipping for more than 10 ms, look the same.",
)


@CHECKS.register("digital-silence")
class DigitalSilence:
    """Keeps at most 10,000 runs."""

    def __init__(self) -> None:
        """Nothing heard yet."""
        self._zeros: RunFinder | None = None
        self._standing = RunFinder(1)
        self._last: Float32Array | None = None
        self._rate_hz = 0

    def hear(self, block: Float32Array, rate_hz: int) -> None:
        """All channels must stand still at a time."""
        if self._zeros is None:
            shortest = max(2, round(MIN_RUN_S * rate_hz))
            self._zeros, self._standing, self._rate_hz = RunFinder(shortest), RunFinder(shortest), rate_hz
        is_zero = (block == 0).all(axis=0)
        before = block[:, :1] if self._last is None else self._last
        stands = (np.diff(block, axis=1, prepend=before) == 0).all(axis=0)
        self._zeros.add(is_zero)
        self._standing.add(stands & ~is_zero)
        self._last = block[:, -1:]

    def observe(self, exhibit: Exhibit) -> list[Observation] | None:
        """Zeros within the sound are notable, at its ends a note."""
        if self._zeros is None:
            return None
        seen = []
        zeros = self._zeros.finish()
        if zeros:
            seen.append(self._of_zeros(zeros, self._zeros))
        if standing := self._standing.finish():
            where = self._segments(standing)
            words = (
                f"{self._standing.count} stretches of one value other than zero, the first at {where[0].start_s:.3f} s"
            )
            share = self._standing.samples / self._rate_hz
            seen.append(STANDING.observed(words, "notable", [Quantity("total", share, "s")], where))
        return seen

    def _of_zeros(self, zeros: list[tuple[int, int]], finder: RunFinder) -> Observation:
        edge = round(EDGE_S * self._rate_hz)
        inside = [run for run in zeros if run[0] > edge and run[1] < finder.heard - edge]
        where = self._segments(inside or zeros)
        total_s = finder.samples / self._rate_hz
        place = f"{len(inside)} of them within the sound" if inside else "all at the ends"
        if finder.samples == finder.heard:
            place = "the whole file"
        words = f"exact zeros for {total_s:.3f} s in {finder.count} stretches, {place}"
        values = [Quantity("total", total_s, "s"), Quantity("stretches", finder.count, "1")]
        return ZEROS.observed(words, "notable" if inside else "note", values, where)

    def _segments(self, runs: list[tuple[int, int]]) -> tuple[Segment, ...]:
        return tuple(Segment(start / self._rate_hz, end / self._rate_hz) for start, end in runs[:MAX_SEGMENTS])
