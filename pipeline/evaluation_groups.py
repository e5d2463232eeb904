"""An evaluation's tables: the same figures by generator, source and condition, and families as strangers."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..core.evaluationrecord import N_WORST, Against, FixedThreshold, GroupFigures, GroupTable, LeftOutFamily
from ..detect.metrics.eer import auc, eer, threshold_at_eer
from .evaluation_scores import ScoredClip, ScoreSet, arrays

Name = Callable[[ScoredClip], str | None]
"""The group of a clip; None: it has none."""

UNNAMED = "(not named)"


@dataclass(frozen=True)
class Grouping:
    """A property of clips, and what each of its groups is measured against."""

    name: str
    against: Against
    of: Name


def band(value: float | None, edges: Sequence[float], unit: str) -> str | None:
    """The band that `value` lies in, as text: `4 to below 8 s`. None for a value that is not known."""
    if value is None:
        return None
    if value < edges[0]:
        return f"below {edges[0]:g} {unit}"
    for low, high in pairwise(edges):
        if value < high:
            return f"{low:g} to below {high:g} {unit}"
    return f"{edges[-1]:g} {unit} and more"


def _number_in(clip: ScoredClip, *columns: str) -> float | None:
    for name in columns:
        try:
            value = float(clip.columns[name])
        except (KeyError, ValueError):
            continue
        return value if np.isfinite(value) else None
    return None


def _snr(clip: ScoredClip) -> str | None:
    measured = clip.record.quality.snr_db if clip.record and clip.record.quality else None
    return band(measured if measured is not None else _number_in(clip, "snr_db"), (5, 10, 20, 30), "dB")


def _bandwidth(clip: ScoredClip) -> str | None:
    measured = clip.record.quality.bandwidth_hz if clip.record and clip.record.quality else None
    return band(measured if measured is not None else _number_in(clip, "bandwidth_hz"), (4000, 5500, 7000), "Hz")


def _duration(clip: ScoredClip) -> str | None:
    measured = clip.record.input.duration_s if clip.record else None
    return band(measured if measured is not None else _number_in(clip, "duration_s", "dur"), (2, 4, 8, 16, 60), "s")


def _codec(clip: ScoredClip) -> str | None:
    return (clip.record.input.codec if clip.record else None) or clip.columns.get("codec")


GROUPINGS = (
    Grouping("generator", "all_bonafide", lambda clip: clip.row.generator if clip.is_spoof else None),
    Grouping("family", "all_bonafide", lambda clip: clip.row.family if clip.is_spoof else None),
    Grouping("kind", "all_bonafide", lambda clip: clip.row.kind if clip.is_spoof else None),
    Grouping("bona fide source", "all_spoof", lambda clip: None if clip.is_spoof else clip.row.source),
    Grouping("source", "within", lambda clip: clip.row.source),
    Grouping("codec", "within", _codec),
    Grouping("SNR", "within", _snr),
    Grouping("bandwidth", "within", _bandwidth),
    Grouping("duration", "within", _duration),
    Grouping("language", "within", lambda clip: clip.columns.get("language")),
    Grouping("condition", "within", lambda clip: clip.columns.get("condition")),
    Grouping("fold", "within", lambda clip: clip.row.split),
)


def group_tables(scores: ScoreSet, threshold: FixedThreshold | None, min_clips: int) -> tuple[GroupTable, ...]:
    """A table for every property that any clip has; in it, clips without the property are a group of their own."""
    tables = (_table(grouping, scores, threshold, min_clips) for grouping in GROUPINGS)
    return tuple(table for table in tables if table is not None)


def _table(grouping: Grouping, scores: ScoreSet, threshold: FixedThreshold | None, min_clips: int) -> GroupTable | None:
    side = {"all_bonafide": ("spoof",), "all_spoof": ("bonafide",), "within": ("bonafide", "spoof")}[grouping.against]
    members: dict[str, list[ScoredClip]] = {}
    unscored: Counter[str] = Counter()
    for clip in scores.clips:
        if clip.row.label in side:
            name = grouping.of(clip) or UNNAMED
            members.setdefault(name, [])
            if clip.score is None:
                unscored[name] += 1
            else:
                members[name].append(clip)
    if set(members) <= {UNNAMED}:
        return None
    others = [] if grouping.against == "within" else [clip for clip in scores.scored if clip.row.label not in side]
    groups = [_figures(name, clips, others, unscored[name], threshold, min_clips) for name, clips in members.items()]
    groups.sort(key=lambda each: (each.eer is None, -(each.eer or 0.0), each.name))
    measured = [each for each in groups if each.eer is not None]
    macro_mean = float(np.mean([each.eer for each in measured])) if measured else None
    worst = tuple(each.name for each in measured[:N_WORST])
    return GroupTable(grouping.name, grouping.against, macro_mean, worst, tuple(groups))


def _figures(
    name: str,
    clips: Sequence[ScoredClip],
    others: Sequence[ScoredClip],
    n_unscored: int,
    threshold: FixedThreshold | None,
    min_clips: int,
) -> GroupFigures:
    n_spoof = sum(clip.is_spoof for clip in clips)
    n_bonafide = len(clips) - n_spoof
    together = [*clips, *others]
    undefined = _too_few(together, min_clips)
    values, is_spoof = arrays(together)
    return GroupFigures(
        name=name,
        n_bonafide=n_bonafide,
        n_spoof=n_spoof,
        n_unscored=n_unscored,
        eer=None if undefined else eer(values, is_spoof),
        auc=None if undefined else auc(values, is_spoof),
        fpr=_share_flagged([clip for clip in clips if not clip.is_spoof], threshold, min_clips),
        fnr=_share_passed([clip for clip in clips if clip.is_spoof], threshold, min_clips),
        undefined=undefined,
    )


def left_out_families(scores: ScoreSet, min_clips: int) -> tuple[LeftOutFamily, ...]:
    """One row per family, the most missed first; empty with fewer than two folds or two families.

    The threshold of a family is that of equal errors on the other families and genuine clips, all of other folds than
    the family's. Where the scores are out of fold, this is what a family that nobody has met yet would see.
    """
    clips = scores.scored
    families = sorted({clip.row.family for clip in clips if clip.is_spoof and clip.row.family})
    if len(families) < 2 or len({clip.row.split for clip in clips}) < 2:
        return ()
    rows = [_left_out(family, clips, min_clips) for family in families]
    return tuple(sorted(rows, key=lambda row: (row.fnr is None, -(row.fnr or 0.0), row.family)))


def _left_out(family: str, clips: Sequence[ScoredClip], min_clips: int) -> LeftOutFamily:
    own = [clip for clip in clips if clip.is_spoof and clip.row.family == family]
    folds = {clip.row.split for clip in own}
    genuine = [clip for clip in clips if not clip.is_spoof and clip.row.split in folds]
    rest = [clip for clip in clips if clip.row.split not in folds and not (clip.is_spoof and clip.row.family == family)]
    undefined = _too_few([*own, *genuine], min_clips, "in its folds")
    if not undefined:
        undefined = _too_few(rest, min_clips, "in the other folds")
    value = None if undefined else threshold_at_eer(*arrays(rest))
    threshold = None if value is None else FixedThreshold(value, "equal errors on other families and folds")
    return LeftOutFamily(
        family=family,
        folds=tuple(sorted(str(fold) for fold in folds)),
        n_bonafide=len(genuine),
        n_spoof=len(own),
        threshold=value,
        eer=None if undefined else eer(*arrays([*own, *genuine])),
        fpr=_share_flagged(genuine, threshold, min_clips),
        fnr=_share_passed(own, threshold, min_clips),
        undefined=undefined,
    )


def _too_few(clips: Sequence[ScoredClip], min_clips: int, where: str = "here") -> str | None:
    """Why these clips give no EER; None when they do."""
    n_spoof = sum(clip.is_spoof for clip in clips)
    for label, count in (("bona fide", len(clips) - n_spoof), ("spoof", n_spoof)):
        if count < min_clips:
            return f"{count or 'no'} {label} clips with a score {where}; {min_clips} are needed"
    return None


def _share_flagged(clips: Sequence[ScoredClip], threshold: FixedThreshold | None, min_clips: int) -> float | None:
    if threshold is None or len(clips) < max(1, min_clips):
        return None
    return float(np.mean([clip.score is not None and clip.score >= threshold.value for clip in clips]))


def _share_passed(clips: Sequence[ScoredClip], threshold: FixedThreshold | None, min_clips: int) -> float | None:
    flagged = _share_flagged(clips, threshold, min_clips)
    return None if flagged is None else 1.0 - flagged
