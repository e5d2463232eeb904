"""The secret side of the test: density ratios of every code at every slot under one key.

A number u is kept as its first 12 bits, so r(u) becomes a step function over 4096 bins of equal width, each step the
mean of r over its bin. Under a key that was not used the bins are equally likely, so the mean of the steps, exactly
1, is the mean over keys: rounding u costs no validity.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ...core.records import Float32Array
from ..payload import payload_plan
from ..stream import keystream_words
from ..table import MarkTable, Mixture
from .rows import TokenRows

Float64Array = npt.NDArray[np.float64]
Bins = npt.NDArray[np.uint16]

BIN_BITS = 12
N_BINS = 1 << BIN_BITS
_SLOTS_PER_BLOCK = 64
"""Slots turned at once: enough that writes are whole cache lines."""
_LEAST_REST = np.float32(1e-9)
"""Keeps the logarithm finite, and adds no more than this to the mean of m."""
_BATCH_ROWS = 1024
"""Rows evaluated at once. Each code that occurs among them is looked up once at all slots, which takes the time."""


@dataclass(frozen=True, eq=False)
class KeyTables:
    """One key's numbers for a table, for any number of files. It holds secrets, and shows none."""

    table: MarkTable
    subkeys: Mapping[str, bytes] = field(compare=False, repr=False)
    token_bins: Bins = field(compare=False, repr=False)
    """uint16 (codebook, n_slots) under seeding `slot`, else (codebook, 0): contexts are expanded as they occur."""
    cluster_bins: Bins | None = field(compare=False, repr=False)
    """uint16 (n_clusters, n_slots), for two levels."""
    scored_slots: npt.NDArray[np.bool_] = field(compare=False, repr=False)
    """bool (n_slots,): slots that speak for presence; those of a payload do not."""
    ratios: Float32Array | None = field(default=None, compare=False, repr=False)
    """float32 (mixtures * codebook, n_slots): r(u) of every code, where `expand_ratios` has made it."""

    @property
    def all_scored(self) -> bool:
        """Whether every token of a path speaks for presence."""
        return self.table.seeding == "slot" and bool(self.scored_slots.all())


def prepare_key(table: MarkTable, subkeys: Mapping[str, bytes], *, payload: bool = False) -> KeyTables:
    """Expand the subkeys of `MarkTable.subkeys`; with `payload` half of the slots are left to the payload.

    Takes 8 MiB for 1024 codes. Raises `ValueError` when a subkey is missing.
    """
    for purpose in table.purposes:
        if purpose not in subkeys:
            raise ValueError(f"the subkey for {purpose!r} is missing; take all from MarkTable.subkeys")
    n_slots = table.n_slots if table.seeding == "slot" else 0
    clusters = _bins(subkeys["cluster"], n_slots, table.n_clusters) if table.levels == 2 else None
    scored = payload_plan(subkeys["payload"], n_slots) < 0 if payload else np.ones(n_slots, np.bool_)
    return KeyTables(table, dict(subkeys), _bins(subkeys["token"], n_slots, table.codebook_size), clusters, scored)


def expand_ratios(tables: KeyTables) -> KeyTables:
    """The same tables with all density ratios at hand, for a key that is tried on many files.

    Readings are the same, in half the time for short files; takes 16 MiB per mixture for 1024 codes and 4096 slots.
    """
    table = tables.table
    steps = [binned_ratio(each).astype(np.float32) for each in table.mixtures]
    ratios = np.concatenate([each[tables.token_bins] for each in steps])
    if tables.cluster_bins is not None:
        ratios *= np.concatenate([each[tables.cluster_bins[table.cluster_of]] for each in steps])
    return replace(tables, ratios=ratios)


@lru_cache(64)
def binned_ratio(mixture: Mixture) -> Float64Array:
    """The steps (N_BINS,): mean of r(u) = Σ w a u^(a-1) over each bin, from its integral Σ w u^a. Their mean is 1."""
    edges = np.linspace(0, 1, N_BINS + 1)
    integral = np.sum([weight * edges**exponent for weight, exponent in mixture], axis=0)
    steps: Float64Array = np.diff(integral) * N_BINS
    steps.setflags(write=False)
    return steps


def stream_bins(subkey: bytes, stream: int, n: int) -> Bins:
    """The bins of one stream's first `n` numbers, uint16 (n,)."""
    return (keystream_words(subkey, stream, n) >> (32 - BIN_BITS)).astype(np.uint16)


def expand_streams(tables: KeyTables, streams: Sequence[int]) -> KeyTables:
    """The same key's numbers of some streams in place of its slots: slot j is then `streams[j]`, all scored."""
    table = tables.table
    token = np.stack([stream_bins(tables.subkeys["token"], each, table.codebook_size) for each in streams], axis=1)
    cluster = None
    if table.levels == 2:
        cluster = np.stack([stream_bins(tables.subkeys["cluster"], each, table.n_clusters) for each in streams], axis=1)
    return KeyTables(table, tables.subkeys, token, cluster, np.ones(len(streams), np.bool_))


def log_evidence(rows: TokenRows, tables: KeyTables, n_more: int) -> Float32Array:
    """Log m of every row at every slot, float32 (n, n_slots + n_more): the first `n_more` slots stand twice.

    m = rest + Σ_v q(v) r(u[slot, v]) has mean 1 over keys for whatever q: the evidence of one row that it carries the
    mark at that slot. The slots repeat so that any run of rows along any run of slots is a plain slice.
    """
    n_slots = tables.table.n_slots
    result = np.empty((len(rows), n_slots + n_more), np.float32)
    for first in range(0, len(rows), _BATCH_ROWS):
        batch = slice(first, first + _BATCH_ROWS)
        result[batch, :n_slots] = _batch_evidence(rows, batch, tables)
    if not tables.scored_slots.all():
        result[:, :n_slots][:, ~tables.scored_slots] = 1.0
    np.log(result[:, :n_slots], out=result[:, :n_slots])
    result[:, n_slots:] = result[:, :n_more]
    return result


def path_evidence(rows: TokenRows, tables: KeyTables, slots: npt.NDArray[np.integer]) -> Float64Array:
    """Log m, float64 (n,), of each row at its own slot of `slots` (n,): one path, as `log_evidence` has all."""
    table = tables.table
    row = np.repeat(np.arange(len(rows)), np.diff(rows.weights.indptr))
    code, mixture, slot = rows.weights.indices, rows.mixture[row], np.asarray(slots)[row]
    steps = np.stack([binned_ratio(each) for each in table.mixtures])
    ratio = steps[mixture, tables.token_bins[code, slot]]
    if tables.cluster_bins is not None:
        ratio *= steps[mixture, tables.cluster_bins[table.cluster_of[code], slot]]
    m = np.maximum(rows.rest, _LEAST_REST) + np.bincount(row, rows.weights.data * ratio, len(rows))
    return np.where(tables.scored_slots[slots], np.log(m), 0.0)


def _bins(subkey: bytes, n_slots: int, n_codes: int) -> Bins:
    bins = np.empty((n_codes, n_slots), np.uint16)
    for first in range(0, n_slots, _SLOTS_PER_BLOCK):
        block = [stream_bins(subkey, slot, n_codes) for slot in range(first, min(first + _SLOTS_PER_BLOCK, n_slots))]
        bins[:, first : first + len(block)] = np.stack(block, axis=1)
    return bins


def _batch_evidence(rows: TokenRows, batch: slice, tables: KeyTables) -> Float32Array:
    from scipy.sparse import csr_array

    table = tables.table
    weights, mixture = rows.weights[batch], rows.mixture[batch]
    pairs = np.repeat(mixture, np.diff(weights.indptr)).astype(np.int64) * table.codebook_size + weights.indices
    least = np.maximum(rows.rest[batch], _LEAST_REST)[:, None]
    if tables.ratios is not None:
        shape = (weights.shape[0], len(tables.ratios))
        expanded: Float32Array = csr_array((weights.data, pairs, weights.indptr), shape=shape) @ tables.ratios
        return expanded + least
    # one column per pair of code and mixture that occurs
    used, column = np.unique(pairs, return_inverse=True)
    steps = [binned_ratio(each).astype(np.float32) for each in table.mixtures]
    ratios = np.empty((len(used), table.n_slots), np.float32)
    for index, pair in enumerate(used.tolist()):
        kind, code = divmod(pair, table.codebook_size)
        # `clip` is numpy's quickest way; no bin is out of bounds
        np.take(steps[kind], tables.token_bins[code], out=ratios[index], mode="clip")
        if tables.cluster_bins is not None:
            ratios[index] *= steps[kind][tables.cluster_bins[table.cluster_of[code]]]
    sparse = csr_array((weights.data, column, weights.indptr), shape=(weights.shape[0], len(used)))
    evidence: Float32Array = sparse @ ratios
    return evidence + least
