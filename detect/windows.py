"""Sliding windows over speech, and the rule that makes one score of theirs.

Windows of 4 s every 2 s cover the stretch from the first to the last speech region. Each is trimmed to the speech
inside it with a margin of 0.15 s, since edge silence is a known shortcut (Müller et al., arXiv 2106.12914); those
with too little speech are dropped. The score of a file is the mean of its windows' scores: unlike a maximum,
it does not flag more genuine files the longer they are. What a mean hides, a short insert in a long
recording, the policy catches from the single windows (`suspicious_segment`).
"""

import math
from collections.abc import Iterable, Sequence

from ..core.records import Segment

WINDOW_S = 4.0
HOP_S = 2.0
MARGIN_S = 0.15
MIN_SPEECH_S = 1.0
"""Speech that a window needs; where no window has it, the one with the most speech stands in."""
MIN_WINDOW_S = 0.5
"""Below this nothing is scored."""


def speech_windows(regions: Sequence[Segment], duration_s: float) -> list[Segment]:
    """Windows over `regions` (sorted, not overlapping) of a clip of `duration_s`, in order of time."""
    if not regions:
        return []
    span = Segment(max(0.0, regions[0].start_s - MARGIN_S), min(duration_s, regions[-1].end_s + MARGIN_S))
    trimmed = [pair for start_s in _starts(span) for pair in _trim(regions, span, start_s)]
    rich = [window for speech_s, window in trimmed if speech_s >= MIN_SPEECH_S]
    if rich or not trimmed:
        return rich
    return [max(trimmed, key=lambda pair: pair[0])[1]]


def pool(scores: Iterable[float]) -> float:
    """The file's score: the mean over its windows."""
    values = list(scores)
    return math.fsum(values) / len(values)


def _starts(span: Segment) -> list[float]:
    """Starts every HOP_S; the last window ends where the span ends."""
    last_s = max(span.start_s, span.end_s - WINDOW_S)
    count = math.ceil((last_s - span.start_s) / HOP_S)
    return [span.start_s + index * HOP_S for index in range(count)] + [last_s]


def _trim(regions: Sequence[Segment], span: Segment, start_s: float) -> list[tuple[float, Segment]]:
    """The window at `start_s` cut to its speech, with the seconds of speech in it; nothing where it has none."""
    end_s = min(start_s + WINDOW_S, span.end_s)
    inside = [
        Segment(max(region.start_s, start_s), min(region.end_s, end_s))
        for region in regions
        if region.start_s < end_s and region.end_s > start_s
    ]
    if not inside:
        return []
    window = Segment(max(start_s, inside[0].start_s - MARGIN_S), min(end_s, inside[-1].end_s + MARGIN_S))
    if window.duration_s < MIN_WINDOW_S:
        return []
    return [(math.fsum(region.duration_s for region in inside), window)]
