"""What every network of neural copy-synthesis is: sound in, the same speech out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ....core.cliprecord import SpeechKind
from ....core.registry import Registry


@dataclass(frozen=True)
class Rehearsal:
    """What a network made of a batch while it is trained."""

    sound: Tensor | None
    """(b, n), to be compared with the recording by `losses.py` and `discriminators.py`; None: `loss` says it all."""
    loss: Tensor
    """The network's own, such as that of its quantiser; a scalar."""


class CopierNetwork(nn.Module):
    """Speech at 16 kHz through a bottleneck and back; of the recording only the bottleneck's content is used."""

    kind: ClassVar[SpeechKind]
    family: ClassVar[str]
    """What splits keep together: all variants of a network."""
    shape_type: ClassVar[type]
    """Of `shape`: a frozen dataclass of numbers, which a card can hold."""
    variants: ClassVar[Mapping[str, Any]]
    """Named shapes. They differ in rate, bands and widths, so that two models of a kind are two generators."""
    shape: Any

    def __init__(self, shape: Any) -> None:
        """Untrained; the first weights are drawn from torch's own generator."""
        super().__init__()
        self.shape = shape

    def rehearse(self, samples: Tensor, generator: torch.Generator) -> Rehearsal:
        """The copy of samples (b, n) as training needs it: with gradients, and with its own loss."""
        raise NotImplementedError

    def copy(self, samples: Tensor, generator: torch.Generator) -> Tensor:
        """Samples (b, n), n above 0 -> the copy (b, n); `generator` draws what the network leaves to chance."""
        raise NotImplementedError


NETWORKS: Registry[CopierNetwork] = Registry("network of copy-synthesis", __package__)
