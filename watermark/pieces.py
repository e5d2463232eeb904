"""Sound of any length in pieces of a bounded one, so that an hour costs no more memory than a minute."""

from collections.abc import Callable, Iterable

import numpy as np

from ..core.errors import InputError
from ..core.records import Audio, Float32Array, Segment

PIECE_S = 10.0
OVERLAP_S = 0.25
"""Over which one piece's mark gives way to the next one's."""
SILENCE_PEAK = 2.0**-15
"""One step of 16-bit sound: below it there is nothing to read and nothing to hide a mark in."""


def unusable(audio: Audio, min_s: float) -> tuple[str, str] | None:
    """Why nothing can be looked for in `audio`, or put on it: a code of `core/reasons.py` and a sentence; else None."""
    samples = audio.samples
    if samples.ndim != 1:
        return "not_mono", f"one channel (n,) is needed, not an array of shape {samples.shape}; mix the channels first"
    if len(samples) < min_s * audio.rate_hz:
        return "too_short", f"{audio.duration_s:.2f} s, and at least {min_s:g} s are needed"
    if not np.isfinite(samples).all():
        return "not_finite", "samples that are NaN or infinite; export the recording again"
    if float(np.abs(samples).max()) < SILENCE_PEAK:
        return "no_speech", "all of it is silent"
    return None


def require_usable(audio: Audio, min_s: float) -> None:
    """Raise `InputError`, with the code that `unusable` gives, for sound that no mark can be put on."""
    if problem := unusable(audio, min_s):
        code, why = problem
        raise InputError(f"{audio.source or 'the sound'}: cannot be marked: {why}", code=code)


def pieces(length: int, rate_hz: int) -> list[tuple[int, int]]:
    """First sample and end of each piece; the last one takes the rest, so of several it is 10 to 20 s long."""
    size = int(PIECE_S * rate_hz)
    starts = range(0, max(1, length - size + 1), size)
    return [(start, length if start == starts[-1] else start + size) for start in starts]


def add_residue(samples: Float32Array, rate_hz: int, residue: Callable[[Float32Array], Float32Array]) -> Float32Array:
    """`samples` (n,) with what `residue` gives for each piece (m,) -> (m,) added, one piece fading into the next."""
    overlap = int(OVERLAP_S * rate_hz)
    total = np.zeros(len(samples), np.float32)
    for start, end in pieces(len(samples), rate_hz):
        late_end = min(len(samples), end + overlap)
        part = residue(samples[start:late_end]).copy()
        if start:
            rise = np.linspace(0.0, 1.0, overlap, dtype=np.float32)
            part[:overlap] *= rise
        if late_end > end:
            part[end - start :] *= np.linspace(1.0, 0.0, late_end - end, dtype=np.float32)
        total[start:late_end] += part
    return np.asarray(np.clip(samples + total, -1.0, 1.0), np.float32)


def fitted(samples: Float32Array, length: int) -> Float32Array:
    """`samples` (n,) cut to `length`, or with zeros behind."""
    return np.pad(samples[:length], (0, max(0, length - len(samples))))


def joined(spans: Iterable[tuple[int, int]], rate_hz: int) -> tuple[Segment, ...]:
    """Spans in samples, in order, as segments; those that touch become one."""
    found: list[tuple[int, int]] = []
    for start, end in spans:
        if found and found[-1][1] >= start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return tuple(Segment(start / rate_hz, end / rate_hz) for start, end in found)
