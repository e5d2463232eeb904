"""A constant offset under the sound, and places where it jumps."""

import numpy as np
import numpy.typing as npt

from ....core.observationrecord import Observation, Quantity
from ....core.records import Float32Array, Segment
from ..examination import CHECKS
from ..exhibit import Exhibit, Kind

PIECE_S = 0.25
SIDE_PIECES = 4
"""A second on either side of a jump."""
MIN_OFFSET = 0.002
MIN_JUMP = 0.002
"""Of full scale."""
JUMP_OVER_SPREAD = 4.0
"""A jump must exceed the range of the means on either side by this factor: low rumble moves them too."""
MAX_JUMPS = 20

OFFSET = Kind(
    "dc_offset",
    "The recorder's converter adds a constant; it is a trait of the device, and parts from another device lack it.",
    "Cheap sound cards and phones have one as a rule; most editors and all lossy speech codecs remove it, so its "
    "absence says nothing.",
)
JUMP = Kind(
    "dc_jump",
    "Sound from another device, or with another treatment, may begin here.",
    "Switching a microphone, automatic gain and wind move the mean too. A filter against rumble hides jumps.",
)


@CHECKS.register("dc-offset")
class DcOffset:
    """Keeps four numbers a second for each channel."""

    def __init__(self) -> None:
        """Nothing heard yet."""
        self._means: list[Float32Array] = []
        self._rest: Float32Array | None = None
        self._rate_hz = 0
        self._sum: npt.NDArray[np.float64] | float = 0.0
        self._count = 0

    def hear(self, block: Float32Array, rate_hz: int) -> None:
        """Means of whole pieces; what is left over waits."""
        self._rate_hz = rate_hz
        self._sum = self._sum + block.sum(axis=1, dtype=np.float64)
        self._count += block.shape[1]
        sound = block if self._rest is None else np.concatenate([self._rest, block], axis=1)
        length = round(PIECE_S * rate_hz)
        pieces = sound.shape[1] // length
        whole = sound[:, : pieces * length].reshape(len(sound), pieces, length)
        self._means += list(whole.mean(axis=2).T)
        self._rest = sound[:, pieces * length :].copy()

    def observe(self, exhibit: Exhibit) -> list[Observation] | None:
        """The offset is a note, a jump is notable."""
        if not self._count:
            return None
        offsets = np.atleast_1d(self._sum) / self._count
        worst = float(offsets[np.argmax(np.abs(offsets))])
        seen = []
        if abs(worst) >= MIN_OFFSET:
            words = f"the mean of the samples is {100 * worst:+.2f} % of full scale"
            seen.append(OFFSET.observed(words, values=[Quantity("offset", worst, "1")]))
        jumps = self._jumps()
        if jumps:
            values = [Quantity("largest_jump", max(size for _, size in jumps), "1")]
            at = ", ".join(f"{(piece + 0.5) * PIECE_S:.2f} s" for piece, _ in jumps[:5])
            where = [Segment((piece - 0.5) * PIECE_S, (piece + 1.5) * PIECE_S) for piece, _ in jumps[:MAX_JUMPS]]
            seen.append(JUMP.observed(f"the offset changes for good at about {at}", "notable", values, where))
        return seen

    def _jumps(self) -> list[tuple[int, float]]:
        """Pieces at which the mean of a second differs from that of the second before, and by how much."""
        found: list[tuple[int, float]] = []
        means = np.array(self._means)
        for at in range(SIDE_PIECES, len(means) - SIDE_PIECES):
            # The piece in the middle, inside which the jump may lie, belongs to neither side.
            before, after = means[at - SIDE_PIECES : at], means[at + 1 : at + 1 + SIDE_PIECES]
            sizes = np.abs(np.median(after, axis=0) - np.median(before, axis=0))
            spreads = np.maximum(np.ptp(before, axis=0), np.ptp(after, axis=0))
            size = float(np.where(sizes > JUMP_OVER_SPREAD * spreads, sizes, 0).max())
            if size < MIN_JUMP:
                continue
            if found and at - found[-1][0] < SIDE_PIECES:  # one jump, seen from several pieces
                found[-1] = max(found[-1], (at, size), key=lambda jump: jump[1])
            else:
                found.append((at, size))
        return found
