"""Several detectors as one: a weighted sum of their scores, fitted by prior-weighted logistic regression.

Source: Brümmer et al. 2007, "Fusion of heterogeneous speaker recognition systems in the STBU submission", as in FoCal
and BOSARIS. The sum is a natural log likelihood ratio on speech like that of the fit, which must not be speech that
any member was trained on; elsewhere it is a score, to be calibrated as any other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from ..core.errors import UsageError
from .metrics.trials import ScoresError, check_trials

FUSION_NAME = "fusion"
"""Of the detector; it cannot be a member of itself."""


@dataclass(frozen=True)
class FusionWeights:
    """score = offset + weights . members' scores."""

    weights: tuple[float, ...]
    """One per member, in their order. A weight below 0 takes back what others say too loudly."""
    offset: float

    def fuse(self, scores: Sequence[float]) -> float:
        """The members' scores, one each, as one; higher is more synthetic. Not finite where the sum overflows."""
        if len(scores) != len(self.weights):
            raise ScoresError(f"{len(scores)} scores for {len(self.weights)} members; give one for each")
        return self.offset + sum(weight * score for weight, score in zip(self.weights, scores, strict=True))


@dataclass(frozen=True)
class FusionMember:
    """One detector of a fusion."""

    detector: str
    """As registered."""
    path: str | None
    """Its model's folder inside that of the fusion, with forward slashes; None: the bundled model."""
    model_sha256: str


@dataclass(frozen=True)
class Fusion:
    """The content of a fusion's file of weights: it names its members by checksum, so its own checksum covers them."""

    members: tuple[FusionMember, ...]
    weights: FusionWeights

    def __post_init__(self) -> None:
        """Raise `ValueError` for members without weights, outside the folder, or themselves fusions."""
        if not self.members or len(self.members) != len(self.weights.weights):
            raise ValueError(f"{len(self.members)} members and {len(self.weights.weights)} weights")
        for member in self.members:
            if member.detector == FUSION_NAME:
                raise ValueError("a fusion of fusions; name the detectors themselves")
            if member.path is not None and not _is_inside(member.path):
                raise ValueError(f"{member.path!r} is not a folder inside that of the model")


def fit_fusion(
    scores: npt.ArrayLike, is_spoof: npt.ArrayLike, *, prior_spoof: float = 0.5, l2: float = 1e-4
) -> FusionWeights:
    """Weights and offset that make `scores` (n, k) of k detectors on n files one natural log likelihood ratio.

    Minimises the cross-entropy with the classes weighted as `prior_spoof` and 1 - `prior_spoof`, however many trials
    each has, and takes the prior out of the offset. `l2` / 2 times the squared weights on scores of unit deviation
    keeps them finite where the classes do not overlap. A detector whose scores are all alike gets weight 0. Raises
    `ScoresError` for scores that are not finite numbers or not of both classes.
    """
    from sklearn.linear_model import LogisticRegression

    if not 0 < prior_spoof < 1 or not l2 > 0:
        raise UsageError(f"prior_spoof {prior_spoof} must lie between 0 and 1, and l2 {l2} above 0")
    columns, labels = _checked(scores, is_spoof)
    n_spoof = int(np.count_nonzero(labels))
    each = np.where(labels, prior_spoof / n_spoof, (1 - prior_spoof) / (len(labels) - n_spoof))
    centre = each @ columns
    deviation = np.sqrt(each @ (columns - centre) ** 2)
    deviation[deviation <= 1e-12 * np.abs(centre)] = np.inf  # alike, but for rounding
    model = LogisticRegression(C=1 / l2, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    model.fit((columns - centre) / deviation, labels, sample_weight=each)
    weights = model.coef_[0] / deviation
    offset = float(model.intercept_[0]) - log(prior_spoof / (1 - prior_spoof)) - float(weights @ centre)
    return FusionWeights(tuple(float(weight) for weight in weights), offset)


def _checked(scores: npt.ArrayLike, is_spoof: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Scores (n, k) and labels (n,), each column checked as the scores of one detector are."""
    try:
        columns = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ScoresError(f"scores must be numbers: {error}; leave out files without a score") from None
    if columns.ndim != 2 or columns.shape[1] == 0:
        raise ScoresError(f"scores of shape {columns.shape}; give a row per file and a column per detector")
    trials = [check_trials(column, is_spoof) for column in columns.T]
    if not trials[0].has_both_classes:
        raise ScoresError("a fusion needs trials of both classes")
    return columns, trials[0].is_spoof


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not PurePosixPath(path).is_absolute() and not set(parts) & {"..", "."} and "\\" not in path
