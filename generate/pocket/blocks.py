"""The one building block of the pocket codec and recoverer: ConvNeXt along time (Liu et al. 2022, Fig. 4)."""

import torch
from torch import Tensor, nn


class ConvNextBlock(nn.Module):
    """Depthwise convolution over time, then a two-layer perceptron per frame, added to the input (b, t, width)."""

    def __init__(self, width: int, kernel: int = 7, expansion: int = 4) -> None:
        """`kernel` frames of context, odd; hidden width is `expansion * width`."""
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, expansion * width)
        self.narrow = nn.Linear(expansion * width, width)
        self.scale = nn.Parameter(torch.full((width,), 0.1))

    def forward(self, frames: Tensor) -> Tensor:
        """(b, t, width) -> (b, t, width)."""
        context = self.depthwise(frames.transpose(1, 2)).transpose(1, 2)
        change: Tensor = self.narrow(nn.functional.gelu(self.widen(self.norm(context))))
        return frames + self.scale * change
