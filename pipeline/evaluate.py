"""Measures a detector on labelled clips: every figure with its interval, by group, and what could not be measured.

The threshold is fixed before anything is measured: by the caller, on a development part that is then left out, or by
the policy. The measures themselves are in `detect/metrics`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from ..core.errors import UsageError
from ..core.evaluationrecord import (
    EVALUATION_SCHEMA_VERSION,
    ClipCounts,
    Curves,
    Estimate,
    Evaluation,
    FixedThreshold,
    PooledFigures,
    VerdictShares,
)
from ..core.modelcard import sha256_of_file
from ..core.progress import Progress, silent
from ..core.records import VERDICT_LABELS, Label, VerdictLabel
from ..core.scanrecord import Marks
from ..detect.metrics.bootstrap import MIN_RESAMPLES, Metric, bootstrap_interval
from ..detect.metrics.cllr import cllr, min_cllr
from ..detect.metrics.coverage import risk_coverage
from ..detect.metrics.curves import det_points, histogram, tippett_points
from ..detect.metrics.dcf import act_dcf, min_dcf
from ..detect.metrics.eer import auc, eer, error_rates_at, threshold_at_fpr
from ..detect.metrics.probability import brier, ece, reliability
from ..detect.metrics.trials import BoolArray, Float64Array
from ..detect.policy import Policy
from .decision import decide_on
from .evaluation_crosstest import cross_test
from .evaluation_groups import Resampling, drawn_unit, group_tables
from .evaluation_notes import evaluation_notes
from .evaluation_rules import scoring_rules
from .evaluation_scores import ScoredClip, ScoreSet, arrays
from .evaluation_segments import SegmentLabels, segment_figures
from .evaluation_strangers import left_out_families
from .run import this_tool

LEVEL = 0.95
MAX_CURVE_POINTS = 400
_OF_RATIOS = ("act_dcf", "cllr", "brier", "ece")


@dataclass(frozen=True)
class EvaluationPlan:
    """What an evaluation is free to choose."""

    threshold: float | None = None
    """Fixed elsewhere. None: from the development fold, or from the policy."""
    dev_fold: str | None = None
    """The fold that the threshold is set on; it is left out of every figure."""
    max_fpr: float = 0.01
    """False alarms that the threshold of a development fold may give there."""
    min_clips: int = 5
    n_resamples: int = MIN_RESAMPLES
    """0: no intervals."""
    seed: int = 2026
    segment_tolerance_s: float = 0.25

    def __post_init__(self) -> None:
        """Raise `UsageError` for what contradicts itself or cannot be."""
        if self.threshold is not None and self.dev_fold is not None:
            raise UsageError("a threshold and a development fold that sets one were given; give one of the two")
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise UsageError(f"the threshold {self.threshold} is no finite number; give one")
        if self.n_resamples and self.n_resamples < MIN_RESAMPLES:
            raise UsageError(f"{self.n_resamples} resamples are too few; give {MIN_RESAMPLES} or more, or 0 for none")


def evaluate(
    manifest: Path,
    scores: ScoreSet,
    policy: Policy,
    plan: EvaluationPlan,
    *,
    segments: SegmentLabels | None = None,
    trained_on_sha256: str | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Everything that `scores` say of the system that gave them.

    `trained_on_sha256` is the hash of the manifest that the model was trained on, where known. Raises `UsageError` for
    a development fold that is not there or is all that there is, and for segments that do not fit the clips.
    """
    threshold, test = _fix_threshold(scores, policy, plan)
    manifest_sha256 = sha256_of_file(manifest)
    pooled = _pooled(test.scored, test.is_log10_lr, threshold, plan, progress)
    progress(0, None, "measuring groups")
    evaluation = Evaluation(
        schema_version=EVALUATION_SCHEMA_VERSION,
        tool=this_tool(),
        manifest=str(manifest),
        manifest_sha256=manifest_sha256,
        system=test.system,
        rules=scoring_rules(test),
        policy=policy.id,
        seed=plan.seed,
        n_resamples=plan.n_resamples,
        level=LEVEL,
        min_clips=plan.min_clips,
        clips=_counts(test),
        threshold=threshold,
        pooled=pooled,
        tables=group_tables(test, threshold, plan.min_clips, Resampling(plan.n_resamples, plan.seed, LEVEL)),
        cross_test=cross_test(test, plan.min_clips),
        left_out=left_out_families(test, plan.min_clips),
        verdicts=_verdicts(test, policy),
        curves=_curves(test, threshold),
        segments=None
        if segments is None
        else segment_figures(test, segments, _window_threshold(policy, plan), plan.segment_tolerance_s),
        notes=(),
    )
    notes = evaluation_notes(evaluation, test, trained_here=manifest_sha256 == trained_on_sha256)
    return replace(evaluation, notes=tuple(notes))


def _fix_threshold(scores: ScoreSet, policy: Policy, plan: EvaluationPlan) -> tuple[FixedThreshold | None, ScoreSet]:
    """-> (the threshold, the clips that it is measured on)."""
    if plan.threshold is not None:
        return FixedThreshold(plan.threshold, "given"), scores
    if plan.dev_fold is not None:
        return _from_development(scores, plan.dev_fold, plan.max_fpr)
    if scores.is_log10_lr:
        return FixedThreshold(policy.thresholds.synthetic_min_log10_lr, f"policy {policy.id}"), scores
    return None, scores


def _from_development(scores: ScoreSet, fold: str, max_fpr: float) -> tuple[FixedThreshold, ScoreSet]:
    inside = [clip for clip in scores.scored if clip.row.split == fold]
    value = threshold_at_fpr(*arrays(inside), max_fpr) if inside else None
    if value is None:
        folds = ", ".join(sorted({str(clip.row.split) for clip in scores.clips}))
        raise UsageError(f"the development fold {fold!r} has no genuine clip with a score; folds are {folds}")
    test = replace(scores, clips=tuple(clip for clip in scores.clips if clip.row.split != fold))
    if len({clip.is_spoof for clip in test.scored}) < 2:
        raise UsageError(f"without the development fold {fold!r} a class has no scored clip; choose another fold")
    return FixedThreshold(value, f"development fold {fold}, at most {100 * max_fpr:g} % false alarms"), test


def _window_threshold(policy: Policy, plan: EvaluationPlan) -> FixedThreshold:
    if plan.threshold is not None:
        return FixedThreshold(plan.threshold, "given")
    return FixedThreshold(policy.thresholds.suspicious_window_log10_lr, f"policy {policy.id}, single windows")


def _pooled(
    clips: Sequence[ScoredClip],
    is_log10_lr: bool,
    threshold: FixedThreshold | None,
    plan: EvaluationPlan,
    progress: Progress,
) -> PooledFigures:
    measures: dict[str, Metric] = {
        "eer": eer, "auc": auc, "min_dcf": min_dcf, "min_cllr": min_cllr,
        "act_dcf": act_dcf, "cllr": cllr, "brier": brier, "ece": ece,
        "fpr": _rate_at(threshold, "fpr"), "fnr": _rate_at(threshold, "fnr"),
    }  # fmt: skip
    values, is_spoof = arrays(clips)
    groups = [drawn_unit(clip) for clip in clips]
    figures = {}
    for done, (name, measure) in enumerate(measures.items(), start=1):
        value = None if name in _OF_RATIOS and not is_log10_lr else measure(values, is_spoof)
        interval = None
        if value is not None and plan.n_resamples:
            rng = np.random.default_rng(plan.seed)  # anew, so that every measure sees the same resamples
            interval = bootstrap_interval(
                measure, values, is_spoof, groups, rng=rng, n_resamples=plan.n_resamples, level=LEVEL
            )
        if (
            interval is not None and interval.low == interval.high
        ):  # a rate of 0 shows no spread, which is not certainty
            interval = None
        figures[name] = Estimate(value, interval.low, interval.high) if interval else Estimate(value)
        progress(done, len(measures), f"measuring {name}")
    return PooledFigures(**figures)


def _rate_at(threshold: FixedThreshold | None, name: Literal["fpr", "fnr"]) -> Metric:
    def rate(scores: Float64Array, is_spoof: BoolArray) -> float | None:
        rates = None if threshold is None else error_rates_at(scores, is_spoof, threshold.value)
        return None if rates is None else float(getattr(rates, name))

    return rate


def _counts(scores: ScoreSet) -> ClipCounts:
    counted = {
        (label, has_score): sum(
            clip.row.label == label and (clip.score is not None) == has_score for clip in scores.clips
        )
        for label in ("bonafide", "spoof")
        for has_score in (True, False)
    }
    return ClipCounts(
        counted["bonafide", True], counted["spoof", True], counted["bonafide", False], counted["spoof", False]
    )


def _verdicts(scores: ScoreSet, policy: Policy) -> tuple[VerdictShares, ...]:
    """By class; empty for raw scores, which no policy can judge."""
    if not scores.is_log10_lr:
        return ()
    labels: tuple[Label, ...] = ("bonafide", "spoof")
    given = {label: [_verdict(clip, policy) for clip in scores.clips if clip.row.label == label] for label in labels}
    return tuple(
        VerdictShares(
            label, len(given[label]), **{each: given[label].count(each) / len(given[label]) for each in VERDICT_LABELS}
        )
        for label in labels
    )


def _verdict(clip: ScoredClip, policy: Policy) -> VerdictLabel:
    """The policy's word on the sound alone: marks are another matter. Without a record, quality is not known."""
    if clip.record is not None:
        record = clip.record
        return decide_on(record.detectors, Marks(), record.quality, record.error, policy)[1].verdict
    if clip.score is None:
        return "not_analysable"
    if clip.score >= policy.thresholds.synthetic_min_log10_lr:
        return "synthetic"
    return "no_evidence" if clip.score <= policy.thresholds.no_evidence_max_log10_lr else "inconclusive"


def _curves(scores: ScoreSet, threshold: FixedThreshold | None) -> Curves:
    values, is_spoof = arrays(scores.scored)
    counts = _counts(scores)
    curve = None
    if threshold is not None:
        curve = risk_coverage(
            values,
            is_spoof,
            threshold.value,
            unscored_bonafide=counts.unscored_bonafide,
            unscored_spoof=counts.unscored_spoof,
        )
    kept = None
    if curve is not None:
        kept = np.unique(np.linspace(0, len(curve.coverage) - 1, MAX_CURVE_POINTS).astype(np.int64))
    return Curves(
        det=det_points(values, is_spoof),
        histogram=histogram(values, is_spoof),
        reliability=reliability(values, is_spoof) if scores.is_log10_lr else None,
        tippett=tippett_points(values, is_spoof) if scores.is_log10_lr else None,
        risk_coverage=None
        if curve is None or kept is None
        else tuple((float(curve.coverage[index]), float(curve.error[index])) for index in kept),
    )
