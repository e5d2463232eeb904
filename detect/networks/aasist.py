"""AASIST: graph attention over the spectral and the temporal side of a raw waveform's residual features.

Jung et al., "AASIST: Audio Anti-Spoofing using Integrated Spectro-Temporal Graph Attention Networks", ICASSP 2022
(arXiv 2110.01200); every constant is that of the paper's code, clovaai/aasist @ a04c986 (MIT, NAVER Corp.), which
credits the RawNet2 baseline of EURECOM. Its weights load unchanged, and `python -m tests.parity.aasist` shows that
the outputs agree.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from .graph import GraphAttention, GraphPool, HeterogeneousAttention
from .sincbank import SincBank

SPOOF, BONA_FIDE = 0, 1
"""Places of the two logits."""
SINC_FILTERS = 70
SINC_TAPS = 128
FRONT_POOL = 3
"""Stride of the maximum over filters and over time, before the encoder."""
SPECTRAL_NODES = SINC_FILTERS // FRONT_POOL
BLOCK_POOL = 3
"""Stride of the maximum over time, after each block."""
EMBEDDING_PARTS = 5
BRANCH_DROPOUT = 0.2
READOUT_DROPOUT = 0.5


@dataclass(frozen=True)
class AasistConfig:
    """What differs between AASIST and AASIST-L (config/AASIST.conf, config/AASIST-L.conf)."""

    first_width: int
    """Channels of the first two blocks."""
    last_width: int
    """Channels of the other four."""
    graph_width: int
    node_width: int
    """Of nodes in the heterogeneous layers; a fifth of the embedding."""
    spectral_ratio: float
    temporal_ratio: float
    """Shares of nodes that the first pooling keeps."""
    stacking_ratio: float
    attention_temperature: float = 2.0
    stacking_temperature: float = 100.0


AASIST = AasistConfig(32, 64, 64, 32, spectral_ratio=0.5, temporal_ratio=0.7, stacking_ratio=0.5)
AASIST_L = AasistConfig(32, 24, 24, 32, spectral_ratio=0.4, temporal_ratio=0.5, stacking_ratio=0.7)


def config_of(state: Mapping[str, Tensor]) -> AasistConfig | None:
    """Which of the two a state dict is of, told by the width of the spectral positions; None: neither."""
    positions = state.get("pos_S")
    width = None if positions is None or positions.ndim == 0 else positions.shape[-1]
    return next((config for config in (AASIST, AASIST_L) if config.last_width == width), None)


class Aasist(nn.Module):
    """The network from samples to two logits."""

    def __init__(self, config: AasistConfig) -> None:
        """Random weights."""
        super().__init__()
        wide, narrow, node = config.graph_width, config.last_width, config.node_width
        self.conv_time = SincBank(SINC_FILTERS, SINC_TAPS)
        self.first_bn = nn.BatchNorm2d(1)
        widths = [1, *[config.first_width] * 2, *[config.last_width] * 4]
        blocks = (ResidualBlock(*pair, first=pair[0] == 1) for pair in pairwise(widths))
        self.encoder = nn.Sequential(*(nn.Sequential(block) for block in blocks))
        self.pos_S = nn.Parameter(torch.randn(1, SPECTRAL_NODES, narrow))
        self.master1 = nn.Parameter(torch.randn(1, 1, wide))
        self.master2 = nn.Parameter(torch.randn(1, 1, wide))
        self.GAT_layer_S = GraphAttention(narrow, wide, config.attention_temperature)
        self.GAT_layer_T = GraphAttention(narrow, wide, config.attention_temperature)
        self.pool_S = GraphPool(config.spectral_ratio, wide)
        self.pool_T = GraphPool(config.temporal_ratio, wide)
        self.HtrgGAT_layer_ST11 = HeterogeneousAttention(wide, node, config.stacking_temperature)
        self.HtrgGAT_layer_ST12 = HeterogeneousAttention(node, node, config.stacking_temperature)
        self.HtrgGAT_layer_ST21 = HeterogeneousAttention(wide, node, config.stacking_temperature)
        self.HtrgGAT_layer_ST22 = HeterogeneousAttention(node, node, config.stacking_temperature)
        self.pool_hS1 = GraphPool(config.stacking_ratio, node)
        self.pool_hT1 = GraphPool(config.stacking_ratio, node)
        self.pool_hS2 = GraphPool(config.stacking_ratio, node)
        self.pool_hT2 = GraphPool(config.stacking_ratio, node)
        self.drop_way = nn.Dropout(BRANCH_DROPOUT)
        self.drop = nn.Dropout(READOUT_DROPOUT)
        self.out_layer = nn.Linear(EMBEDDING_PARTS * node, 2)

    def forward(self, samples: Tensor) -> Tensor:
        """16 kHz samples (b, n) -> logits (b, 2), spoof and bona fide; trained with n = 64,600."""
        logits: Tensor = self.out_layer(self.drop(self.embed(samples)))
        return logits

    def embed(self, samples: Tensor) -> Tensor:
        """Samples (b, n) -> (b, 5 * node_width): largest and mean temporal, the same spectral, and stack node."""
        features = self.encode(samples).abs()  # (b, channels, 23, frames)
        spectral = self.pool_S(self.GAT_layer_S(features.amax(dim=3).transpose(1, 2) + self.pos_S))
        temporal = self.pool_T(self.GAT_layer_T(features.amax(dim=2).transpose(1, 2)))
        branches = (
            self._branch_1(temporal, spectral),
            self._branch_2(temporal, spectral),
        )
        temporal, spectral, stack = (
            torch.maximum(*(self.drop_way(part) for part in pair)) for pair in zip(*branches, strict=True)
        )
        parts = [
            temporal.abs().amax(dim=1),
            temporal.mean(dim=1),
            spectral.abs().amax(dim=1),
            spectral.mean(dim=1),
            stack.squeeze(1),
        ]
        return torch.cat(parts, dim=1)

    def encode(self, samples: Tensor) -> Tensor:
        """Samples (b, n) -> residual features (b, last_width, SPECTRAL_NODES, frames)."""
        bands = functional.max_pool2d(self.conv_time(samples)[:, None].abs(), FRONT_POOL)
        features: Tensor = self.encoder(torch.selu(self.first_bn(bands)))
        return features

    def _branch_1(self, temporal: Tensor, spectral: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        temporal, spectral, stack = self.HtrgGAT_layer_ST11(temporal, spectral, self.master1)
        before = (self.pool_hT1(temporal), self.pool_hS1(spectral), stack)
        return _added(before, self.HtrgGAT_layer_ST12(*before))

    def _branch_2(self, temporal: Tensor, spectral: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        temporal, spectral, stack = self.HtrgGAT_layer_ST21(temporal, spectral, self.master2)
        before = (self.pool_hT2(temporal), self.pool_hS2(spectral), stack)
        return _added(before, self.HtrgGAT_layer_ST22(*before))


class ResidualBlock(nn.Module):
    """Two convolutions beside a short cut, then a maximum over time.

    The paper has a batch norm and SELU before the first convolution. The released code computes them and then gives
    the convolution the block's input all the same; the weights were trained so. `bn1` is therefore never applied,
    and stands here because it is in the files.
    """

    def __init__(self, width_in: int, width_out: int, *, first: bool) -> None:
        """The `first` block has no `bn1`."""
        super().__init__()
        if not first:
            self.bn1 = nn.BatchNorm2d(width_in)
        self.conv1 = nn.Conv2d(width_in, width_out, (2, 3), padding=(1, 1))
        self.bn2 = nn.BatchNorm2d(width_out)
        self.conv2 = nn.Conv2d(width_out, width_out, (2, 3), padding=(0, 1))
        if width_in != width_out:
            self.conv_downsample = nn.Conv2d(width_in, width_out, (1, 3), padding=(0, 1))
        self._short_cut = width_in == width_out

    def forward(self, features: Tensor) -> Tensor:
        """(b, width_in, bands, t) -> (b, width_out, bands, t // 3)."""
        changed = self.conv2(torch.selu(self.bn2(self.conv1(features))))
        kept = features if self._short_cut else self.conv_downsample(features)
        return functional.max_pool2d(changed + kept, (1, BLOCK_POOL))


def _added(before: tuple[Tensor, ...], after: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
    temporal, spectral, stack = (a + b for a, b in zip(before, after, strict=True))
    return temporal, spectral, stack
