"""Sampling that leaves a mark and no bias: Gumbel-max with secret numbers in place of random ones.

Gumbel-max draws a token as argmax_v log p_v - log(-log u_v) (Gumbel 1954; as a watermark: Aaronson 2022;
Kuditipudi et al. 2023, arXiv 2307.15593, for numbers picked by position). Over keys the law of the token is
exactly p. Here the same comparison is made in its exponential form, argmax_v p_v · w_v with w_v = 1 / -log u_v:
one product of two float32 numbers, which IEEE 754 fixes to the last bit, so one step is the same on every device
and with any number of threads. `log` is not: libraries differ in its last bit.

Call it after every other warper (temperature, top-k, top-p): what has probability 0 is never chosen.
"""

import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Never, Protocol, Self

import numpy as np
import numpy.typing as npt

from ..core.errors import UsageError
from ..core.records import Float32Array, Int32Array
from .payload import Payload, encode, payload_plan
from .stream import Float64Array, SubkeySource, payload_stream, slot_uniforms
from .table import MarkTable
from .weights import MASS_SCALE, StepWeights

if TYPE_CHECKING:
    import torch

    from .device import DeviceMarks

MAX_SUM_ERROR = 0.01
CACHED_ROWS = 512
"""Weight rows kept per level (32 MiB for a codebook of 16384)."""
_ROWS_PER_BLOCK = 32
_LAST_BLOCKED = (1 << 32) - 1
"""Numbers above it are streams of a payload (`payload_stream`)."""

Slots = int | npt.NDArray[np.integer]


class UtteranceMark(Protocol):
    """What `audio_step` needs of a mark."""

    def sample(self, probs: Float32Array, slot: int) -> Int32Array:
        """Choose one id per row of `probs`."""
        ...


def race_weights(uniforms: Float64Array) -> Float32Array:
    """The weights w = 1 / -log u, computed in float64, rounded once to float32. Source: see the module."""
    return (-1.0 / np.log(uniforms)).astype(np.float32)


def race(probs: Float32Array, weights: Float32Array) -> Int32Array:
    """The id with the largest `probs · weights` in each row, int32 (b,); of equals the lowest id."""
    best: Int32Array = (probs * weights).argmax(axis=-1).astype(np.int32)
    return best


def cluster_masses(probs: Float32Array, cluster_of: Int32Array, n_clusters: int) -> Float32Array:
    """Mass of each cluster, float32 (b, n_clusters), for `probs` (b, codebook), the same in any order of summation."""
    fixed = np.rint(probs.astype(np.float64) * MASS_SCALE)
    masses = [np.bincount(cluster_of, weights=row, minlength=n_clusters) for row in fixed]
    return (np.array(masses).reshape(len(probs), n_clusters) / MASS_SCALE).astype(np.float32)


def check_probs(probs: Float32Array, codebook_size: int) -> Float32Array:
    """`probs` as float32 (b, codebook). Raises `ValueError` for another shape and rows that are no distributions.

    A row may sum to 1 within 1 %, which half-precision softmax needs; logits do not.
    """
    checked = np.asarray(probs, np.float32)
    if checked.ndim != 2 or checked.shape[1] != codebook_size:
        raise ValueError(f"probabilities have the shape {checked.shape}; the table needs (rows, {codebook_size})")
    totals = checked.sum(axis=1, dtype=np.float64)
    # written so that NaN fails
    if not ((checked >= 0).all() and (np.abs(totals - 1) <= MAX_SUM_ERROR).all()):
        raise ValueError("probabilities must not be negative and must sum to 1; apply softmax and all warpers first")
    return checked


def choose(probs: Float32Array, weights: StepWeights, table: MarkTable) -> Int32Array:
    """One id per row of `probs` (b, codebook): with two levels the cluster by its mass, then the token inside it."""
    if weights.cluster is not None:
        cluster = race(cluster_masses(probs, table.cluster_of, table.n_clusters), weights.cluster)
        probs = np.where(table.cluster_of == cluster[:, None], probs, np.float32(0))
    return race(probs, weights.token)


class SlotGumbel:
    """The default mark: position t of an utterance takes the numbers of slot (start_slot + t) mod n_slots.

    With `table.levels` 2 the cluster is drawn first, by its mass, then the token inside it. Up to n_slots tokens
    use each number once, and the joint law of the whole utterance, too, is the model's.
    """

    def __init__(
        self, table: MarkTable, subkeys: Mapping[str, bytes], start_slot: int, payload: Payload | None = None
    ) -> None:
        """`subkeys` as `MarkTable.subkeys` gives them; `start_slot` drawn at random for each utterance.

        Raises `ValueError` for a table of another seeding, a missing subkey or a slot outside 0 … n_slots - 1.
        """
        if table.seeding != "slot":
            raise ValueError(f"the table is for seeding {table.seeding!r}; this mark is for 'slot'")
        if not 0 <= start_slot < table.n_slots:
            raise ValueError(f"start slot {start_slot} is outside 0 to {table.n_slots - 1}")
        self.scheme = f"gumbel-slot-{table.levels}" + ("" if payload is None else "-payload")
        self.table = table
        self.start_slot = start_slot
        self._streams = _Streams(table, subkeys)
        if payload is not None:
            self._symbols = np.array(encode(payload))
            self._plan = payload_plan(subkeys["payload"], table.n_slots)
        self._has_payload = payload is not None

    @classmethod
    def from_key(cls, key: SubkeySource, table: MarkTable, *, start_slot: int, payload: Payload | None = None) -> Self:
        """The mark of `key`; raises as the constructor."""
        return cls(table, table.subkeys(key), start_slot, payload)

    def sample(self, probs: Float32Array, slot: Slots) -> Int32Array:
        """Choose one id per row of `probs` (b, codebook) for position `slot` in the utterance; -> int32 (b,).

        `slot` may be an array (b,): rows at positions of their own. Raises `ValueError`
        for probabilities that are none.
        """
        checked = check_probs(probs, self.table.codebook_size)
        return choose(checked, self.weights(slot, len(checked)), self.table)

    def weights(self, slot: Slots, n_rows: int) -> StepWeights:
        """The weights that `sample` would use for `n_rows` rows at position `slot`, one number or (n_rows,)."""
        if isinstance(slot, int):
            return self.stream_weights([self.stream_at(slot)] * n_rows)
        return self.stream_weights([self.stream_at(int(t)) for t in np.broadcast_to(slot, n_rows)])

    def stream_weights(self, streams: list[int]) -> StepWeights:
        """The weights of `streams`, one row each."""
        return self._streams.weights(streams)

    @property
    def fingerprint(self) -> bytes:
        """The same for marks whose streams hold the same numbers; tells nothing of the key."""
        return self._streams.fingerprint

    def on_device(self, rows: int, positions: int, device: "torch.device") -> "DeviceMarks":
        """A batch of `rows` rows on `device`, none marked yet, for marks of this table (`DeviceMarks`)."""
        from .device import DeviceMarks

        return DeviceMarks(self.table, rows, positions, device)

    def stream_at(self, slot: int) -> int:
        """The number of the stream that marks position `slot`."""
        time_slot = (self.start_slot + slot) % self.table.n_slots
        if not self._has_payload or self._plan[time_slot] < 0:
            return time_slot
        return payload_stream(time_slot, int(self._symbols[self._plan[time_slot]]))


class ContextGumbel:
    """The same draw, with the stream picked by the token before (`seeding="context1"`), one utterance per row.

    A context that comes back in one utterance would give the same numbers again and so a biased token: those
    steps are drawn by an ordinary generator and carry no mark.
    """

    def __init__(self, table: MarkTable, subkeys: Mapping[str, bytes], seed: int) -> None:
        """`seed` is of the ordinary draws. Raises `ValueError` for a table of another seeding or no subkey."""
        if table.seeding != "context1":
            raise ValueError(f"the table is for seeding {table.seeding!r}; this mark is for 'context1'")
        self.scheme = f"gumbel-context1-{table.levels}"
        self.table = table
        self._streams = _Streams(table, subkeys)
        self._seed = seed
        self._utterances: list[_Utterance] = []

    @classmethod
    def from_key(cls, key: SubkeySource, table: MarkTable, *, seed: int) -> Self:
        """The mark of `key`; raises as the constructor."""
        return cls(table, table.subkeys(key), seed)

    def sample(self, probs: Float32Array, slot: int) -> Int32Array:
        """Choose one id per row of `probs` (b, codebook); -> int32 (b,). `slot` 0 begins new utterances.

        The rows go on as they began; raises `ValueError` for another number of rows, or probabilities that are none.
        """
        checked = check_probs(probs, self.table.codebook_size)
        if slot == 0:
            first = self.table.first_context
            self._utterances = [_Utterance(first, [self._seed, row]) for row in range(len(checked))]
        if len(checked) != len(self._utterances):
            raise ValueError(f"{len(checked)} rows, but the utterances began with {len(self._utterances)}")
        ids = np.empty(len(checked), np.int32)
        for row, utterance in enumerate(self._utterances):
            ids[row] = self._next(utterance, checked[row : row + 1])
        return ids

    def on_device(self, rows: int, positions: int, device: "torch.device") -> Never:
        """Raises `UsageError`: whether a context came before is known only after looking at every token."""
        raise UsageError(
            f"a mark seeded by context cannot be laid on {rows} rows on {device} ({positions} tokens each); "
            "use a table with seeding 'slot'"
        )

    def _next(self, utterance: "_Utterance", probs: Float32Array) -> int:
        context = utterance.previous
        if context in utterance.seen:
            chosen = ordinary_draw(probs[0], utterance.rng)
        else:
            chosen = int(choose(probs, self._streams.weights([context]), self.table)[0])
        utterance.seen.add(context)
        utterance.previous = chosen
        return chosen


def ordinary_draw(weights: npt.NDArray[np.floating], rng: np.random.Generator) -> int:
    """Draw an index by `weights` (n,), which need not sum to 1; an index of weight 0 is never drawn."""
    rising = np.cumsum(weights, dtype=np.float64)
    # side="right" skips indices without mass; the draw is below the total, so the result is an index
    return int(np.searchsorted(rising, rng.random() * rising[-1], side="right"))


def audio_step(mark: UtteranceMark, probs: Float32Array, audio_ids: range, slot: int, rng: np.random.Generator) -> int:
    """One step of a model whose vocabulary (n,) holds text and speech tokens: the id chosen, in the vocabulary.

    Whether speech or which other token is an ordinary draw, so the mass of speech is what it was; only among the
    speech tokens `audio_ids` (consecutive) does the mark choose. The caller moves on to the next slot only when
    the id lies in `audio_ids`.
    """
    speech = probs[audio_ids.start : audio_ids.stop]
    others = probs.astype(np.float64)
    others[audio_ids.start : audio_ids.stop] = 0.0
    mass = np.cumsum(speech, dtype=np.float64)[-1]
    choice = ordinary_draw(np.append(others, mass), rng)
    if choice < len(probs):
        return choice
    return audio_ids.start + int(mark.sample((speech / mass).astype(np.float32)[None], slot)[0])


class _Streams:
    """Weight rows of one table under one key, made when first needed."""

    def __init__(self, table: MarkTable, subkeys: Mapping[str, bytes]) -> None:
        """Raises `ValueError` when a subkey is missing."""
        for purpose in table.purposes:
            if purpose not in subkeys:
                raise ValueError(f"the subkey for {purpose!r} is missing; take all from MarkTable.subkeys")
        used = [subkeys[purpose] for purpose in ("token", "cluster") if purpose in table.purposes]
        self.fingerprint = hashlib.sha256(b"".join(used)).digest()
        in_order = table.seeding == "slot"
        self._token_row = _cached_rows(subkeys["token"], table.codebook_size, in_order=in_order)
        self._cluster_row = None
        if table.levels == 2:
            self._cluster_row = _cached_rows(subkeys["cluster"], table.n_clusters, in_order=in_order)

    def weights(self, streams: list[int]) -> StepWeights:
        """The rows of `streams`, one per row of probabilities."""
        cluster = None if self._cluster_row is None else _stacked(self._cluster_row, streams)
        return StepWeights(_stacked(self._token_row, streams), cluster)


def _stacked(row: Callable[[int], Float32Array], streams: list[int]) -> Float32Array:
    if len(streams) == 1:
        return row(streams[0])[None]
    # row(0) gives the width when there is nothing to stack
    return np.stack([row(stream) for stream in streams]) if streams else row(0)[None][:0]


def _cached_rows(subkey: bytes, n: int, *, in_order: bool) -> Callable[[int], Float32Array]:
    """Rows, each made once. `in_order`: time slots come one after another, and are made in blocks, which is faster."""

    def made(stream: int) -> Float32Array:
        weights = race_weights(slot_uniforms(subkey, stream, n))
        weights.setflags(write=False)
        return weights

    single = lru_cache(CACHED_ROWS)(made)

    @lru_cache(CACHED_ROWS // _ROWS_PER_BLOCK)
    def block(first: int) -> list[Float32Array]:
        return [made(stream) for stream in range(first, first + _ROWS_PER_BLOCK)]

    def row(stream: int) -> Float32Array:
        if not in_order or stream > _LAST_BLOCKED:
            return single(stream)
        place = stream % _ROWS_PER_BLOCK
        return block(stream - place)[place]

    return row


class _Utterance:
    """How far one row of a `ContextGumbel` has come."""

    def __init__(self, first_context: int, seed: list[int]) -> None:
        self.previous = first_context
        self.seen: set[int] = set()
        self.rng = np.random.default_rng(seed)
