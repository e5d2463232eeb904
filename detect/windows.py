"""Sliding windows over speech, and the rule that makes one score of theirs.

Windows of 4 s every 2 s cover the stretch from the first to the last speech region. Each is trimmed to the speech
inside it with a margin of 0.15 s, since edge silence is a known shortcut (Müller et al., arXiv 2106.12914); those
with too little speech are dropped. The score of a file is the mean of its windows' scores: unlike a maximum,
it does not flag more genuine files the longer they are. What a mean hides, a short insert in a long
recording, the policy catches from the single windows (`suspicious_segment`).

Networks of the literature were trained on crops of 64,600 samples with pauses and edges as they came (`data_utils.py`
of clovaai/aasist @ a04c986), so they get windows of just that length, every half of it, over the same stretch, and
nothing is trimmed inside; those with too little speech are dropped alike.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from ..core.rates import DETECTOR_RATE_HZ
from ..core.records import Float32Array, Segment

WINDOW_S = 4.0
HOP_S = 2.0
MARGIN_S = 0.15
MIN_SPEECH_S = 1.0
"""Speech that a window needs; where no window has it, the one with the most speech stands in."""
MIN_WINDOW_S = 0.5
"""Below this nothing is scored."""
CROP_SAMPLES = 64_600
CROP_S = CROP_SAMPLES / DETECTOR_RATE_HZ
CROP_HOP_S = CROP_S / 2


def speech_windows(regions: Sequence[Segment], duration_s: float) -> list[Segment]:
    """Windows over `regions` (sorted, not overlapping) of a clip of `duration_s`, in order of time."""
    if not regions:
        return []
    span = _span(regions, duration_s)
    return _with_speech([pair for start_s in _starts(span, WINDOW_S, HOP_S) for pair in _trim(regions, span, start_s)])


def crop_windows(regions: Sequence[Segment], duration_s: float) -> list[Segment]:
    """Windows of `CROP_S` over `regions`, in order of time; one that is shorter where the stretch is."""
    if not regions:
        return []
    span = _span(regions, duration_s)
    if span.duration_s < MIN_WINDOW_S:
        return []
    windows = [Segment(start_s, min(start_s + CROP_S, span.end_s)) for start_s in _starts(span, CROP_S, CROP_HOP_S)]
    inside = [(math.fsum(region.duration_s for region in _inside(regions, window)), window) for window in windows]
    return _with_speech([pair for pair in inside if pair[0] > 0])


def cut_to_speech(regions: Sequence[Segment], speech_s: float, duration_s: float) -> Segment | None:
    """The beginning of a clip of `duration_s` that holds `speech_s` of its speech, margins included.

    As a scan would hear a file that was recorded so far and no further; None where there is too little speech.
    """
    left_s = speech_s
    for region in regions:
        if left_s <= region.duration_s:
            end_s = region.start_s + left_s
            return Segment(max(0.0, regions[0].start_s - MARGIN_S), min(duration_s, end_s + MARGIN_S))
        left_s -= region.duration_s
    return None


def fill_crop(samples: Float32Array) -> Float32Array:
    """Samples (n,), n >= 1, repeated and cut to (CROP_SAMPLES,), as in training."""
    return np.resize(samples, CROP_SAMPLES)


def pool(scores: Iterable[float]) -> float:
    """The file's score: the mean over its windows."""
    values = list(scores)
    return math.fsum(values) / len(values)


def _span(regions: Sequence[Segment], duration_s: float) -> Segment:
    """From the first to the last region, with a margin, inside the clip."""
    return Segment(max(0.0, regions[0].start_s - MARGIN_S), min(duration_s, regions[-1].end_s + MARGIN_S))


def _with_speech(windows: Sequence[tuple[float, Segment]]) -> list[Segment]:
    """Of pairs of seconds of speech and window, those with enough; if there are none, the one with most."""
    rich = [window for speech_s, window in windows if speech_s >= MIN_SPEECH_S]
    if rich or not windows:
        return rich
    return [max(windows, key=lambda pair: pair[0])[1]]


def _starts(span: Segment, window_s: float, hop_s: float) -> list[float]:
    """Starts every `hop_s`; the last window ends where the span ends."""
    last_s = max(span.start_s, span.end_s - window_s)
    count = math.ceil((last_s - span.start_s) / hop_s)
    return [span.start_s + index * hop_s for index in range(count)] + [last_s]


def _inside(regions: Sequence[Segment], window: Segment) -> list[Segment]:
    """The parts of `regions` in `window`."""
    return [
        Segment(max(region.start_s, window.start_s), min(region.end_s, window.end_s))
        for region in regions
        if region.start_s < window.end_s and region.end_s > window.start_s
    ]


def _trim(regions: Sequence[Segment], span: Segment, start_s: float) -> list[tuple[float, Segment]]:
    """The window at `start_s` cut to its speech, with the seconds of speech in it; nothing where it has none."""
    end_s = min(start_s + WINDOW_S, span.end_s)
    inside = _inside(regions, Segment(start_s, end_s))
    if not inside:
        return []
    window = Segment(max(start_s, inside[0].start_s - MARGIN_S), min(end_s, inside[-1].end_s + MARGIN_S))
    if window.duration_s < MIN_WINDOW_S:
        return []
    return [(math.fsum(region.duration_s for region in inside), window)]
