"""Places where the background between words changes: level or colour of the noise in the pauses."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ....core.observationrecord import Observation, Quantity
from ....core.records import Audio, Float32Array, Segment
from ..examination import CHECKS
from ..exhibit import Exhibit, Kind

FRAME_SAMPLES = 512
HOP_SAMPLES = 256
"""16 ms at 16 kHz."""
FRAMES_AT_ONCE = 4096
"""A pause can last an hour."""
EDGES_HZ = (150, 400, 800, 1600, 2600, 3600, 5000, 7600)
MIN_PAUSE_S = 0.12
MIN_FRAMES = 5
QUIET_SHARE = 0.5
"""The quieter half of a pause: breaths, clicks and ends of words are the louder one."""
MAX_SPREAD_DB = 3.0
"""Standard deviation of the level in that half: in a pause that is less steady, no background can be read."""
MIN_CHANGE_DB = 8.0
"""Mean over the bands. docs/decisions/021 says how often it errs."""
FLOOR_DB = -100.0
"""Of full scale in a band; below lies rounding, and digital silence, which has its own check."""
MAX_CHANGES = 20

CHANGE = Kind(
    "noise_floor_change",
    "The background in two pauses that follow each other differs in level or colour: between them, sound of another "
    "place, device or treatment may have been joined.",
    "Doors, machines, automatic gain, noise reduction and voice calls change backgrounds without any edit. Joins in "
    "the same room, with matched noise, or where pauses hold no steady background are not found.",
)

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Background:
    """The steady noise of one pause: level in dB per band (bands,)."""

    pause: Segment
    levels_db: Float64Array


@CHECKS.register("noise-floor")
class NoiseFloor:
    """Looks at the sound at 16 kHz, mono, in the pauses between speech regions."""

    def hear(self, block: Float32Array, rate_hz: int) -> None:
        """The whole is looked at in the end, at the rate of the detectors."""

    def observe(self, exhibit: Exhibit) -> list[Observation] | None:
        """Candidates with their size in dB; None where fewer than two pauses hold a steady background."""
        found = backgrounds(exhibit.audio, exhibit.speech)
        if len(found) < 2:
            return None
        changes = [
            (Segment(before.pause.end_s, after.pause.start_s), change_db(before, after))
            for before, after in pairwise(found)
        ]
        large = [(where, size) for where, size in changes if size >= MIN_CHANGE_DB]
        if not large:
            return []
        shown = ", ".join(f"{where.start_s:.2f} to {where.end_s:.2f} s ({size:.0f} dB)" for where, size in large[:5])
        values = [
            Quantity("changes", len(large), "1"),
            Quantity("largest", round(max(size for _, size in large), 1), "dB"),
            Quantity("pauses", len(found), "1"),
        ]
        where = [segment for segment, _ in large[:MAX_CHANGES]]
        return [CHANGE.observed(f"the background changes somewhere in {shown}", "notable", values, where)]


def backgrounds(audio: Audio, speech: tuple[Segment, ...]) -> list[Background]:
    """Of each pause with a steady one, in order; `audio` is at 16 kHz."""
    edges = [0.0, *(edge for segment in speech for edge in (segment.start_s, segment.end_s)), audio.duration_s]
    found = []
    for start_s, end_s in zip(edges[::2], edges[1::2], strict=True):
        if end_s - start_s >= MIN_PAUSE_S:
            part = audio.samples[round(start_s * audio.rate_hz) : round(end_s * audio.rate_hz)]
            levels = _steady_levels(part, audio.rate_hz)
            if levels is not None:
                found.append(Background(Segment(start_s, end_s), levels))
    return found


def change_db(before: Background, after: Background) -> float:
    """Mean difference over the bands."""
    return float(np.abs(after.levels_db - before.levels_db).mean())


def _steady_levels(samples: Float32Array, rate_hz: int) -> Float64Array | None:
    """Median level of each band over the quieter half of a pause; None where that is not steady, or all zeros."""
    levels = _band_levels(samples, rate_hz)
    if len(levels) < MIN_FRAMES or levels.max() <= FLOOR_DB:
        return None
    total = 10 * np.log10((10 ** (levels / 10)).sum(axis=1))
    quiet = total <= np.quantile(total, QUIET_SHARE)
    if total[quiet].std() > MAX_SPREAD_DB:
        return None
    return np.asarray(np.median(levels[quiet], axis=0), dtype=np.float64)


def _band_levels(samples: Float32Array, rate_hz: int) -> Float64Array:
    """Level in dB of each band in each frame (frames, bands)."""
    edges = [round(edge / rate_hz * FRAME_SAMPLES) for edge in EDGES_HZ]
    if len(samples) < FRAME_SAMPLES:
        return np.zeros((0, len(edges) - 1))
    window = np.hanning(FRAME_SAMPLES).astype(np.float32)
    scale = 2 / float(np.square(window).sum()) / FRAME_SAMPLES
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME_SAMPLES)[::HOP_SAMPLES]
    levels = np.empty((len(frames), len(edges) - 1))
    for start in range(0, len(frames), FRAMES_AT_ONCE):
        part = slice(start, start + FRAMES_AT_ONCE)
        power = np.square(np.abs(np.fft.rfft(frames[part] * window, axis=1))) * scale
        for band, (low, high) in enumerate(pairwise(edges)):
            levels[part, band] = power[:, low:high].sum(axis=1)
    levels_db: Float64Array = np.maximum(10 * np.log10(np.maximum(levels, 1e-20)), FLOOR_DB)
    return levels_db
