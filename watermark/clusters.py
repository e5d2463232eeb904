"""Clusters of codes that a recoverer confuses: what a two-level mark hides in when single tokens are lost.

The confusion C[v, w], the mean posterior of w where v was true, is made symmetric, S = D^-1/2 (C + Cᵀ) D^-1/2
with D the row sums of C + Cᵀ, and codes are joined by average linkage on 1 - S (scikit-learn). Clusters that hold
too much of the model's probability are then split, since a mark over clusters carries at most their entropy.
"""

import heapq
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.records import Int32Array
from .stream import Float64Array

MAX_MASS_RATIO = 4.0
"""Of a cluster's mass to the mean mass. A single code can be above it: it cannot be split."""


def clusters_of_confusion(confusion: Any, mass: npt.ArrayLike, n_clusters: int) -> Int32Array:
    """Cluster of each code, int32 (C,), 0 … n_clusters - 1, each in use; the same input gives the same output.

    `confusion` (C, C), dense or scipy sparse, not negative: row v is the mean posterior where v was true. `mass` (C,):
    how often the model says each code, not negative. Ids rise with the lowest code of the cluster. Raises
    `ValueError` for shapes that do not match, negative numbers, or n_clusters outside 1 … C.
    """
    similarity = _similarity(confusion)
    masses = np.asarray(mass, np.float64)
    n_codes = len(similarity)
    if masses.shape != (n_codes,) or not (masses >= 0).all() or not masses.sum() > 0:
        raise ValueError(f"mass must be ({n_codes},), not negative and above 0 in all")
    if not 1 <= n_clusters <= n_codes:
        raise ValueError(f"{n_clusters} clusters of {n_codes} codes: there must be from 1 to {n_codes}")
    limit = MAX_MASS_RATIO * masses.sum() / n_clusters
    for n_first in _fewer_and_fewer(n_clusters):
        members = _split_heavy(_linked(similarity, n_first), similarity, masses, limit, n_clusters)
        if max(_excess(codes, masses, limit) for codes in members) <= 0:
            break
    return _numbered(members, n_codes)


def _similarity(confusion: Any) -> Float64Array:
    dense = np.asarray(confusion.toarray() if hasattr(confusion, "toarray") else confusion, np.float64)
    if dense.ndim != 2 or dense.shape[0] != dense.shape[1] or not (dense >= 0).all() or not np.isfinite(dense).all():
        raise ValueError(f"confusion must be square, finite and not negative; its shape is {dense.shape}")
    symmetric = dense + dense.T
    degree = symmetric.sum(axis=1)
    # codes that never occurred have no neighbours; they keep a row of zeros
    scale = np.divide(1.0, np.sqrt(degree), out=np.zeros_like(degree), where=degree > 0)
    similarity: Float64Array = symmetric * scale[:, None] * scale
    return similarity


def _fewer_and_fewer(n_clusters: int) -> list[int]:
    """How many clusters to form before splitting: all, then fewer, so that splits have clusters to spend."""
    return sorted({max(1, n_clusters * share // 8) for share in range(8, 0, -1)}, reverse=True)


def _linked(similarity: Float64Array, n_clusters: int) -> list[Int32Array]:
    from sklearn.cluster import AgglomerativeClustering

    if len(similarity) == 1:
        return [np.zeros(1, np.int32)]
    distance = 1.0 - similarity
    np.fill_diagonal(distance, 0.0)
    model = AgglomerativeClustering(n_clusters=n_clusters, metric="precomputed", linkage="average")
    labels = model.fit_predict(distance)
    return [np.flatnonzero(labels == label).astype(np.int32) for label in range(n_clusters)]


def _split_heavy(
    members: list[Int32Array], similarity: Float64Array, masses: Float64Array, limit: float, n_clusters: int
) -> list[Int32Array]:
    """Halve the heaviest cluster until there are `n_clusters`; those within `limit` only when none is above."""
    # single codes last: they cannot be split
    queue = [(len(codes) == 1, -masses[codes].sum(), int(codes[0]), codes.tolist()) for codes in members]
    heapq.heapify(queue)
    while len(queue) < n_clusters:
        codes = np.array(heapq.heappop(queue)[3], np.int32)
        for part in _halves(codes, similarity, masses):
            heapq.heappush(queue, (len(part) == 1, -masses[part].sum(), int(part[0]), part.tolist()))
    return [np.array(codes, np.int32) for *_, codes in queue]


def _halves(codes: Int32Array, similarity: Float64Array, masses: Float64Array) -> tuple[Int32Array, Int32Array]:
    """Two parts of about equal mass: codes in order of their likeness to the heaviest one, cut at half."""
    seed = codes[masses[codes].argmax()]
    likeness = similarity[seed, codes].copy()
    likeness[codes == seed] = np.inf
    ordered = codes[np.argsort(-likeness, kind="stable")]
    before = np.cumsum(masses[ordered]) - masses[ordered]
    cut = int(np.clip(np.searchsorted(before, masses[codes].sum() / 2), 1, len(codes) - 1))
    return np.sort(ordered[:cut]), np.sort(ordered[cut:])


def _excess(codes: Int32Array, masses: Float64Array, limit: float) -> float:
    return -1.0 if len(codes) == 1 else float(masses[codes].sum() - limit)


def _numbered(members: list[Int32Array], n_codes: int) -> Int32Array:
    cluster_of = np.empty(n_codes, np.int32)
    for number, codes in enumerate(sorted(members, key=lambda each: int(each[0]))):
        cluster_of[codes] = number
    return cluster_of
