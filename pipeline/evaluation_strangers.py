"""Families as strangers: each is judged by a threshold and a calibration that were fitted without it."""

from collections.abc import Iterable, Sequence

import numpy as np

from ..core.evaluationrecord import FixedThreshold, LeftOutFamilies, LeftOutFamily
from ..detect.calibration import MIN_TRIALS_PER_CLASS, fit_affine
from ..detect.metrics.cllr import cllr
from ..detect.metrics.eer import eer, threshold_at_eer
from .evaluation_groups import share_flagged, share_missed, too_few
from .evaluation_scores import ScoredClip, ScoreSet, arrays


def left_out_families(scores: ScoreSet, min_clips: int) -> LeftOutFamilies | None:
    """A row per family, the most missed first; None with fewer than two folds or two families.

    Threshold (of equal errors) and calibration (one affine map) of a family come from the other families and the
    genuine clips of other folds than the family's. Where the scores are out of fold, this is what a family that nobody
    has met yet would see.
    """
    clips = scores.scored
    families = sorted({clip.row.family for clip in clips if clip.is_spoof and clip.row.family})
    if len(families) < 2 or len({clip.row.split for clip in clips}) < 2:
        return None
    rows = [_left_out(family, clips, min_clips) for family in families]
    measured = [row for row in rows if row.undefined is None]
    return LeftOutFamilies(
        macro_mean_fpr=_mean(row.fpr for row in measured),
        macro_mean_fnr=_mean(row.fnr for row in measured),
        macro_mean_cllr=_mean(row.cllr for row in measured),
        families=tuple(sorted(rows, key=lambda row: (row.fnr is None, -(row.fnr or 0.0), row.family))),
    )


def _left_out(family: str, clips: Sequence[ScoredClip], min_clips: int) -> LeftOutFamily:
    own = [clip for clip in clips if clip.is_spoof and clip.row.family == family]
    folds = {clip.row.split for clip in own}
    genuine = [clip for clip in clips if not clip.is_spoof and clip.row.split in folds]
    rest = [clip for clip in clips if clip.row.split not in folds]
    undefined = too_few([*own, *genuine], min_clips, "in its folds")
    if not undefined:
        undefined = too_few(rest, min_clips, "in the other folds")
    value = None if undefined else threshold_at_eer(*arrays(rest))
    threshold = None if value is None else FixedThreshold(value, "equal errors on other families and folds")
    return LeftOutFamily(
        family=family,
        folds=tuple(sorted(str(fold) for fold in folds)),
        n_bonafide=len(genuine),
        n_spoof=len(own),
        threshold=value,
        eer=None if undefined else eer(*arrays([*own, *genuine])),
        fpr=share_flagged(genuine, threshold, min_clips),
        fnr=share_missed(own, threshold, min_clips),
        cllr=None if undefined else _cllr_as_stranger([*own, *genuine], rest),
        undefined=undefined,
    )


def _cllr_as_stranger(clips: Sequence[ScoredClip], rest: Sequence[ScoredClip]) -> float | None:
    """Cllr of `clips` by the map that suits `rest`; None where `rest` is too little for a calibration."""
    if too_few(rest, MIN_TRIALS_PER_CLASS):
        return None
    fitted = fit_affine(*arrays(rest))
    values, is_spoof = arrays(clips)
    return cllr(fitted.slope * values + fitted.offset, is_spoof)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
