"""The points of the plots: DET, Tippett and histograms, thinned to what an eye can tell apart."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .eer import roc_points
from .trials import check_trials

DET_STEP = 0.02
"""Points of a DET plot closer than this, in standard deviations along both axes, are one."""
MAX_TIPPETT_POINTS = 200
N_HISTOGRAM_BINS = 40


class DetPoint(NamedTuple):
    """Both error rates at one threshold."""

    fpr: float
    fnr: float


class TippettPoint(NamedTuple):
    """Share of either class whose log10 likelihood ratio is at or above this one."""

    log10_lr: float
    bonafide: float
    spoof: float


class Histogram(NamedTuple):
    """Counts per bin of equal width; `edges` has one more entry than either."""

    edges: tuple[float, ...]
    bonafide: tuple[int, ...]
    spoof: tuple[int, ...]


def det_points(scores: npt.ArrayLike, is_spoof: npt.ArrayLike) -> tuple[DetPoint, ...] | None:
    """Operating points in order of rising `fpr`; None without both classes.

    The axes of the plot are normal deviates (Martin et al., "The DET curve in assessment of detection task
    performance", 1997), so the thinning is done there.
    """
    from scipy.special import ndtri

    roc = roc_points(scores, is_spoof)
    if roc is None:
        return None
    smallest = 0.5 / max(roc.n_bonafide, roc.n_spoof)
    deviates = ndtri(np.clip(np.stack([roc.fpr, roc.fnr]), smallest, 1.0 - smallest))
    _, first = np.unique(np.round(deviates / DET_STEP), axis=1, return_index=True)
    return tuple(DetPoint(float(roc.fpr[index]), float(roc.fnr[index])) for index in np.sort(first))


def tippett_points(log10_lr: npt.ArrayLike, is_spoof: npt.ArrayLike) -> tuple[TippettPoint, ...] | None:
    """Points in order of rising ratio (Meuwly, 2001; after Tippett et al., 1968); None without both classes."""
    trials = check_trials(log10_lr, is_spoof)
    if not trials.has_both_classes:
        return None
    distinct = np.unique(trials.scores)
    kept = distinct[np.unique(np.linspace(0, len(distinct) - 1, MAX_TIPPETT_POINTS).astype(np.int64))]
    bonafide, spoof = (
        1.0 - np.searchsorted(np.sort(side), kept, side="left") / side.size for side in (trials.bonafide, trials.spoof)
    )
    return tuple(TippettPoint(*map(float, point)) for point in zip(kept, bonafide, spoof, strict=True))


def histogram(scores: npt.ArrayLike, is_spoof: npt.ArrayLike, *, n_bins: int = N_HISTOGRAM_BINS) -> Histogram | None:
    """Both classes over the same bins, from the lowest score to the highest; None without scores."""
    trials = check_trials(scores, is_spoof)
    if not trials.scores.size:
        return None
    edges = np.histogram_bin_edges(trials.scores, bins=n_bins)
    bonafide, spoof = (np.histogram(side, bins=edges)[0] for side in (trials.bonafide, trials.spoof))
    return Histogram(tuple(map(float, edges)), tuple(map(int, bonafide)), tuple(map(int, spoof)))
