"""The network that reads tokens back from sound: hearing, ConvNeXt blocks, one guess per 20 ms.

As built by default it is the pocket model's; `generate/recovery` builds larger ones for larger codebooks.
"""

import torch
from torch import Tensor, nn

from .acoustics import CODEBOOK_SIZE
from .blocks import ConvNextBlock
from .hearing import BANDS

CELL_FRAMES = 2
"""10 ms frames per cell: two cells per token, so that the phase of the token grid stays a hypothesis."""


class RecovererNetwork(nn.Module):
    """Normalised log-mel (b, t, BANDS) to per-cell logits (b, t // 2, codes) and surprisal in bits (b, t // 2)."""

    def __init__(
        self, width: int = 192, blocks: int = 5, codes: int = CODEBOOK_SIZE, head_width: int | None = None
    ) -> None:
        """About 1.9 million weights as shipped with pocket; each block adds 60 ms either side to what a cell sees.

        `head_width` puts a layer without bias between hidden state and logits: many codes then share what they
        have in common, at `head_width / width` of the weights.
        """
        super().__init__()
        self.stack = nn.Linear(CELL_FRAMES * BANDS, width)
        self.blocks = nn.ModuleList(ConvNextBlock(width) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.codes = (
            nn.Linear(width, codes)
            if head_width is None
            else nn.Sequential(nn.Linear(width, head_width, bias=False), nn.Linear(head_width, codes))
        )
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
