"""What a reader of an evaluation must know: what was not measured and why, and what may flatter."""

from collections import Counter
from collections.abc import Iterator

from ..core.evaluationrecord import ClipCounts, Evaluation
from .evaluation_scores import ScoreSet


def evaluation_notes(evaluation: Evaluation, scores: ScoreSet, *, trained_here: bool) -> Iterator[str]:
    """One note each; `trained_here`: the model was trained on the manifest that it is measured on."""
    pooled = evaluation.pooled
    if trained_here:
        yield "The model was trained on this very manifest: every figure here flatters it."
    if evaluation.clips.unscored_bonafide or evaluation.clips.unscored_spoof:
        yield _unscored(evaluation.clips, scores)
    if pooled.eer.value is not None and pooled.eer.value > 0.5:
        yield (
            "The EER is above 50 %: the scores point the wrong way. Higher must mean more synthetic; scores that are "
            "higher for bona fide speech need --higher-is-bonafide."
        )
    if not scores.is_log10_lr:
        yield "The scores are no log10 likelihood ratios: actDCF, Cllr, Brier, ECE and verdicts are undefined."
    if evaluation.threshold is None:
        yield "No threshold was fixed: error rates at one are undefined. Give --threshold or --dev-fold."
    if not evaluation.n_resamples:
        yield "No intervals were asked for."
    elif pooled.eer.low is None:
        yield (
            "No intervals: a class lies in one group (speaker and source, or generator), or all resamples agree, so "
            "the spread is unknown."
        )
    if evaluation.left_out is None:
        yield "No leave-one-family-out table: it needs two folds and two named families."
    if evaluation.cross_test is None:
        yield (
            f"No bona fide cross-testing: it needs a generator and two sources of genuine speech with "
            f"{evaluation.min_clips} scored clips each."
        )


def _unscored(clips: ClipCounts, scores: ScoreSet) -> str:
    """How many, and why, the most frequent reason first."""
    codes = Counter(
        clip.record.error.code if clip.record and clip.record.error else "not_scored"
        for clip in scores.clips
        if clip.score is None
    )
    reasons = ", ".join(f"{code} {count}" for code, count in codes.most_common())
    return (
        f"{clips.unscored_bonafide} bona fide and {clips.unscored_spoof} spoof clips have no score ({reasons}). They "
        "are left out of the rates, and count against coverage."
    )
