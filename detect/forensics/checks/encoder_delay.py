"""Samples that encoders put in front: what the file states, and what is left at the start of the sound."""

import numpy as np

from ....core.observationrecord import Observation, Quantity
from ....core.records import Float32Array, Segment
from ..examination import CHECKS
from ..exhibit import Exhibit, Kind
from ..gapless import Gapless, stated_gapless

USUAL_DELAYS = {"LAME tag": (576, 1105, 1160), "iTunSMPB": (1024, 2048, 2112), "Opus pre-skip": (312, 3840)}
"""LAME; FFmpeg and Apple AAC; libopus at 48 kHz (RFC 7845 suggests 3840 as the most that is ever needed)."""
STARTS = (576, 1024, 1105, 1681, 2048, 2112, 2257)
"""Samples of near silence with which the decoded output of MP3 and AAC starts where no delay is taken away."""
START_TOLERANCE_SAMPLES = 48
"""The first sound after the gap is spread by the codec."""
NEAR_SILENCE = 2.0**-14
"""Two steps of 16 bits."""
ONSET_OVER_SILENCE = 8.0
"""The sound behind the gap must be this much louder at once, or it is a fade or a quiet recording."""
_HEARD = 8192

STATED = Kind(
    "encoder_delay",
    "The encoder states how many samples it put in front and behind, so that players can take them away.",
    "Different versions of an encoder state different values; platforms rewrite them.",
)
UNUSUAL = Kind(
    "encoder_delay_unusual",
    "The stated delay is none that the usual encoders write: an edit without decoding moved it, such as cutting MP3 "
    "frames, or the sound was encoded twice and the delays were added.",
    "Rare encoders and settings have values of their own.",
)
MISSING = Kind(
    "encoder_delay_missing",
    "Encoders for MP3 write a header with their delay as a rule; a file without one was cut out of a longer one "
    "without decoding, joined, recorded from a stream, or written by a plain encoder or a speech service.",
    "Web services that stream MP3 leave it out on purpose; old encoders did not know it.",
)
GAP = Kind(
    "start_gap",
    "The sound starts with as much near silence as MP3 and AAC encoders put in front: it was lossy before, and the "
    "delay was not taken away. In a lossy file, beside the delay taken away on decoding, it speaks for two encodings.",
    "An exported pause of this length by chance, a noise gate, or a generator that starts with silence looks the same.",
)


@CHECKS.register("encoder-delay")
class EncoderDelay:
    """Keeps the first 8,192 samples."""

    def __init__(self) -> None:
        """Nothing heard yet."""
        self._start = np.zeros(0, np.float32)
        self._rate_hz = 0

    def hear(self, block: Float32Array, rate_hz: int) -> None:
        """Only the beginning counts: the loudest channel at each moment."""
        self._rate_hz = rate_hz
        if len(self._start) < _HEARD:
            loudest = np.abs(block[:, : _HEARD - len(self._start)]).max(axis=0)
            self._start = np.concatenate([self._start, loudest])

    def observe(self, exhibit: Exhibit) -> list[Observation]:
        """What the header states, and a gap at the start."""
        stated = stated_gapless(exhibit.facts.container, exhibit.read_at, exhibit.tags)
        seen = []
        if stated is not None:
            seen.append(_of_stated(stated))
        elif exhibit.facts.container == "mp3":
            seen.append(MISSING.observed("the MP3 file states neither encoder delay nor padding"))
        gap = self._gap()
        if gap is not None:
            words = f"{gap} samples of near silence at the start, then sound at once"
            where = [Segment(0.0, gap / self._rate_hz)]
            seen.append(GAP.observed(words, values=[Quantity("gap", gap, "samples")], segments=where))
        return seen

    def _gap(self) -> int | None:
        """Samples before the first sound, if an encoder's delay explains their number."""
        loud = np.flatnonzero(self._start > NEAR_SILENCE)
        if not len(loud):
            return None
        gap = int(loud[0])
        behind = self._start[gap : gap + 256]
        is_usual = any(abs(gap - start) <= START_TOLERANCE_SAMPLES for start in STARTS)
        return gap if is_usual and behind.max() >= ONSET_OVER_SILENCE * NEAR_SILENCE else None


def _of_stated(stated: Gapless) -> Observation:
    values = [Quantity("delay", stated.delay_samples, "samples")]
    words = f"{stated.source}: delay {stated.delay_samples} samples"
    if stated.padding_samples is not None:
        values.append(Quantity("padding", stated.padding_samples, "samples"))
        words += f", padding {stated.padding_samples}"
    if stated.rate_hz is not None:
        words += f" at {stated.rate_hz} Hz"
    if stated.encoder:
        words += f", encoder “{stated.encoder}”"
    if stated.delay_samples not in USUAL_DELAYS[stated.source]:
        return UNUSUAL.observed(words, "note", values)
    return STATED.observed(words, "note", values)
