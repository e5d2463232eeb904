"""RawNet2 for anti-spoofing: sinc filters, residual blocks with scaled feature maps, a recurrent readout.

Tak et al., "End-to-end anti-spoofing with RawNet2", ICASSP 2021 (arXiv 2011.01108), in the configuration that served
as a baseline of ASVspoof 2021 and for which weights were released: asvspoof-challenge/2021 @ 4ab5666,
LA/Baseline-RawNet2 (MIT). There are no reference outputs for it here.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from .sincbank import SincBank

POOL = 3
"""Stride of every maximum over time: after the filters and after each of the blocks."""
BLOCKS = 6
LEAK = 0.3


@dataclass(frozen=True)
class RawNet2Config:
    """Widths of the network; the defaults are those of model_config_RawNet.yaml."""

    filters: int = 20
    filter_taps: int = 1024
    first_width: int = 20
    """Channels of the first two blocks; that of the filters."""
    last_width: int = 128
    """Channels of the other four."""
    recurrent_width: int = 1024
    recurrent_layers: int = 3
    hidden_width: int = 1024


RAWNET2 = RawNet2Config()


class RawNet2(nn.Module):
    """The network from samples to two logits."""

    def __init__(self, config: RawNet2Config) -> None:
        """Random weights."""
        super().__init__()
        self.Sinc_conv = SincBank(config.filters, config.filter_taps)
        self.first_bn = nn.BatchNorm1d(config.filters)
        widths = [config.filters, *[config.first_width] * 2, *[config.last_width] * 4]
        for index, (width_in, width_out) in enumerate(pairwise(widths)):
            block = ResidualBlock(width_in, width_out, first=index == 0)
            self.add_module(f"block{index}", nn.Sequential(block))
            self.add_module(f"fc_attention{index}", nn.Sequential(nn.Linear(width_out, width_out)))
        self.bn_before_gru = nn.BatchNorm1d(config.last_width)
        self.gru = nn.GRU(config.last_width, config.recurrent_width, config.recurrent_layers, batch_first=True)
        self.fc1_gru = nn.Linear(config.recurrent_width, config.hidden_width)
        self.fc2_gru = nn.Linear(config.hidden_width, 2)

    def forward(self, samples: Tensor) -> Tensor:
        """16 kHz samples (b, n) -> logits (b, 2), spoof and bona fide; the original goes on to their log softmax."""
        features = functional.max_pool1d(self.Sinc_conv(samples).abs(), POOL)
        features = torch.selu(self.first_bn(features))
        for index in range(BLOCKS):
            features = self.get_submodule(f"block{index}")(features)
            features = self._scaled(features, self.get_submodule(f"fc_attention{index}"))
        frames = torch.selu(self.bn_before_gru(features)).transpose(1, 2)
        last = self.gru(frames)[0][:, -1]
        logits: Tensor = self.fc2_gru(self.fc1_gru(last))
        return logits

    @staticmethod
    def _scaled(features: Tensor, attention: nn.Module) -> Tensor:
        """Filter-wise feature map scaling, multiplied and added (section 3): (b, width, t) -> the same shape."""
        scale = torch.sigmoid(attention(features.mean(dim=2)))[:, :, None]
        return features * scale + scale


class ResidualBlock(nn.Module):
    """Two convolutions beside a short cut, then a maximum over time.

    As in AASIST, which took it over, `bn1` is in the files and is never applied: the released code computes what the
    paper has before the first convolution, and then gives the convolution the block's input.
    """

    def __init__(self, width_in: int, width_out: int, *, first: bool) -> None:
        """The `first` block has no `bn1`."""
        super().__init__()
        if not first:
            self.bn1 = nn.BatchNorm1d(width_in)
        self.conv1 = nn.Conv1d(width_in, width_out, 3, padding=1)
        self.bn2 = nn.BatchNorm1d(width_out)
        self.conv2 = nn.Conv1d(width_out, width_out, 3, padding=1)
        if width_in != width_out:
            self.conv_downsample = nn.Conv1d(width_in, width_out, 1)
        self._short_cut = width_in == width_out

    def forward(self, features: Tensor) -> Tensor:
        """(b, width_in, t) -> (b, width_out, t // 3)."""
        changed = self.conv2(functional.leaky_relu(self.bn2(self.conv1(features)), LEAK))
        kept = features if self._short_cut else self.conv_downsample(features)
        return functional.max_pool1d(changed + kept, POOL)
