"""The small residual network over log bands, as `detect/network.py` has it."""

from typing import Self

import torch
from torch import Tensor, nn

from ....core.errors import UsageError
from ...frontend import LogBands
from ...network import EMBEDDING, LogBandResNet
from ..networks import TRAINABLE, DetectorNetwork, NetworkStart
from ..starting import ExactFrontEnd, refuse_encoder


class _ExactLogBands(ExactFrontEnd, LogBands):
    """Log bands in float32."""


@TRAINABLE.register("logband-resnet")
class TrainableLogBandResNet(DetectorNetwork):
    """One member of the detector; `Detector` in `detect/network.py` is the mean of several."""

    embedding_size = EMBEDDING
    hears_spectra = True

    def __init__(self) -> None:
        """Random weights."""
        super().__init__()
        self.frontend = _ExactLogBands()
        self.member = LogBandResNet()
        self.head = self.member.head
        self.member.head = nn.Sequential()
        # a third faster on a CPU than planes of channels
        self.member.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def build(cls, start: NetworkStart) -> Self:
        """Random weights; raises `UsageError` for another start."""
        refuse_encoder(start, "logband-resnet")
        if start.folder is not None:
            raise UsageError("logband-resnet is trained from random weights; leave out the folder to start from")
        return cls()

    def features(self, samples: Tensor) -> Tensor:
        """Normalised log bands (b, 80, frames)."""
        bands: Tensor = self.frontend(samples)
        return bands

    def embedding(self, features: Tensor) -> Tensor:
        """Pooled statistics of the last feature maps."""
        return self.member.embedding(features)

    def classify(self, embedding: Tensor) -> Tensor:
        """Dropout and one linear layer."""
        logits: Tensor = self.head(embedding)
        return logits[:, 0]

    def scorer_state(self) -> dict[str, Tensor]:
        """The names of one `LogBandResNet`."""
        head = {f"head.{name}": value for name, value in self.head.state_dict().items()}
        return {**self.member.state_dict(), **head}
