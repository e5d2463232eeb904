"""How many bits the samples really use, and whether several channels hold one and the same sound."""

import numpy as np

from ....core.observationrecord import Observation, Quantity
from ....core.records import Float32Array
from ..examination import CHECKS
from ..exhibit import Exhibit, Kind

MAX_BITS = 24
"""What float32 holds exactly; samples of 32-bit files are looked at up to here."""
_SCALE = float(1 << (MAX_BITS - 1))

UNUSED_BITS = Kind(
    "unused_bits",
    "The samples fit into fewer bits than the file provides, so the sound went through a format of fewer bits before: "
    "a converted copy, not what a recorder of this depth wrote.",
    "Many programs store 16-bit sound in 24 bits or floats as a habit. Any gain, fade or resampling after the "
    "conversion fills the bits again, so none says nothing; lossy files and 8-bit telephone codes are not looked at.",
)
IDENTICAL_CHANNELS = Kind(
    "identical_channels",
    "All channels hold the same samples: one channel was copied, by a recorder, an editor or a speech generator that "
    "writes stereo.",
    "Phones and many cheap recorders have one microphone and write two channels.",
)


@CHECKS.register("bit-depth")
class BitDepth:
    """Keeps one number per channel."""

    def __init__(self) -> None:
        """Nothing heard yet."""
        self._used = 0
        self._is_exact = True
        self._are_same = True
        self._channels = 0

    def hear(self, block: Float32Array, rate_hz: int) -> None:
        """Collect the bits that any sample uses."""
        self._channels = len(block)
        self._are_same &= bool((block == block[:1]).all())
        if not self._is_exact:
            return
        steps = block * np.float32(_SCALE)
        whole = steps.astype(np.int32)
        self._is_exact = bool((whole == steps).all())
        self._used |= int(np.bitwise_or.reduce(np.abs(whole), axis=None))

    def observe(self, exhibit: Exhibit) -> list[Observation]:
        """Both are facts of the whole file."""
        seen = []
        stored = exhibit.facts.bits_per_sample
        if stored is not None and self._is_exact and self._used:
            used = MAX_BITS - ((self._used & -self._used).bit_length() - 1)
            if used <= min(stored, MAX_BITS) - 4:
                words = f"samples of {stored} bits use the upper {used} only"
                values = [Quantity("stored", stored, "bits"), Quantity("used", used, "bits")]
                seen.append(UNUSED_BITS.observed(words, "notable", values))
        if self._channels > 1 and self._are_same and self._used:
            words = f"all {self._channels} channels hold the same samples"
            seen.append(IDENTICAL_CHANNELS.observed(words, values=[Quantity("channels", self._channels, "1")]))
        return seen
