"""Heads over all hidden layers of a self-supervised encoder: layers summed, frames pooled, two logits.

Which layer tells generated speech depends on the encoder, so every head learns a weight per layer (as in SUPERB, Yang
et al. 2021, arXiv 2105.01051). The logits stand as AASIST's do: spoof, bona fide.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from .aasist import AASIST, SINC_FILTERS, Aasist, ResidualBlock

ATTENTION_WIDTH = 128
LEAST_VARIANCE = 1e-7
"""Keeps the gradient of the deviation finite on frames that are all alike."""


class LayerSum(nn.Module):
    """Weighted mean over layers; the weights are learned, and equal at first."""

    def __init__(self, layers: int) -> None:
        """`layers` counts the encoder's input as well."""
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(layers))

    def forward(self, hidden: Tensor) -> Tensor:
        """(b, layers, frames, width) -> (b, frames, width)."""
        return torch.einsum("l,blfw->bfw", torch.softmax(self.scores, dim=0), hidden)


class MeanHead(nn.Module):
    """Layer sum, mean over frames, one linear layer."""

    def __init__(self, layers: int, width: int) -> None:
        """Random weights for an encoder with `layers` hidden states of `width`."""
        super().__init__()
        self.layer_sum = LayerSum(layers)
        self.out = nn.Linear(width, 2)

    def forward(self, hidden: Tensor) -> Tensor:
        """(b, layers, frames, width) -> logits (b, 2), spoof and bona fide."""
        logits: Tensor = self.out(self.layer_sum(hidden).mean(dim=1))
        return logits


class AttentiveHead(nn.Module):
    """Layer sum, attentive statistics pooling (Okabe et al. 2018, arXiv 1803.10963), one linear layer."""

    def __init__(self, layers: int, width: int) -> None:
        """Random weights for an encoder with `layers` hidden states of `width`."""
        super().__init__()
        self.layer_sum = LayerSum(layers)
        self.attention = nn.Sequential(nn.Linear(width, ATTENTION_WIDTH), nn.Tanh(), nn.Linear(ATTENTION_WIDTH, 1))
        self.out = nn.Linear(2 * width, 2)

    def forward(self, hidden: Tensor) -> Tensor:
        """(b, layers, frames, width) -> logits (b, 2), spoof and bona fide."""
        frames = self.layer_sum(hidden)
        weights = torch.softmax(self.attention(frames), dim=1)
        mean = (weights * frames).sum(dim=1)
        variance = (weights * (frames - mean[:, None]).square()).sum(dim=1)
        logits: Tensor = self.out(torch.cat([mean, variance.clamp_min(LEAST_VARIANCE).sqrt()], dim=1))
        return logits


class AasistHead(Aasist):
    """Layer sum, and AASIST with a projection of the encoder's frames where its filter bank was.

    As Tak et al. 2022 (arXiv 2202.12233) put wav2vec 2.0 before AASIST; their own code differs in details, so their
    weights do not load.
    """

    def __init__(self, layers: int, width: int) -> None:
        """Random weights for an encoder with `layers` hidden states of `width`."""
        super().__init__(AASIST)
        del self.conv_time
        self.layer_sum = LayerSum(layers)
        self.project = nn.Linear(width, SINC_FILTERS)
        widths = [1, *[AASIST.first_width] * 2, *[AASIST.last_width] * 4]
        self.encoder = nn.Sequential(*(_FrameBlock(*pair, first=pair[0] == 1) for pair in pairwise(widths)))

    def encode(self, hidden: Tensor) -> Tensor:
        """(b, layers, frames, width) -> residual features (b, channels, 23, frames // 3)."""
        bands = self.project(self.layer_sum(hidden)).transpose(1, 2)
        features: Tensor = self.encoder(torch.selu(self.first_bn(functional.max_pool2d(bands[:, None], 3))))
        return features


class _FrameBlock(ResidualBlock):
    """Without the maximum over time: an encoder gives 50 frames a second, AASIST's filter bank 16,000."""

    def forward(self, features: Tensor) -> Tensor:
        """(b, width_in, bands, t) -> (b, width_out, bands, t)."""
        changed: Tensor = self.conv2(torch.selu(self.bn2(self.conv1(features))))
        return changed + (features if self._short_cut else self.conv_downsample(features))


HEADS: Mapping[str, Callable[[int, int], nn.Module]] = {
    "attentive": AttentiveHead,
    "mean": MeanHead,
    "aasist": AasistHead,
}
"""Heads by name; each is made of the number of hidden states and their width."""
