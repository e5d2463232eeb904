"""Where the mark is: stretches that are certain each by itself, with ends as fine as the evidence allows.

The layers, start slots and stretches tested are one family with weights that sum to 1. The chance that any of those
without a mark reaches weight · e-value >= 1/alpha is at most alpha (Markov's inequality on the sum): so sure are all
spans of a file together.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ...core.rates import TOKEN_RATE_HZ
from ...core.records import Segment
from .evalue import LayerEvidence
from .hypotheses import CHUNK
from .path import Path
from .tails import Float64Array

MAX_RUNS = 256
"""No more runs are looked for."""
MAX_DROP_NATS = 8.0
"""A span ends where the evidence along its path falls by this much before it comes back (as the X-drop of BLAST,
Altschul et al. 1990)."""
MAX_GAP_S = 1.0
"""Spans on one line of slots with a shorter gap are one."""
END_SHARE = 0.2
"""Ends of a span with less than this share of its mean evidence are cut off."""
_SLACK_TOKENS = 2 * CHUNK
_SLOT_TOLERANCE = 1.5


@dataclass(frozen=True, order=True)
class MarkSpan(Segment):
    """A stretch that carries the mark, in seconds of the sound as it was given."""

    log10_p: float
    """Certified, corrected for all that was searched."""
    start_slot: int
    """Slot of the span's first token."""
    speed: float
    """The sound was played this many times too fast …"""
    rate: float
    """… and its tokens then last this many times 40 ms."""


def find_spans(
    evidence: Iterable[LayerEvidence], trace: Callable[[LayerEvidence, int], Path], alpha: float, n_slots: int
) -> tuple[MarkSpan, ...]:
    """The spans with p <= `alpha` each, in order of time, the most certain are found first.

    There may be none: all hypotheses together can be certain while no single one is.
    """
    found = [
        (float(each.log_e_each[stretch]), index, each, int(stretch))
        for index, each in enumerate(evidence)
        for stretch in np.flatnonzero(each.log_e_each >= -math.log(alpha))
    ]
    spans: list[MarkSpan] = []
    tried: set[tuple[int, int]] = set()
    for _, index, layer, stretch in sorted(found, key=lambda each: (-each[0], each[1], each[3])):
        start = int(layer.start_slots[stretch])
        if len(spans) >= MAX_RUNS or (index, start) in tried:
            continue
        tried.add((index, start))
        spans += _spans_of(trace(layer, stretch), spans, alpha, n_slots)
    return _merged(sorted(spans), n_slots)


def likely_span(path: Path, stretch: int, n_slots: int) -> MarkSpan:
    """The best stretch by itself, cut to where its evidence lies; its `log10_p` may be above alpha."""
    tokens = path.tokens(stretch)
    runs = high_scoring_runs(path.log_m[tokens]) or [slice(0, tokens.stop - tokens.start)]
    return _span(
        path, slice(tokens.start + runs[0].start, tokens.start + runs[-1].stop), path.log10_p(stretch), n_slots
    )


def high_scoring_runs(values: Float64Array) -> list[slice]:
    """Runs of tokens with positive sums that no drop of MAX_DROP_NATS divides, in order."""
    runs: list[slice] = []
    start, end, total, highest = 0, 0, 0.0, 0.0
    for token, value in enumerate(values.tolist()):
        total += value
        if total > highest:
            highest, end = total, token + 1
        if total <= 0 or total < highest - MAX_DROP_NATS:
            if highest > 0:
                runs.append(slice(start, end))
            start, end, total, highest = token + 1, token + 1, 0.0, 0.0
    if highest > 0:
        runs.append(slice(start, end))
    return runs


def _spans_of(path: Path, claimed: Sequence[Segment], alpha: float, n_slots: int) -> list[MarkSpan]:
    """The certain runs of one path outside what is claimed."""
    values, seconds = path.log_m.copy(), path.seconds
    for span in claimed:
        inside = (seconds[:-1] < span.end_s) & (seconds[1:] > span.start_s)
        values[inside] = -math.inf
    family, limit = path.family, -math.log(alpha)
    first, last = family.start * CHUNK, np.minimum(family.end * CHUNK, len(values))
    spans = []
    for run in map(partial(_trimmed, values), high_scoring_runs(values)):
        # stretches of the family that are this run, up to a little at either end
        fits = (first >= run.start - _SLACK_TOKENS) & (last <= run.stop + _SLACK_TOKENS)
        log_e = float(np.where(fits, path.log_e_each, -np.inf).max())
        if log_e >= limit:
            spans.append(_span(path, run, -log_e / math.log(10), n_slots))
    return spans


def _trimmed(values: Float64Array, run: slice) -> slice:
    """The run without ends that rise by chance: less than END_SHARE of the run's mean evidence per token."""
    above = values[run] - END_SHARE * values[run].mean()
    until = np.concatenate(([0.0], np.cumsum(above)))
    end = int(np.argmax(until - np.minimum.accumulate(until)))
    start = int(np.argmin(until[: end + 1]))
    return slice(run.start + start, run.start + end)


def _span(path: Path, run: slice, log10_p: float, n_slots: int) -> MarkSpan:
    slot = (path.start_slot + run.start) % n_slots
    start_s, end_s = float(path.seconds[run.start]), float(path.seconds[run.stop])
    return MarkSpan(start_s, end_s, log10_p, slot, path.layer.speed, path.layer.rate)


def _merged(spans: Sequence[MarkSpan], n_slots: int) -> tuple[MarkSpan, ...]:
    merged: list[MarkSpan] = []
    for span in spans:
        if merged and span.start_s - merged[-1].end_s <= MAX_GAP_S and _one_line(merged[-1], span, n_slots):
            before = merged.pop()
            span = replace(before, end_s=max(before.end_s, span.end_s), log10_p=min(before.log10_p, span.log10_p))
        merged.append(span)
    return tuple(merged)


def _one_line(before: MarkSpan, after: MarkSpan, n_slots: int) -> bool:
    """Whether `after` goes on with the slots where `before` would be."""
    tokens = (after.start_s - before.start_s) * TOKEN_RATE_HZ * before.speed / before.rate
    off = (after.start_slot - before.start_slot - tokens + n_slots / 2) % n_slots - n_slots / 2
    return abs(off) <= _SLOT_TOLERANCE
