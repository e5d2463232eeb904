"""What a training run is fed with: batches of degraded, cropped recordings with what is known of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Recordings of equal length and their labels; every tensor has as many rows."""

    samples: Tensor
    """(b, n) float32 at 16 kHz, already degraded and cropped."""
    is_spoof: Tensor
    """(b,) float32: 1 generated, 0 genuine."""
    family: Tensor
    """(b,) int64: index of the generator family; -1 genuine or unknown."""
    source: Tensor
    """(b,) int64: index of the corpus or voice pool that the recording comes from; -1 unknown."""
    pair: Tensor
    """(b,) int64: rows with one number >= 0 are one recording, genuine and copy-synthesised; -1 alone."""

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""
        return Batch(
            samples=self.samples.to(device, non_blocking=True),
            is_spoof=self.is_spoof.to(device, non_blocking=True),
            family=self.family.to(device, non_blocking=True),
            source=self.source.to(device, non_blocking=True),
            pair=self.pair.to(device, non_blocking=True),
        )


class BatchSource(Protocol):
    """A stream of batches that can be started at any epoch."""

    n_families: int
    n_sources: int
    steps_per_epoch: int

    def epoch(self, number: int, *, rank: int, world: int) -> Iterator[Batch]:
        """The batches of one epoch for one process; the same number, rank and world give the same batches."""
        ...

    def held_out(self) -> Iterator[Batch]:
        """Clips of held-out families and genuine speech for the early stop; may be empty."""
        ...
