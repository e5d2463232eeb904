"""Fitting the mixtures of a mark table to marked sound whose tokens and slots are known.

The evidence of a row is linear in the weights of its mixture, so the weights that give the most bits per token are a
maximum-likelihood mixture: expectation-maximisation (Dempster, Laird and Rubin 1977) climbs to it without a step size.
"""

import math

import numpy as np

from ..table import Mixture
from .keytables import KeyTables, binned_ratio
from .path import IntArray
from .rows import TokenRows
from .tails import Float64Array

EXPONENTS = (1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 16.0, 64.0)
"""Tokens of probability 1 down to 1/64; 1 keeps some evidence for "no mark here"."""
_ROUNDS = 300
_LEAST_ROWS = 50


def fit_mixtures(
    rows: TokenRows, tables: KeyTables, slots: IntArray, exponents: tuple[float, ...] = EXPONENTS
) -> tuple[Mixture, ...]:
    """The best mixture for each surprisal class of `tables.table`; its own mixtures are not looked at.

    `rows` are one row per token, in which `slots` (n,) says under which slot of `tables`' key each was sampled. Use
    other sound for this than for measuring. Raises `ValueError` for a class with fewer than 50 rows.
    """
    found = []
    for kind in range(len(tables.table.mixtures)):
        chosen = np.flatnonzero(rows.mixture == kind)
        if len(chosen) < _LEAST_ROWS:
            raise ValueError(f"surprisal class {kind} has {len(chosen)} rows; it takes {_LEAST_ROWS}: merge classes")
        weights = _fit_weights(_components(rows.at(chosen), tables, slots[chosen], exponents))
        found.append(tuple(zip(weights.tolist(), exponents, strict=True)))
    return tuple(found)


def _components(rows: TokenRows, tables: KeyTables, slots: IntArray, exponents: tuple[float, ...]) -> Float64Array:
    """The evidence of each row under each exponent alone: (n, j), for two levels under each pair (n, j, j)."""
    steps = np.stack([binned_ratio(((1.0, exponent),)) for exponent in exponents])
    row = np.repeat(np.arange(len(rows)), np.diff(rows.weights.indptr))
    code, slot, weight = rows.weights.indices, slots[row], rows.weights.data.astype(np.float64)
    ratios = steps[:, tables.token_bins[code, slot]]
    if tables.cluster_bins is not None:
        clusters = steps[:, tables.cluster_bins[tables.table.cluster_of[code], slot]]
        ratios = clusters[:, None] * ratios[None]
    flat = ratios.reshape(math.prod(ratios.shape[:-1]), len(row))  # no code at all may be likely enough to count
    sums = np.stack([np.bincount(row, weight * each, len(rows)) for each in flat], axis=1) + rows.rest[:, None]
    return np.asarray(sums.reshape(len(rows), *ratios.shape[:-1]), np.float64)


def _fit_weights(components: Float64Array) -> Float64Array:
    """Weights (j,) that maximise Σ log of the mixture; both levels share them."""
    n_exponents = components.shape[1]
    weights = np.full(n_exponents, 1 / n_exponents)
    for _ in range(_ROUNDS):
        prior = weights if components.ndim == 2 else np.outer(weights, weights)
        share = components * prior
        share /= share.reshape(len(share), -1).sum(axis=1).reshape(-1, *[1] * (components.ndim - 1))
        mean = share.mean(axis=0)
        weights = mean if mean.ndim == 1 else (mean.sum(axis=0) + mean.sum(axis=1)) / 2
    return np.asarray(weights / weights.sum())
