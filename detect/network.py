"""A small residual network over log bands, with attentive statistics pooling.

Pooling: Okabe et al., "Attentive Statistics Pooling for Deep Speaker Embedding", arXiv 1803.10963, equations 3 to 6.
"""

import torch
from safetensors.torch import load
from torch import Tensor, nn

from ..core.modelcard import ModelFolder
from .frontend import BANDS, LogBands
from .graph import STATE_NAME

STEM_CHANNELS = 32
STAGE_CHANNELS = (32, 64, 128)
SQUEEZED = 128
EMBEDDING = 2 * SQUEEZED
"""Width of what a network decides by: weighted mean and standard deviation over time."""


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut; (batch, in, bands, frames) -> (batch, out, ceil / stride, ...)."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        """Halve both axes with `stride` 2."""
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels_out),
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add and rectify."""
        return torch.relu(self.body(x) + self.shortcut(x))


class AttentiveStatistics(nn.Module):
    """Weighted mean and standard deviation over time: (batch, d, frames) -> (batch, 2 d)."""

    def __init__(self, width: int, hidden: int = 64) -> None:
        """`hidden` is the width of the attention's inner layer."""
        super().__init__()
        self.attention = nn.Sequential(nn.Conv1d(width, hidden, 1), nn.Tanh(), nn.Conv1d(hidden, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Softmax over time, per dimension."""
        weights = torch.softmax(self.attention(x), dim=2)
        mean = (weights * x).sum(dim=2)
        variance = (weights * x.square()).sum(dim=2) - mean.square()
        return torch.cat([mean, variance.clamp_min(1e-5).sqrt()], dim=1)


class LogBandResNet(nn.Module):
    """Normalised log bands (batch, 80, frames) -> logit (batch,), higher for generated speech, and embedding."""

    def __init__(self, dropout: float = 0.3) -> None:
        """`dropout` acts before the last layer, in training only."""
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, STEM_CHANNELS, 5, 2, 2, bias=False),
            nn.BatchNorm2d(STEM_CHANNELS),
            nn.ReLU(inplace=True),
        )
        channels = (STEM_CHANNELS, *STAGE_CHANNELS)
        self.stages = nn.Sequential(
            *(ResidualBlock(channels[i], channels[i + 1], 2) for i in range(len(STAGE_CHANNELS)))
        )
        bands_left = -(-BANDS // 2 ** (1 + len(STAGE_CHANNELS)))
        self.squeeze = nn.Sequential(
            nn.Conv1d(STAGE_CHANNELS[-1] * bands_left, SQUEEZED, 1, bias=False),
            nn.BatchNorm1d(SQUEEZED),
            nn.ReLU(inplace=True),
        )
        self.pool = AttentiveStatistics(SQUEEZED)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(EMBEDDING, 1))

    def embedding(self, bands: Tensor) -> Tensor:
        """What the last layer decides by: (batch, 256)."""
        maps = self.stages(self.stem(bands[:, None]))
        statistics: Tensor = self.pool(self.squeeze(maps.flatten(1, 2)))
        return statistics

    def forward(self, bands: Tensor) -> tuple[Tensor, Tensor]:
        """Give one logit per clip, and its embedding."""
        embedding = self.embedding(bands)
        return self.head(embedding)[:, 0], embedding


class Detector(nn.Module):
    """Front end and several networks: samples (batch, n) -> score (batch,), embedding (batch, members x 256).

    This is what is exported. The score is the mean of the members' logits, the embedding all of theirs side by side.
    """

    def __init__(self, members: list[LogBandResNet]) -> None:
        """`members` share one front end."""
        super().__init__()
        self.frontend = LogBands()
        self.members = nn.ModuleList(members)

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Hear each row as a whole."""
        bands = self.frontend(samples)
        logits, embeddings = zip(*(member(bands) for member in self.members), strict=True)
        return torch.stack(logits).mean(dim=0), torch.cat(embeddings, dim=1)


def load_detector(model: ModelFolder) -> Detector:
    """The torch twin of an exported detector, in evaluation mode."""
    state = load(model.read_bytes(STATE_NAME))
    count = 1 + max(int(name.split(".")[1]) for name in state)
    detector = Detector([LogBandResNet() for _ in range(count)])
    detector.load_state_dict(state)
    return detector.eval()
