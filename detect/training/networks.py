"""The networks that can be trained, by name, behind one small interface.

To add one: a file in `trainable/` with a `DetectorNetwork` under `@TRAINABLE.register("name")`. The registry finds
it, and the contract test over the registry checks it.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from ...core.registry import Registry


@dataclass(frozen=True)
class NetworkStart:
    """What a network begins with."""

    folder: Path | None = None
    """A model folder of the same detector whose weights are the start; None: random weights."""
    train_encoder: bool = False
    """Whether a pre-trained encoder is trained too, or only the head on it."""


class DetectorNetwork(nn.Module, ABC):
    """A network from samples to a logit, its front end inside.

    Every parameter that is to be trained gets a gradient in each step; others have `requires_grad` off.
    """

    embedding_size: int
    hears_spectra: ClassVar[bool] = False
    """Whether `features` gives spectra (b, bands, frames), in which stretches can be masked."""

    @classmethod
    @abstractmethod
    def build(cls, start: NetworkStart) -> Self:
        """Make one, random weights drawn from torch's generator.

        Raises `UsageError` for a start that this network cannot have, `ModelMissing` and `IntegrityError` for a
        folder that is not there or not as it should be.
        """

    def features(self, samples: Tensor) -> Tensor:
        """16 kHz samples (b, n) -> (b, ...): what recordings are mixed and masked in; here the samples themselves."""
        return samples

    @abstractmethod
    def embedding(self, features: Tensor) -> Tensor:
        """What `features` gives -> (b, embedding_size): what the last layer decides by."""

    @abstractmethod
    def classify(self, embedding: Tensor) -> Tensor:
        """(b, embedding_size) -> logit (b,), higher for generated speech."""

    def scorer_state(self) -> dict[str, Tensor]:
        """The weights under the names that the detector of this name reads them by."""
        return self.state_dict()

    def forward(self, samples: Tensor) -> Tensor:
        """16 kHz samples (b, n) -> logit (b,), higher for generated speech."""
        return self.classify(self.embedding(self.features(samples)))


TRAINABLE: Registry[DetectorNetwork] = Registry("network to train", f"{__package__}.trainable")


def build_network(name: str, start: NetworkStart | None = None, *, seed: int) -> DetectorNetwork:
    """The network called `name`; the same start and seed give the same weights. Raises as `DetectorNetwork.build`."""
    cls = TRAINABLE.get(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return cls.build(start or NetworkStart())
