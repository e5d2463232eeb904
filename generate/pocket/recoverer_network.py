"""The network that reads pocket tokens back from sound: hearing, ConvNeXt blocks, one guess per 20 ms."""

import torch
from torch import Tensor, nn

from .acoustics import CODEBOOK_SIZE
from .blocks import ConvNextBlock
from .hearing import BANDS

CELL_FRAMES = 2
"""10 ms frames per cell: two cells per token, so that the phase of the token grid stays a hypothesis."""


class RecovererNetwork(nn.Module):
    """Normalised log-mel (b, t, BANDS) to per-cell logits (b, t // 2, 1024) and surprisal in bits (b, t // 2)."""

    def __init__(self, width: int = 192, blocks: int = 5) -> None:
        """About 1.9 million weights as shipped; a cell sees 0.3 s either side."""
        super().__init__()
        self.stack = nn.Linear(CELL_FRAMES * BANDS, width)
        self.blocks = nn.ModuleList(ConvNextBlock(width) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.codes = nn.Linear(width, CODEBOOK_SIZE)
        self.surprisal = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, 1))

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the token that sounds at the centre of each cell, and the estimate of its -log2 probability."""
        cells = frames.shape[1] // CELL_FRAMES
        hidden = self.stack(frames[:, : cells * CELL_FRAMES].reshape(frames.shape[0], cells, -1))
        for block in self.blocks:
            hidden = block(hidden)
        hidden = self.norm(hidden)
        surprisal = nn.functional.softplus(self.surprisal(hidden))[..., 0]
        return self.codes(hidden), torch.clamp(surprisal, max=20.0)
