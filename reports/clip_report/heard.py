"""What a report shows and plays of the sound itself."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ...core.records import Audio, Float32Array, Segment
from .picture import peaks_of, spectrogram_png

WHOLE_UP_TO_S = 300.0
"""A longer sound is kept only around what matters: half an hour would be a page of 44 MB."""
KEPT_AROUND_S = 2.0
_BLOCK_SAMPLES = 1 << 20


@dataclass(frozen=True)
class Heard:
    """The sound of a file, as far as it goes into its report."""

    duration_s: float
    peaks: tuple[float, ...] = field(repr=False)
    """Of equal stretches of the whole, in [0, 1]."""
    spectrogram: bytes | None = field(default=None, repr=False)
    """PNG of the whole. None: left out; speech can be made audible again from it."""
    flac: bytes | None = field(default=None, repr=False)
    """As long as the sound, silent outside `kept`. None: left out."""
    kept: tuple[Segment, ...] = ()
    """Stretches of the sound that `flac` holds, in order, not overlapping."""


def hear(audio: Audio, matters: Sequence[Segment], *, with_sound: bool = True) -> Heard:
    """Peaks, and with `with_sound` spectrogram and preview, of mono sound.

    The preview is FLAC, the sound that was analysed to half a step of 16 bits. Of more than `WHOLE_UP_TO_S`, only the
    stretches that matter are kept, the first ones first, up to as much; the rest is silence, which costs next to
    nothing and leaves every second where it is.
    """
    peaks = peaks_of(audio.samples)
    if not with_sound or not len(audio.samples):
        return Heard(audio.duration_s, peaks)
    kept: tuple[Segment, ...] = (Segment(0.0, audio.duration_s),)
    if audio.duration_s > WHOLE_UP_TO_S:
        kept = _around(matters, audio.duration_s)
    flac = _flac(audio.samples, audio.rate_hz, kept)
    return Heard(audio.duration_s, peaks, spectrogram_png(audio.samples), flac, kept)


def _around(matters: Sequence[Segment], duration_s: float) -> tuple[Segment, ...]:
    """Unions of `matters`, each `KEPT_AROUND_S` longer on both sides, until `WHOLE_UP_TO_S` is full."""
    kept: list[Segment] = []
    left_s = WHOLE_UP_TO_S
    for each in matters:
        start_s, end_s = max(0.0, each.start_s - KEPT_AROUND_S), min(duration_s, each.end_s + KEPT_AROUND_S)
        end_s = min(end_s, start_s + left_s)
        if end_s <= start_s:
            continue
        touching = [other for other in kept if other.start_s <= end_s and start_s <= other.end_s]
        union = Segment(
            min([start_s, *(other.start_s for other in touching)]), max([end_s, *(other.end_s for other in touching)])
        )
        kept = sorted([*(other for other in kept if other not in touching), union])
        left_s = WHOLE_UP_TO_S - sum(other.duration_s for other in kept)
    return tuple(kept)


def _flac(samples: Float32Array, rate_hz: int, kept: Sequence[Segment]) -> bytes:
    """In memory, not through a pipe: a stream without its count of samples has no duration for a browser."""
    import soundfile

    encoded = io.BytesIO()
    with soundfile.SoundFile(encoded, "w", rate_hz, 1, format="FLAC", subtype="PCM_16") as file:
        for first in range(0, len(samples), _BLOCK_SAMPLES):
            block = samples[first : first + _BLOCK_SAMPLES]
            heard = np.zeros(len(block), np.int16)
            for each in kept:
                start, end = (min(max(round(at_s * rate_hz) - first, 0), len(block)) for at_s in
                              (each.start_s, each.end_s))  # fmt: skip
                heard[start:end] = np.clip(np.rint(block[start:end] * 32_768.0), -32_768, 32_767)
            file.write(heard)
    return encoded.getvalue()
