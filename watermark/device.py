"""`SlotGumbel` for many rows at once, where they are sampled: a generator on an accelerator never waits for the host.

Weights are expanded once per key and uploaded once; a step only gathers the few that its candidates need. Same ids
as the numpy path, bit for bit: products of float32 numbers are fixed by IEEE 754, the largest is found by `amax`,
which rounds nothing, and ties go to the lowest id explicitly, since `argmax` does not promise which it gives.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.protocols import TokenMark
from .table import MarkTable
from .weights import MASS_SCALE, StepWeights

STREAMS_PER_UPLOAD = 256

Stream = tuple[bytes, int]
"""A key's fingerprint and the number of one of its streams."""


@runtime_checkable
class SlotMark(Protocol):
    """A mark seeded by slot, as `SlotGumbel` is: its streams depend on a token's place alone."""

    table: MarkTable

    @property
    def fingerprint(self) -> bytes:
        """Equal for marks of one key under one table, whatever their slots."""
        ...

    def stream_at(self, slot: int) -> int:
        """The number of the stream that marks position `slot`."""
        ...

    def stream_weights(self, streams: list[int]) -> StepWeights:
        """The rows of these streams."""
        ...


class DeviceMarks:
    """A `BatchMark`: each row with its own key, start slot and payload, or none.

    Weight rows lie in one pool, 4 bytes per code and stream, that all rows of a key share and that outlives them:
    a key's 4096 slots of 16384 codes are 256 MiB. With two levels the device needs float64 (CPU and CUDA have it,
    Apple's MPS has not).
    """

    def __init__(self, table: MarkTable, rows: int, positions: int, device: torch.device) -> None:
        """No row is marked yet; `positions` is the most tokens that a row can have."""
        self.version = 0
        self.codebook_size = table.codebook_size
        self._table = table
        self._pool = _Pool(table, min(table.n_slots, rows * positions), device)
        self._held: list[Sequence[Stream]] = [()] * rows
        self._marked = torch.zeros(rows, dtype=torch.bool, device=device)
        self._places = torch.zeros(rows, positions, dtype=torch.int64, device=device)
        self._cluster_of = torch.tensor(table.cluster_of, dtype=torch.int64, device=device)

    def put(self, row: int, mark: TokenMark | None, first_slot: int, positions: int) -> None:
        """Give `row` a mark (None: none any more) for its next `positions` tokens, from token `first_slot` of its file.

        Raises `UsageError` for a mark that is no `SlotMark`, has another table, or for more positions than fit.
        """
        self._held[row] = ()
        self._marked[row] = False
        if mark is None:
            return
        if not isinstance(mark, SlotMark) or mark.table != self._table:
            raise UsageError(f"the mark {mark.scheme} differs in kind or table from the other marks of its batch")
        if positions > self._places.shape[1]:
            raise UsageError(f"a mark for {positions} tokens; this batch has room for {self._places.shape[1]}")
        streams = [(mark.fingerprint, mark.stream_at(first_slot + t)) for t in range(positions)]
        self._held[row] = streams
        self._pool.fetch(mark, streams, held=self._held)
        self.version = self._pool.version
        self._places[row, :positions] = torch.tensor(self._pool.places(streams)).to(self._places.device)
        self._marked[row] = True

    def choose(self, probs: Tensor, ids: Tensor, position: Tensor, ordinary: Tensor) -> Tensor:
        """The candidate that each row's mark chooses, an index int64 (b,), or `ordinary` (b,) where there is no mark.

        `probs` float32 (b, k) of the candidates `ids` int64 (b, k), which are codes of the table; candidates of
        probability 0 may repeat others. `position` int64 (b,) counts the row's tokens. Nothing is checked: that
        would wait for the device.
        """
        place = self._places.gather(1, position.clamp(max=self._places.shape[1] - 1)[:, None])
        if self._pool.cluster is not None:
            cluster_of = self._cluster_of[ids]
            masses = _cluster_masses(probs, cluster_of, self._pool.cluster.shape[1])
            clusters = torch.arange(masses.shape[1], device=ids.device).expand_as(masses)
            chosen = _race(masses * self._pool.cluster[place[:, 0]], clusters)
            probs = torch.where(cluster_of == chosen[:, None], probs, 0.0)
        chosen = _race(probs * self._pool.token[place, ids], ids)
        return torch.where(self._marked, chosen, ordinary)


class _Pool:
    """Weight rows on the device, each at a fixed place until nobody holds it and the room is needed."""

    def __init__(self, table: MarkTable, capacity: int, device: torch.device) -> None:
        self.version = 0
        self.token = torch.zeros(capacity, table.codebook_size, device=device)
        self.cluster = torch.zeros(capacity, table.n_clusters, device=device) if table.levels == 2 else None
        self._place_of: dict[Stream, int] = {}
        self._free = list(range(capacity))

    def places(self, streams: Sequence[Stream]) -> list[int]:
        """Where `streams` lie."""
        return [self._place_of[stream] for stream in streams]

    def fetch(self, mark: SlotMark, streams: Sequence[Stream], held: Sequence[Sequence[Stream]]) -> None:
        """Expand and upload those of `streams` that are not here, forgetting none that is in `held`."""
        missing = [stream for stream in dict.fromkeys(streams) if stream not in self._place_of]
        if len(missing) > len(self._free):
            self._forget_all_but({stream for row in held for stream in row})
        if len(missing) > len(self._free):
            self._grow(len(missing) - len(self._free))
        for first in range(0, len(missing), STREAMS_PER_UPLOAD):
            block = missing[first : first + STREAMS_PER_UPLOAD]
            places = [self._free.pop() for _ in block]
            weights = mark.stream_weights([number for _, number in block])
            _upload(self.token, places, weights.token)
            if self.cluster is not None and weights.cluster is not None:
                _upload(self.cluster, places, weights.cluster)
            self._place_of.update(zip(block, places, strict=True))

    def _forget_all_but(self, held: set[Stream]) -> None:
        for stream in self._place_of.keys() - held:
            self._free.append(self._place_of.pop(stream))

    def _grow(self, at_least: int) -> None:
        before = len(self.token)
        added = max(at_least, before)
        self.token = torch.cat([self.token, self.token.new_zeros(added, self.token.shape[1])])
        if self.cluster is not None:
            self.cluster = torch.cat([self.cluster, self.cluster.new_zeros(added, self.cluster.shape[1])])
        self._free.extend(range(before, before + added))
        self.version += 1


def _upload(pool: Tensor, places: list[int], rows: np.ndarray) -> None:
    pool[torch.tensor(places).to(pool.device)] = torch.from_numpy(rows.copy()).to(pool.device)


def _race(scores: Tensor, ids: Tensor) -> Tensor:
    """The index of the largest of `scores` (b, k) in each row; of equals the one with the lowest of `ids` (b, k)."""
    best = scores == scores.amax(dim=1, keepdim=True)
    return torch.where(best, ids, torch.iinfo(torch.int64).max).argmin(dim=1)


def _cluster_masses(probs: Tensor, cluster_of: Tensor, n_clusters: int) -> Tensor:
    """`sampling.cluster_masses` of candidates, in any order of summation: every partial sum is exact."""
    fixed = torch.round(probs.to(torch.float64) * MASS_SCALE)
    masses = torch.zeros(len(probs), n_clusters, dtype=torch.float64, device=probs.device)
    return (masses.scatter_add_(1, cluster_of, fixed) / MASS_SCALE).to(torch.float32)
