"""How unlike everything that a detector was trained and calibrated on a recording is.

One Gaussian per class over the detector's embeddings of training windows, after Lee et al., "A Simple Unified Framework
for Detecting Out-of-Distribution Samples", arXiv 1807.03888, with a covariance per class and shrunk as Ledoit and Wolf
(Journal of Multivariate Analysis 88, 2004, 365-411). The distance is that to the nearer class, the Mahalanobis distance
over the root of the number of dimensions. What it means is read off recordings of the known kind that were held out of
training: a far one is no evidence of generated speech, but a reason not to trust the score.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.errors import UsageError
from ..core.records import DomainFinding, DomainVerdict
from .metrics.trials import ScoresError

DOMAIN_NAME = "domain.safetensors"
EDGE_SHARE = 0.01
OUT_SHARE = 0.001
"""Shares of known recordings beyond which a recording is called `edge` and `out`."""
MIN_HELD_OUT = 100
"""Fewer held-out recordings do not show where the furthest hundredth lies."""
MIN_PER_CLASS = 20
"""Embeddings of either class that a Gaussian is fitted to at least."""

FloatArray = npt.NDArray[np.float64]
Float32Matrix = npt.NDArray[np.float32]

_TENSORS = ("means", "whiteners", "held_out_distances")


@dataclass(frozen=True)
class Domain:
    """The Gaussians, and the distances of known recordings. Arrays take no part in equality."""

    means: Float32Matrix = field(compare=False, repr=False)
    """(classes, d)."""
    whiteners: Float32Matrix = field(compare=False, repr=False)
    """(classes, d, d): what turns a class's deviations from its mean into white noise of variance 1."""
    held_out_distances: Float32Matrix = field(compare=False, repr=False)
    """(n,), rising: of recordings of the known kind that the Gaussians were not fitted to."""

    def __post_init__(self) -> None:
        """Raise `UsageError` for arrays that do not fit together or hold what is no number."""
        arrays = (self.means, self.whiteners, self.held_out_distances)
        classes, width = self.means.shape if self.means.ndim == 2 else (0, 0)
        if not classes or not width or self.whiteners.shape != (classes, width, width):
            raise UsageError(f"domain: means {self.means.shape} and whiteners {self.whiteners.shape} do not fit")
        distances = self.held_out_distances
        if distances.ndim != 1 or len(distances) < MIN_HELD_OUT or (np.diff(distances) < 0).any():
            raise UsageError(f"domain: needs at least {MIN_HELD_OUT} held-out distances, smallest first")
        if not all(np.isfinite(array).all() for array in arrays) or distances[0] < 0:
            raise UsageError("domain: all numbers must be finite, and distances not below 0")

    @property
    def dimensions(self) -> int:
        """Width of an embedding."""
        return int(self.means.shape[1])

    def distance(self, embedding: npt.ArrayLike) -> float:
        """Distance of one embedding (d,) to the nearer class; about 1 for what it was fitted to.

        Raises `ScoresError` for another shape and for what is not finite.
        """
        given = np.asarray(embedding, dtype=np.float64)
        if given.shape != (self.dimensions,) or not np.isfinite(given).all():
            raise ScoresError(f"an embedding must be {self.dimensions} finite numbers, not {given.shape}")
        # Not as a product of matrices: for that, BLAS wakes a thread per core, which cost half of a scan's time.
        white = (
            np.einsum("ed,d->e", whitener, (given - mean).astype(np.float32))
            for mean, whitener in zip(self.means, self.whiteners, strict=True)
        )
        return min(float(np.sqrt(np.mean(each.astype(np.float64) ** 2))) for each in white)

    def percentile(self, distance: float) -> float:
        """Share of known recordings, in (0, 1], that lie at least as far out; (k + 1) / (n + 1), so never 0.

        Uniform over recordings of the known kind, as a conformal p-value is.
        """
        n = len(self.held_out_distances)
        further = n - int(np.searchsorted(self.held_out_distances, np.float32(distance), side="left"))
        return (further + 1) / (n + 1)

    def finding(self, distance: float) -> DomainFinding:
        """What a recording's distance means; further out than every held-out recording is `out`, however few."""
        share = self.percentile(distance)
        beyond_all = distance > float(self.held_out_distances[-1])
        verdict: DomainVerdict = "edge" if share <= EDGE_SHARE else "in"
        return DomainFinding(distance, share, "out" if beyond_all or share <= OUT_SHARE else verdict)

    def describe(self) -> dict[str, Any]:
        """The entry of a model's card: from which distance on a recording is `edge` and `out`."""
        return {
            "dimensions": self.dimensions,
            "held_out_recordings": len(self.held_out_distances),
            "edge_distance": self._threshold(EDGE_SHARE),
            "out_distance": self._threshold(OUT_SHARE),
        }

    def to_bytes(self) -> bytes:
        """The content of `domain.safetensors`."""
        from safetensors.numpy import save

        return save({name: np.ascontiguousarray(getattr(self, name)) for name in _TENSORS})

    @classmethod
    def from_bytes(cls, content: bytes) -> "Domain":
        """Read `to_bytes`; raises `UsageError` for anything else."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            tensors = load(content)
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"domain: not a safetensors file ({error})") from error
        if sorted(tensors) != sorted(_TENSORS) or any(each.dtype != np.float32 for each in tensors.values()):
            raise UsageError(f"domain: expected float32 tensors {', '.join(_TENSORS)}, found {sorted(tensors)}")
        return cls(**tensors)

    def _threshold(self, share: float) -> float:
        """The distance of which at most `share` of the held-out recordings lie further out."""
        return float(np.quantile(self.held_out_distances, 1 - share, method="higher"))


def fit_domain(embeddings: npt.ArrayLike, labels: npt.ArrayLike, held_out: npt.ArrayLike) -> Domain:
    """Gaussians of `embeddings` (n, d), one per value of `labels` (n,), judged by those `held_out` (m, d).

    `held_out` are recordings of the known kind that neither the detector nor the Gaussians were fitted to. Raises
    `ScoresError` for what is not finite, shapes that do not fit, fewer than 20 of a class, and fewer than 100 held out.
    """
    return fit_domain_judged_by(embeddings, labels, held_out_distances(embeddings, labels, held_out))


def held_out_distances(embeddings: npt.ArrayLike, labels: npt.ArrayLike, held_out: npt.ArrayLike) -> FloatArray:
    """Distances (m,) of `held_out` (m, d) under the Gaussians of `embeddings`; arguments and errors of `fit_domain`.

    Embeddings of the networks of different folds are not comparable, but such distances are: join those of all folds
    for `fit_domain_judged_by`.
    """
    known, away = _checked(embeddings, "embeddings"), _checked(held_out, "held-out embeddings")
    if away.shape[1] != known.shape[1]:
        raise ScoresError(f"embeddings have {known.shape[1]} numbers, held-out ones {away.shape[1]}")
    return _distances(*_gaussians(known, np.asarray(labels)), away)


def fit_domain_judged_by(embeddings: npt.ArrayLike, labels: npt.ArrayLike, distances: npt.ArrayLike) -> Domain:
    """As `fit_domain`, with the distances (m,) of held-out recordings in place of their embeddings."""
    away = np.asarray(distances, dtype=np.float32)
    if away.ndim != 1 or len(away) < MIN_HELD_OUT or not np.isfinite(away).all():
        raise ScoresError(f"{away.shape} held-out distances; at least {MIN_HELD_OUT} finite ones are needed")
    means, whiteners = _gaussians(_checked(embeddings, "embeddings"), np.asarray(labels))
    return Domain(means, whiteners, np.sort(away))


def _gaussians(known: FloatArray, labels: npt.NDArray[Any]) -> tuple[Float32Matrix, Float32Matrix]:
    """Mean (classes, d) and whitener (classes, d, d) of each class, in the order of their names."""
    from sklearn.covariance import ledoit_wolf

    if labels.shape != (len(known),):
        raise ScoresError(f"{len(known)} embeddings but labels {labels.shape}; give one per embedding")
    names = sorted(set(labels.tolist()))
    if len(known) == 0 or min(int((labels == name).sum()) for name in names) < MIN_PER_CLASS:
        raise ScoresError(f"each class needs at least {MIN_PER_CLASS} embeddings; classes: {names}")
    # One scale for all classes, that within them, so that shrinking treats wide and narrow dimensions alike.
    scale = np.sqrt(np.mean([known[labels == name].var(axis=0) for name in names], axis=0))
    scale[scale <= 1e-6 * max(float(scale.max()), 1e-30)] = max(float(scale.max()), 1.0)
    means, whiteners = [], []
    for name in names:
        members = known[labels == name]
        mean = members.mean(axis=0)
        covariance, _ = ledoit_wolf((members - mean) / scale, assume_centered=True)
        values, vectors = np.linalg.eigh(covariance)
        floor = max(float(values[-1]), 1e-12) * 1e-9
        whiteners.append((vectors / np.sqrt(np.maximum(values, floor))).T / scale)
        means.append(mean)
    return np.array(means, dtype=np.float32), np.array(whiteners, dtype=np.float32)


def _distances(means: Float32Matrix, whiteners: Float32Matrix, embeddings: FloatArray) -> FloatArray:
    """Distance (n,) of each embedding (n, d) to the nearest class."""
    white = [(embeddings - mean) @ whitener.T for mean, whitener in zip(means, whiteners, strict=True)]
    nearest: FloatArray = np.min([np.sqrt(np.mean(each**2, axis=1)) for each in white], axis=0)
    return nearest


def _checked(embeddings: npt.ArrayLike, what: str) -> FloatArray:
    given = np.asarray(embeddings, dtype=np.float64)
    if given.ndim != 2 or given.shape[0] == 0 or given.shape[1] == 0 or not np.isfinite(given).all():
        raise ScoresError(f"{what} must be finite numbers (n, d), not {given.shape}")
    return given
