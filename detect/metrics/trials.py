"""The door through which scores and labels come in: checked once, split by class."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...core.errors import UsageError

Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


class ScoresError(UsageError, ValueError):
    """Scores or labels that no measure can be computed from."""


class Trials(NamedTuple):
    """Checked scores: all are finite, and the lengths match."""

    scores: Float64Array
    is_spoof: BoolArray

    @property
    def spoof(self) -> Float64Array:
        """Scores of generated speech."""
        return self.scores[self.is_spoof]

    @property
    def bonafide(self) -> Float64Array:
        """Scores of bona fide speech."""
        return self.scores[~self.is_spoof]

    @property
    def has_both_classes(self) -> bool:
        """Whether anything can be measured: one class alone says nothing about telling two apart."""
        return bool(self.is_spoof.any() and not self.is_spoof.all())


def check_trials(scores: npt.ArrayLike, is_spoof: npt.ArrayLike) -> Trials:
    """Check `scores` (n,) and `is_spoof` (n,: booleans, or the integers 0 and 1); raises `ScoresError`."""
    checked_scores = check_scores(scores)
    labels = np.asarray(is_spoof)
    if labels.shape != checked_scores.shape:
        raise ScoresError(f"{labels.shape} labels for {checked_scores.shape} scores; give one per score")
    is_integer = np.issubdtype(labels.dtype, np.integer) and np.isin(labels, (0, 1)).all()
    if labels.size and labels.dtype != np.bool_ and not is_integer:
        raise ScoresError("labels must be true (spoof) or false (bona fide); convert them first")
    return Trials(checked_scores, labels.astype(np.bool_))


def check_scores(scores: npt.ArrayLike) -> Float64Array:
    """`scores` as float64 (n,); raises `ScoresError` unless all are finite numbers in one dimension."""
    try:
        array = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ScoresError(f"scores must be numbers: {error}; leave out files without a score") from None
    if array.ndim != 1:
        raise ScoresError(f"scores have {array.ndim} dimensions; give a flat list, one score per file")
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise ScoresError(
            f"{bad.size} of {array.size} scores are not finite (first: number {bad[0]}); "
            "leave out files without a score"
        )
    return array
