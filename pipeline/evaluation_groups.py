"""An evaluation's tables: the same figures by generator, voice pool, source and condition, with their intervals."""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ..core.evaluationrecord import N_WORST, Against, Estimate, FixedThreshold, GroupFigures, GroupTable
from ..detect.metrics.eer import auc, eer
from ..detect.metrics.group_bootstrap import Contest, Range, Side, group_intervals
from .evaluation_scores import ScoredClip, ScoreSet, arrays

Name = Callable[[ScoredClip], str | None]
"""The group of a clip; None: it has none."""

UNNAMED = "(not named)"
_SIDES = {"all_bonafide": ("spoof",), "all_spoof": ("bonafide",), "within": ("bonafide", "spoof")}


@dataclass(frozen=True)
class Grouping:
    """A property of clips, and what each of its groups is measured against."""

    name: str
    against: Against
    of: Name
    is_sample: bool = False
    """The groups are some of many that might have been there, and not conditions that are given."""


@dataclass(frozen=True)
class Resampling:
    """How intervals are made."""

    n_resamples: int
    """0: there are none."""
    seed: int
    level: float


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


def _voice_pool(clip: ScoredClip) -> str | None:
    """Corpora that share their speakers (LibriSpeech, LibriTTS) can be one pool by a column of the manifest."""
    return clip.columns.get("voice_pool") or clip.row.source


def _codec(clip: ScoredClip) -> str | None:
    return (clip.record.input.codec if clip.record else None) or clip.columns.get("codec")


GROUPINGS = (
    Grouping("generator", "all_bonafide", lambda clip: clip.row.generator if clip.is_spoof else None, True),
    Grouping("family", "all_bonafide", lambda clip: clip.row.family if clip.is_spoof else None, True),
    Grouping("kind", "all_bonafide", lambda clip: clip.row.kind if clip.is_spoof else None),
    Grouping("bona fide source", "all_spoof", lambda clip: None if clip.is_spoof else clip.row.source, True),
    Grouping("voice pool", "within", _voice_pool, True),
    Grouping("codec", "within", _codec),
    Grouping("SNR", "within", _snr),
    Grouping("bandwidth", "within", _bandwidth),
    Grouping("duration", "within", _duration),
    Grouping("language", "within", lambda clip: clip.columns.get("language")),
    Grouping("condition", "within", lambda clip: clip.columns.get("condition")),
    Grouping("fold", "within", lambda clip: clip.row.split),
)


def group_tables(
    scores: ScoreSet, threshold: FixedThreshold | None, min_clips: int, resampling: Resampling
) -> tuple[GroupTable, ...]:
    """A table for every property that any clip has; in it, clips without the property are a group of their own."""
    tables = (_table(grouping, scores, threshold, min_clips, resampling) for grouping in GROUPINGS)
    return tuple(table for table in tables if table is not None)


def drawn_unit(clip: ScoredClip) -> tuple[str, str | None, str | None]:
    """What would be drawn anew: a genuine speaker of a source, a generator. Unnamed ones of a kind are one unit."""
    if clip.is_spoof:
        return "spoof", clip.row.generator or clip.row.family, None
    return "bonafide", clip.row.source, clip.row.speaker


def too_few(clips: Sequence[ScoredClip], min_clips: int, where: str = "here") -> str | None:
    """Why these clips give no EER; None when they do."""
    n_spoof = sum(clip.is_spoof for clip in clips)
    for label, count in (("bona fide", len(clips) - n_spoof), ("spoof", n_spoof)):
        if count < min_clips:
            return f"{count or 'no'} {label} clips with a score {where}; {min_clips} are needed"
    return None


def share_flagged(clips: Sequence[ScoredClip], threshold: FixedThreshold | None, min_clips: int) -> float | None:
    """Share of clips at or above the threshold; None without one, or for fewer than `min_clips`."""
    if threshold is None or len(clips) < max(1, min_clips):
        return None
    return float(np.mean([clip.score is not None and clip.score >= threshold.value for clip in clips]))


def share_missed(clips: Sequence[ScoredClip], threshold: FixedThreshold | None, min_clips: int) -> float | None:
    """Share of clips below the threshold, likewise."""
    flagged = share_flagged(clips, threshold, min_clips)
    return None if flagged is None else 1.0 - flagged


@dataclass(frozen=True)
class _Group:
    """A group's own scored clips, those that it is measured with, and how many have no score."""

    name: str
    own: Sequence[ScoredClip]
    others: Sequence[ScoredClip]
    n_unscored: int

    def of_class(self, is_spoof: bool) -> list[ScoredClip]:
        """Its own clips of one class."""
        return [clip for clip in self.own if clip.is_spoof == is_spoof]


def _table(
    grouping: Grouping, scores: ScoreSet, threshold: FixedThreshold | None, min_clips: int, resampling: Resampling
) -> GroupTable | None:
    groups = _groups(grouping, scores)
    if {group.name for group in groups} <= {UNNAMED}:
        return None
    figures = [_figures(group, threshold, min_clips) for group in groups]
    measured = [index for index, each in enumerate(figures) if each.undefined is None]
    table = _with_intervals(
        grouping, [groups[index] for index in measured], [figures[index] for index in measured], threshold, resampling
    )
    undefined = [each for each in figures if each.undefined is not None]
    ordered = sorted(table.groups, key=lambda each: (-(each.eer.value or 0.0), each.name))
    worst = tuple(each.name for each in ordered[:N_WORST])
    return replace(table, worst=worst, groups=(*ordered, *sorted(undefined, key=lambda each: each.name)))


def _groups(grouping: Grouping, scores: ScoreSet) -> list[_Group]:
    side = _SIDES[grouping.against]
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
    others = [] if grouping.against == "within" else [clip for clip in scores.scored if clip.row.label not in side]
    return [_Group(name, clips, others, unscored[name]) for name, clips in members.items()]


def _figures(group: _Group, threshold: FixedThreshold | None, min_clips: int) -> GroupFigures:
    together = [*group.own, *group.others]
    undefined = too_few(together, min_clips)
    values, is_spoof = arrays(together)
    bonafide, spoof = group.of_class(False), group.of_class(True)
    return GroupFigures(
        name=group.name,
        n_bonafide=len(bonafide),
        n_spoof=len(spoof),
        n_unscored=group.n_unscored,
        eer=Estimate(None if undefined else eer(values, is_spoof)),
        auc=None if undefined else auc(values, is_spoof),
        fpr=Estimate(share_flagged(bonafide, threshold, min_clips)),
        fnr=Estimate(share_missed(spoof, threshold, min_clips)),
        undefined=undefined,
    )


def _with_intervals(
    grouping: Grouping,
    groups: Sequence[_Group],
    figures: Sequence[GroupFigures],
    threshold: FixedThreshold | None,
    resampling: Resampling,
) -> GroupTable:
    """The table of groups with an EER; with intervals if they are wanted."""
    rates = {name: [getattr(each, name) for each in figures] for name in ("eer", "fpr", "fnr")}
    means = {name: Estimate(_mean(estimates)) for name, estimates in rates.items()}
    if resampling.n_resamples and groups:
        spreads = group_intervals(
            _contests(grouping, groups),
            None if threshold is None else threshold.value,
            draws_groups=grouping.is_sample,
            rng=np.random.default_rng(resampling.seed),
            n_resamples=resampling.n_resamples,
            level=resampling.level,
        )
        for name, spread in spreads.items():
            rates[name] = [_within(*pair) for pair in zip(rates[name], spread.groups, strict=True)]
            means[name] = _within(means[name], spread.mean)
    rows = tuple(
        replace(each, eer=rate, fpr=fpr, fnr=fnr)
        for each, rate, fpr, fnr in zip(figures, rates["eer"], rates["fpr"], rates["fnr"], strict=True)
    )
    return GroupTable(grouping.name, grouping.against, means["eer"], means["fpr"], means["fnr"], (), rows)


def _mean(estimates: Sequence[Estimate]) -> float | None:
    """None unless every group has a value."""
    values = [each.value for each in estimates if each.value is not None]
    return float(np.mean(values)) if values and len(values) == len(estimates) else None


def _within(estimate: Estimate, spread: Range | None) -> Estimate:
    return estimate if estimate.value is None or spread is None else Estimate(estimate.value, *spread)


def _contests(grouping: Grouping, groups: Sequence[_Group]) -> list[Contest]:
    """Both classes of each group. A generator or family is given, so there its speakers or clips are drawn anew."""
    shared = _side(groups[0].others, drawn_unit) if groups[0].others else None
    own_unit: Callable[[ScoredClip], Hashable] = drawn_unit
    if grouping.is_sample and grouping.against == "all_bonafide":
        own_unit = _speaker
    contests = []
    for group in groups:
        bonafide, spoof = (_side(clips, own_unit) if clips else shared for clips in map(group.of_class, (False, True)))
        if bonafide is None or spoof is None:
            raise AssertionError("groups without a class have no EER")
        contests.append(Contest(bonafide, spoof))
    return contests


def _speaker(clip: ScoredClip) -> str | None:
    return clip.row.speaker


def _side(clips: Sequence[ScoredClip], unit: Callable[[ScoredClip], Hashable]) -> Side:
    """By unit; by clip where there is but one unit."""
    units = [unit(clip) for clip in clips]
    if len(set(units)) < 2:
        units = [clip.row.clip_id for clip in clips]
    return Side.of([clip.score for clip in clips if clip.score is not None], units)
