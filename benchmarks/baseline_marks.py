"""Published unbiased token marks to compare with: tournament sampling and Gumbel-max over hashed contexts.

`TournamentMark` is SynthID-Text (Dathathri et al. 2024, Nature 634, "Scalable watermarking for identifying large
language model outputs"), non-distorting form with two competitors; `HashedGumbelMark` is Aaronson's mark as text
servers ship it. Both pick their numbers by a keyed hash of the last `context_tokens` tokens, draw ordinarily where
that context came before in the utterance, and come with the exact p-value of hard tokens: each (context, token) is
counted once, so under a random key the sums are binomial and Gamma. Trained scores are left out.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from covoguard.core.records import Float32Array, Int32Array
from covoguard.watermark.kgw import binomial_log10_p
from covoguard.watermark.sampling import ordinary_draw, race, race_weights
from covoguard.watermark.stream import keystream_words, slot_uniforms

TOURNAMENT_LAYERS = 30


class _ContextMark:
    """What the two share: one stream per hashed context, ordinary draws where a context comes back."""

    def __init__(self, subkey: bytes, seed: int, context_tokens: int = 1) -> None:
        """`context_tokens` tokens pick the stream: 1 is the strongest against token errors, servers use 4."""
        self._subkey = subkey
        self._seed = seed
        self._context_tokens = context_tokens
        self._histories: list[list[int]] = []
        self._seen: list[set[int]] = []
        self._rngs: list[np.random.Generator] = []

    def sample(self, probs: Float32Array, slot: int) -> Int32Array:
        """Choose one id per row of `probs` (b, codebook); -> int32 (b,). `slot` 0 begins new utterances."""
        if slot == 0:
            self._histories = [[] for _ in probs]
            self._seen = [set() for _ in probs]
            self._rngs = [np.random.default_rng([self._seed, row]) for row in range(len(probs))]
        return np.array([self._next(row, probs[row]) for row in range(len(probs))], np.int32)

    def _next(self, row: int, probs: Float32Array) -> int:
        history, rng = self._histories[row], self._rngs[row]
        stream = context_stream(self._subkey, history[len(history) - self._context_tokens :])
        if len(history) < self._context_tokens or stream in self._seen[row]:
            chosen = ordinary_draw(probs, rng)
        else:
            chosen = self._marked(probs, stream, rng)
        self._seen[row].add(stream)
        history.append(chosen)
        return chosen

    def _marked(self, probs: Float32Array, stream: int, rng: np.random.Generator) -> int:
        raise NotImplementedError


class HashedGumbelMark(_ContextMark):
    """Gumbel-max with numbers picked by the tokens before."""

    scheme = "gumbel-hashed"

    def _marked(self, probs: Float32Array, stream: int, rng: np.random.Generator) -> int:
        return int(race(probs[None], race_weights(slot_uniforms(self._subkey, stream, len(probs)))[None])[0])


class TournamentMark(_ContextMark):
    """30 layers of a tournament between pairs, as the equivalent change of the probabilities."""

    scheme = "tournament"

    def _marked(self, probs: Float32Array, stream: int, rng: np.random.Generator) -> int:
        weights = probs.astype(np.float64) / np.cumsum(probs, dtype=np.float64)[-1]
        for g in tournament_bits(self._subkey, stream, len(probs)):
            # of two draws the one with the larger g wins, ties at random: p (1 + g - E[g])
            weights = weights * (1.0 + g - (weights * g).sum())
        return ordinary_draw(weights, rng)


def tournament_bits(subkey: bytes, stream: int, n_codes: int) -> npt.NDArray[np.uint8]:
    """The g of each layer and code: 0 or 1, (TOURNAMENT_LAYERS, n_codes)."""
    words = keystream_words(subkey, stream, n_codes)
    return np.array([words >> layer & 1 for layer in range(TOURNAMENT_LAYERS)], np.uint8)


def hashed_gumbel_log10_p(ids: Sequence[int], subkey: bytes, n_codes: int, context_tokens: int = 1) -> float:
    """log10 p-value: Σ -log(1 - u) over n distinct (context, token) is Gamma(n, 1) under a random key."""
    pairs = _distinct_pairs(ids, subkey, context_tokens)
    if not pairs:
        return 0.0
    u = np.array([slot_uniforms(subkey, stream, n_codes)[token] for stream, token in pairs])
    return gamma_log10_p(float(-np.log1p(-u).sum()), len(pairs))


def tournament_log10_p(ids: Sequence[int], subkey: bytes, n_codes: int, context_tokens: int = 1) -> float:
    """log10 p-value: Σ g over all layers and n distinct (context, token) is Binomial(30 n, 1/2)."""
    pairs = _distinct_pairs(ids, subkey, context_tokens)
    ones = sum(int(tournament_bits(subkey, stream, n_codes)[:, token].sum()) for stream, token in pairs)
    return binomial_log10_p(ones, TOURNAMENT_LAYERS * len(pairs), 0.5)


def gamma_log10_p(total: float, n: int) -> float:
    """log10 P(X >= total) for X ~ Gamma(n, 1): Poisson(total) below n, summed in logarithms."""
    from scipy.special import gammaln, logsumexp

    k = np.arange(n)
    return min(0.0, float(logsumexp(k * math.log(total) - total - gammaln(k + 1))) / math.log(10))


def context_stream(subkey: bytes, context: Sequence[int]) -> int:
    """The stream of a context: its keyed BLAKE2b, 64 bits."""
    packed = np.asarray(context, "<u4").tobytes()
    return int.from_bytes(hashlib.blake2b(packed, digest_size=8, key=subkey).digest(), "little")


def _distinct_pairs(ids: Sequence[int], subkey: bytes, context_tokens: int) -> set[tuple[int, int]]:
    return set(_pairs(ids, subkey, context_tokens))


def _pairs(ids: Sequence[int], subkey: bytes, context_tokens: int) -> Iterator[tuple[int, int]]:
    for end in range(context_tokens, len(ids)):
        yield context_stream(subkey, ids[end - context_tokens : end]), int(ids[end])
