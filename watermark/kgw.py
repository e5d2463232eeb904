"""The green-list mark of Kirchenbauer et al. (2023), arXiv 2301.10226: a baseline, biased, never the default.

A stream of secret numbers calls the codes with u < gamma green; sampling raises their logits by delta. The test counts
green tokens, each (context, token) once, and gives the exact binomial tail: under a random key these are
independent events of probability gamma, whatever the tokens are. The usual z-score is not used: at 1e-6 its normal
tail is too small by a factor of ten.
"""

import math
from collections.abc import Mapping
from typing import Literal, Self, get_args

import numpy as np
import numpy.typing as npt

from ..core.records import Float32Array, Int32Array
from .sampling import check_probs, ordinary_draw
from .stream import SubkeySource, keystream_words, mark_subkeys
from .table import MarkTable

GreenSeeding = Literal["fixed", "context1", "slot"]
"""One list for all tokens (h = 0), one per token before (h = 1), or one per time slot."""
PURPOSE = "green"


def green_list(subkey: bytes, stream: int, n_codes: int, gamma: float) -> npt.NDArray[np.bool_]:
    """Which codes are green in a stream: bool (n_codes,), each with probability `gamma`, independently."""
    return keystream_words(subkey, stream, n_codes) < math.floor(gamma * 2**32)


class GreenListMark:
    """Samples with green tokens raised by `delta` nats; ordinary draws with `seed`."""

    def __init__(
        self,
        table: MarkTable,
        subkeys: Mapping[str, bytes],
        *,
        seed: int,
        seeding: GreenSeeding = "fixed",
        delta: float = 2.0,
        gamma: float = 0.25,
        start_slot: int = 0,
    ) -> None:
        """`subkeys` holds one for "green". Raises `ValueError` for numbers out of range."""
        if seeding not in get_args(GreenSeeding) or not 0 < gamma < 1 or not 0 <= delta < 50:
            raise ValueError(f"seeding {seeding!r}, gamma {gamma}, delta {delta}: not a green-list mark")
        if PURPOSE not in subkeys:
            raise ValueError(f"the subkey for {PURPOSE!r} is missing")
        self.scheme = f"kgw-{seeding}"
        self.table = table
        self.seeding = seeding
        self.gamma = gamma
        self._subkey = subkeys[PURPOSE]
        self._boost = np.float32(math.exp(delta))
        self._start_slot = start_slot
        self._seed = seed
        self._previous = np.empty(0, np.int64)
        self._rngs: list[np.random.Generator] = []

    @classmethod
    def from_key(
        cls,
        key: SubkeySource,
        table: MarkTable,
        *,
        seed: int,
        seeding: GreenSeeding = "fixed",
        delta: float = 2.0,
        gamma: float = 0.25,
        start_slot: int = 0,
    ) -> Self:
        """The mark of `key`; raises as the constructor."""
        subkeys = mark_subkeys(key, (PURPOSE,), model=table.model, table_sha256=table.sha256)
        return cls(table, subkeys, seed=seed, seeding=seeding, delta=delta, gamma=gamma, start_slot=start_slot)

    def sample(self, probs: Float32Array, slot: int) -> Int32Array:
        """Choose one id per row of `probs` (b, codebook); -> int32 (b,). `slot` 0 begins new utterances."""
        checked = check_probs(probs, self.table.codebook_size)
        if slot == 0:
            self._previous = np.full(len(checked), self.table.first_context)
            self._rngs = [np.random.default_rng([self._seed, row]) for row in range(len(checked))]
        if len(checked) != len(self._rngs):
            raise ValueError(f"{len(checked)} rows, but the utterances began with {len(self._rngs)}")
        ids = np.empty(len(checked), np.int32)
        for row, rng in enumerate(self._rngs):
            raised = np.where(self._green(slot, int(self._previous[row])), checked[row] * self._boost, checked[row])
            ids[row] = ordinary_draw(raised, rng)
        self._previous = ids.astype(np.int64)
        return ids

    def _green(self, slot: int, previous: int) -> npt.NDArray[np.bool_]:
        streams = {"fixed": 0, "context1": previous, "slot": (self._start_slot + slot) % self.table.n_slots}
        return green_list(self._subkey, streams[self.seeding], self.table.codebook_size, self.gamma)


def green_log10_p(
    ids: Int32Array, table: MarkTable, subkey: bytes, *, seeding: GreenSeeding = "fixed", gamma: float = 0.25
) -> float:
    """log10 of the p-value of tokens `ids` (n,) under the "green" subkey; 0 when there is nothing to count.

    For `slot` all start slots are tried and paid for (Bonferroni); tokens past n_slots are left out.
    """
    if seeding == "slot":
        return _slot_log10_p(ids[: table.n_slots], table, subkey, gamma)
    contexts = np.zeros(len(ids), np.int64)
    if seeding == "context1":
        contexts = np.concatenate([[table.first_context], ids[:-1]])[: len(ids)]
    pairs = np.unique(np.stack([contexts, ids], axis=1), axis=0)
    lists = {int(c): green_list(subkey, int(c), table.codebook_size, gamma) for c in np.unique(contexts)}
    n_green = sum(bool(lists[int(context)][token]) for context, token in pairs)
    return binomial_log10_p(n_green, len(pairs), gamma)


def binomial_log10_p(successes: int, n: int, probability: float) -> float:
    """log10 P(X >= successes) for X ~ Binomial(n, probability), exact far below the smallest float."""
    if successes <= 0:
        return 0.0
    from scipy.special import gammaln, logsumexp

    k = np.arange(successes, n + 1)
    log_choose = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    log_terms = log_choose + k * math.log(probability) + (n - k) * math.log1p(-probability)
    return min(0.0, float(logsumexp(log_terms)) / math.log(10))


def _slot_log10_p(ids: Int32Array, table: MarkTable, subkey: bytes, gamma: float) -> float:
    streams = range(table.n_slots)
    green = np.stack([green_list(subkey, stream, table.codebook_size, gamma) for stream in streams])
    counts = np.zeros(table.n_slots, np.int64)
    for position, token in enumerate(ids):
        counts += np.roll(green[:, token], -position)
    best = binomial_log10_p(int(counts.max()), len(ids), gamma)
    return min(0.0, best + math.log10(table.n_slots))
