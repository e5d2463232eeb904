"""Fits the mark table of a token model: mixtures per surprisal class, clusters, and one level or two.

Everything is measured on marked clips of the model after the attack mix, the grid known, on other clips than those
that were fitted. Validity of the test rests on none of it (any mixture is a density), only its power does.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from ..core.errors import UsageError
from ..core.keys import SecretKey
from ..core.rates import TOKEN_RATE_HZ
from ..core.records import Audio, Float32Array, Int32Array, Posteriors
from ..watermark.clusters import clusters_of_confusion
from ..watermark.evidence.fit import fit_mixtures
from ..watermark.evidence.keytables import KeyTables, path_evidence, prepare_key
from ..watermark.evidence.rows import TokenRows, token_rows
from ..watermark.sampling import SlotGumbel
from ..watermark.table import MarkTable, Mixture

EDGES_BITS = (2.0, 2.5, 3.0)
"""Between the surprisal classes, as the recoverer estimates them."""
CLUSTERS = 256
"""Of two levels, and never more than a quarter of the codes."""
LEAST_ROWS = 50
"""A surprisal class with fewer rows to be fitted to is joined with its neighbour."""
_START: Mixture = ((0.5, 1.0), (0.3, 3.0), (0.2, 16.0))
"""Any mixture does: it is replaced by the fit, and the sampler does not look at it."""

Confusion = tuple[Any, np.ndarray]
"""Mean posterior (codes, codes) where each code was true, dense or sparse, and how often it was said (codes,)."""
SayMarked = Callable[[Sequence[SlotGumbel]], list[tuple[Int32Array, Float32Array]]]
"""Marks in, for each the tokens and the 16 kHz sound of a clip after damage (start and pace unchanged) out."""


class Recovers(Protocol):
    """What fitting needs of a `TokenRecoverer`: it may not lie in a folder yet."""

    @property
    def codebook_size(self) -> int:
        """Codes that it tells apart."""
        ...

    def recover(self, audio: Audio, *, speed: float = 1.0) -> Posteriors:
        """Sound to posteriors."""
        ...


@dataclass(frozen=True)
class HeardTokens:
    """Marked clips end to end: what was heard of each token, what it was, and its slot."""

    posteriors: Posteriors
    tokens: Int32Array
    slots: Int32Array

    def rows(self, table: MarkTable) -> TokenRows:
        """One row per token, in which both cells belong to the token."""
        per_token = self.posteriors.rate_hz // TOKEN_RATE_HZ
        return token_rows(self.posteriors, table).at(np.arange(len(self.tokens) - 1) * per_token)

    def part(self, first: bool) -> "HeardTokens":
        """The first or the second half."""
        middle, per_token = len(self.tokens) // 2, self.posteriors.rate_hz // TOKEN_RATE_HZ
        chosen = slice(0, middle) if first else slice(middle, None)
        cells = slice(0, middle * per_token) if first else slice(middle * per_token, None)
        heard = self.posteriors
        surprisal = None if heard.surprisal is None else heard.surprisal[cells]
        kept = replace(
            heard, ids=heard.ids[cells], probs=heard.probs[cells], rest=heard.rest[cells], surprisal=surprisal
        )
        return HeardTokens(kept, self.tokens[chosen], self.slots[chosen])


@dataclass(frozen=True)
class FittedTable:
    """The chosen table and what was measured for each number of levels: bits of evidence per token."""

    table: MarkTable
    bits_per_token: Mapping[int, float]
    bits_per_token_clean: float


def fit_table(
    model: str,
    recoverer: Recovers,
    key: SecretKey,
    say: SayMarked,
    say_clean: SayMarked,
    clips: int,
    *,
    edges_bits: tuple[float, ...] = EDGES_BITS,
    confusion: Confusion | None = None,
) -> FittedTable:
    """Measure one level and two under the attack mix, keep the better, and its clean rate as the nominal one.

    The clusters come from `confusion`; None: from clips that are said for it, which is too little for large
    codebooks.
    """
    size = recoverer.codebook_size
    flat = MarkTable(model, size, np.zeros(size, dtype=np.int32), (_START,) * (len(edges_bits) + 1), edges_bits)
    if confusion is None:
        confusion = confusion_of(hear(flat, recoverer, key, say, clips), size)
    likeness, mass = confusion
    clusters = clusters_of_confusion(likeness, mass, min(CLUSTERS, max(2, size // 4)))
    tables = {1: replace(flat, cluster_of=clusters), 2: replace(flat, cluster_of=clusters, levels=2)}
    fitted, bits = {}, {}
    for levels, table in tables.items():
        heard = hear(table, recoverer, key, say, clips)
        fitted[levels] = with_mixtures(heard.part(first=True), table, key)
        bits[levels] = bits_per_token(heard.part(first=False), table, fitted[levels], key)
    best = max(bits, key=lambda levels: bits[levels])
    clean = hear(tables[best], recoverer, key, say_clean, max(4, clips // 4))
    nominal = bits_per_token(clean, tables[best], fitted[best], key)
    return FittedTable(replace(fitted[best], nominal_bits_per_frame=max(0.0, round(nominal, 3))), bits, nominal)


def seconds_to_show(table: MarkTable, bits: float, alpha: float, cells_per_token: int = 2) -> float | None:
    """Marked speech after which p falls to `alpha` at `bits` per token; None where there is no evidence.

    What the test has to overcome at speed 1 is the search over start slots, phases and stretches, as the test of
    presence itself counts it.
    """
    if bits <= 0:
        return None
    search_bits = math.log2(table.n_slots * 8 * cells_per_token)
    return (search_bits - math.log2(alpha)) / bits / TOKEN_RATE_HZ


def hear(table: MarkTable, recoverer: Recovers, key: SecretKey, say: SayMarked, clips: int) -> HeardTokens:
    """Make `clips` marked clips, each from a start slot of its own, and recover them."""
    parts: list[tuple[Posteriors, Int32Array, Int32Array]] = []
    starts = [int(slot) for slot in np.random.default_rng(7).integers(table.n_slots, size=clips)]
    said = say([SlotGumbel.from_key(key, table, start_slot=start_slot) for start_slot in starts])
    for start_slot, (tokens, sound) in zip(starts, said, strict=True):
        heard = recoverer.recover(Audio(sound, 16_000))
        count = min(len(tokens), len(heard.ids) * TOKEN_RATE_HZ // heard.rate_hz)
        slots = (start_slot + np.arange(count)) % table.n_slots
        parts.append((_cut(heard, count * heard.rate_hz // TOKEN_RATE_HZ), tokens[:count], slots.astype(np.int32)))
    return HeardTokens(
        _joined([posteriors for posteriors, _, _ in parts]),
        np.concatenate([tokens for _, tokens, _ in parts]),
        np.concatenate([slots for _, _, slots in parts]),
    )


def with_mixtures(heard: HeardTokens, table: MarkTable, key: SecretKey) -> MarkTable:
    """The table that `heard` was made with, its mixtures those with the most evidence on it, empty classes joined.

    Raises `UsageError` for too few tokens to fit anything to.
    """
    if len(heard.tokens) <= LEAST_ROWS:
        raise UsageError(
            f"the marked clips hold only {2 * len(heard.tokens)} tokens, too few to fit the mark's table to; "
            "give longer prompts, or another source of tokens"
        )
    joined = table
    while joined.surprisal_edges_bits:
        counts = np.bincount(heard.rows(joined).mixture, minlength=len(joined.mixtures))
        if counts.min() >= LEAST_ROWS:
            break
        edges = list(joined.surprisal_edges_bits)
        del edges[min(int(counts.argmin()), len(edges) - 1)]
        joined = replace(joined, surprisal_edges_bits=tuple(edges), mixtures=joined.mixtures[1:])
    rows = heard.rows(joined)
    tables = prepare_key(joined, table.subkeys(key))
    return replace(joined, mixtures=fit_mixtures(rows, tables, heard.slots[: len(rows)].astype(np.int64)))


def bits_per_token(heard: HeardTokens, made_with: MarkTable, scored_with: MarkTable, key: SecretKey) -> float:
    """Mean log2 evidence of the true slots. The subkeys are those of the table that the clips were made with."""
    rows = heard.rows(scored_with)
    tables: KeyTables = prepare_key(scored_with, made_with.subkeys(key))
    evidence = path_evidence(rows, tables, heard.slots[: len(rows)].astype(np.int64))
    return float(evidence.mean() / np.log(2))


def confusion_of(heard: HeardTokens, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean posterior (size, size) where each code was true, and how often it was said (size,)."""
    confusion, mass = np.zeros((size, size)), np.ones(size)
    per_token = heard.posteriors.rate_hz // TOKEN_RATE_HZ
    for t, true in enumerate(heard.tokens):
        for cell in range(t * per_token, (t + 1) * per_token):
            np.add.at(confusion[true], heard.posteriors.ids[cell], heard.posteriors.probs[cell])
        mass[true] += 1
    return confusion / mass[:, None], mass


def _cut(heard: Posteriors, cells: int) -> Posteriors:
    surprisal = None if heard.surprisal is None else heard.surprisal[:cells]
    return replace(
        heard, ids=heard.ids[:cells], probs=heard.probs[:cells], rest=heard.rest[:cells], surprisal=surprisal
    )


def _joined(parts: Sequence[Posteriors]) -> Posteriors:
    surprisal = [part.surprisal for part in parts if part.surprisal is not None]
    return replace(
        parts[0],
        ids=np.concatenate([part.ids for part in parts]),
        probs=np.concatenate([part.probs for part in parts]),
        rest=np.concatenate([part.rest for part in parts]),
        surprisal=np.concatenate(surprisal) if surprisal else None,
    )
