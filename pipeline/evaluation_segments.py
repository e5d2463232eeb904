"""Partly generated recordings in an evaluation: labels per stretch of time against the windows of a scan."""

import csv
import math
from collections.abc import Mapping
from pathlib import Path

from ..core.errors import InputError, UsageError
from ..core.evaluationrecord import FixedThreshold, SegmentFigures
from ..core.records import ScoredSegment
from ..detect.metrics.segments import LabelledSegment, SegmentTally, pooled, tally_segments
from ..detect.metrics.trials import ScoresError
from .evaluation_scores import ScoredClip, ScoreSet

COLUMNS = ("clip", "start_s", "end_s", "label")
SegmentLabels = Mapping[str, tuple[LabelledSegment, ...]]
"""By clip id."""


def read_segment_labels(path: Path) -> SegmentLabels:
    """A CSV with the columns clip, start_s, end_s and label (bonafide or spoof): one stretch per line.

    Raises `InputError` when it cannot be read, `UsageError` that names the line of a wrong value.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            lines = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a CSV file of segments ({error})", code="read_error") from error
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
    if missing or not lines:
        raise UsageError(f"{path}: needs the columns {', '.join(COLUMNS)} and a line per segment")
    labels: dict[str, tuple[LabelledSegment, ...]] = {}
    for number, line in enumerate(lines, start=2):
        segment = _segment(line, f"{path}, line {number}")
        labels[line["clip"]] = (*labels.get(line["clip"], ()), segment)
    return labels


def segment_figures(
    scores: ScoreSet, labels: SegmentLabels, threshold: FixedThreshold, tolerance_s: float
) -> SegmentFigures:
    """All labelled seconds together, every second alike.

    Raises `UsageError` for scores without windows, clips that are not in the manifest, and labels that overlap.
    """
    if not scores.has_records:
        raise UsageError("segments need the windows of a scan; give --detector, or --scores with the .jsonl of a scan")
    clips = {clip.row.clip_id: clip for clip in scores.clips}
    unknown = sorted(set(labels) - set(clips))
    if unknown:
        raise UsageError(f"segments of clips that are not measured ({len(unknown)}), first: {unknown[0]}")
    tally = pooled(_tally(clips[clip_id], labels, threshold, tolerance_s) for clip_id in sorted(labels))
    return SegmentFigures(
        clips=len(labels),
        threshold=threshold,
        tolerance_s=tolerance_s,
        hit_s=tally.hit_s,
        miss_s=tally.miss_s,
        false_alarm_s=tally.false_alarm_s,
        correct_rejection_s=tally.correct_rejection_s,
        near_boundary_s=tally.near_boundary_s,
        unscored_s=tally.unscored_s,
        precision=tally.precision,
        recall=tally.recall,
        f1=tally.f1,
    )


def _tally(clip: ScoredClip, labels: SegmentLabels, threshold: FixedThreshold, tolerance_s: float) -> SegmentTally:
    detectors = clip.record.detectors if clip.record else ()
    windows = [ScoredSegment(*window) for result in detectors for window in result.segments]
    clip_id = clip.row.clip_id
    try:
        return tally_segments(labels[clip_id], windows, threshold=threshold.value, tolerance_s=tolerance_s)
    except ScoresError as error:
        raise UsageError(f"segments of {clip_id}: {error.message}") from error


def _segment(line: Mapping[str, str | None], where: str) -> LabelledSegment:
    times = []
    for name in ("start_s", "end_s"):
        try:
            times.append(float(line[name] or ""))
        except ValueError:
            times.append(math.nan)
        if not math.isfinite(times[-1]):
            raise UsageError(f"{where}: {name} {line[name]!r} is no number of seconds")
    if line["label"] not in ("bonafide", "spoof"):
        raise UsageError(f"{where}: label {line['label']!r} is not one of bonafide, spoof")
    return LabelledSegment(times[0], times[1], line["label"] == "spoof")
