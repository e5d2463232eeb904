"""Partly generated recordings: where the windows of a scan agree with what is known of each second.

Everything is measured in seconds, exactly, between the edges of labels and windows; no frames are laid over them.
At a time that several windows cover, their mean log10 likelihood ratio counts; it is flagged at or above the
threshold. Time that no window covers is never flagged. Time that has no label counts nowhere.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

from ...core.records import ScoredSegment, Segment
from .trials import ScoresError


@dataclass(frozen=True, order=True)
class LabelledSegment(Segment):
    """A stretch of time that is known to be generated or not."""

    is_spoof: bool


@dataclass(frozen=True)
class SegmentTally:
    """Seconds by what is known and what was flagged."""

    hit_s: float = 0.0
    """Generated and flagged."""
    miss_s: float = 0.0
    """Generated and not flagged."""
    false_alarm_s: float = 0.0
    """Bona fide and flagged."""
    correct_rejection_s: float = 0.0
    """Bona fide and not flagged."""
    near_boundary_s: float = 0.0
    """Left out of all others: within the tolerance of a change between the classes."""
    unscored_s: float = 0.0
    """Covered by no window; part of `miss_s` and `correct_rejection_s`."""

    @property
    def precision(self) -> float | None:
        """Share of the flagged time that is generated; None where nothing is flagged."""
        return _share(self.hit_s, self.hit_s + self.false_alarm_s)

    @property
    def recall(self) -> float | None:
        """Share of the generated time that is flagged; None where nothing is generated."""
        return _share(self.hit_s, self.hit_s + self.miss_s)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of the two, 2 hit / (2 hit + miss + false alarm); None where nothing is generated."""
        if self.recall is None:
            return None
        return _share(2 * self.hit_s, 2 * self.hit_s + self.miss_s + self.false_alarm_s)


def tally_segments(
    labelled: Sequence[LabelledSegment],
    windows: Sequence[ScoredSegment],
    *,
    threshold: float,
    tolerance_s: float,
) -> SegmentTally:
    """One recording's seconds. `tolerance_s` is left out on either side of every change between the classes.

    Raises `ScoresError` for labelled stretches that are empty or overlap, and for a tolerance below 0.
    """
    if not tolerance_s >= 0:
        raise ScoresError(f"a boundary tolerance of {tolerance_s} s is impossible; give 0 or more")
    in_order = _checked(labelled)
    changes = [b.start_s for a, b in pairwise(in_order) if a.end_s == b.start_s and a.is_spoof != b.is_spoof]
    edges = {edge for each in (*in_order, *windows) for edge in (each.start_s, each.end_s)}
    edges |= {change + side * tolerance_s for change in changes for side in (-1, 1)}
    seconds = dict.fromkeys((each.name for each in fields(SegmentTally)), 0.0)
    for start_s, end_s in pairwise(sorted(edges)):
        middle_s = (start_s + end_s) / 2
        known = next((each for each in in_order if each.start_s <= middle_s < each.end_s), None)
        if known is None:
            continue
        if any(abs(middle_s - change) < tolerance_s for change in changes):
            seconds["near_boundary_s"] += end_s - start_s
            continue
        ratios = [window.log10_lr for window in windows if window.start_s <= middle_s < window.end_s]
        is_flagged = bool(ratios) and sum(ratios) / len(ratios) >= threshold
        seconds[_cell(known.is_spoof, is_flagged)] += end_s - start_s
        if not ratios:
            seconds["unscored_s"] += end_s - start_s
    return SegmentTally(**seconds)


def pooled(tallies: Iterable[SegmentTally]) -> SegmentTally:
    """The sum over recordings: every second counts alike."""
    listed = list(tallies)
    return SegmentTally(*(sum(getattr(tally, each.name) for tally in listed) for each in fields(SegmentTally)))


def _checked(labelled: Sequence[LabelledSegment]) -> list[LabelledSegment]:
    in_order = sorted(labelled)
    for each in in_order:
        if not 0 <= each.start_s < each.end_s:
            raise ScoresError(f"the stretch from {each.start_s:g} to {each.end_s:g} s is empty; correct its times")
    for first, second in pairwise(in_order):
        if second.start_s < first.end_s:
            raise ScoresError(f"two labelled stretches overlap at {second.start_s:g} s; give each second one label")
    return in_order


def _cell(is_spoof: bool, is_flagged: bool) -> str:
    if is_spoof:
        return "hit_s" if is_flagged else "miss_s"
    return "false_alarm_s" if is_flagged else "correct_rejection_s"


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None
