"""The networks of the pocket codec as they are trained: encoder, codebook, decoder, and two judges of the codes."""

import torch
from torch import Tensor, nn

from ..pocket.acoustics import CODEBOOK_SIZE, FRAMES_PER_TOKEN
from ..pocket.blocks import ConvNextBlock
from ..pocket.decoder import TRACKS, DecoderNetwork

CODE_WIDTH = 32


class Encoder(nn.Module):
    """Normalised frames (b, t * 4, TRACKS) to one vector (b, t, CODE_WIDTH) per token; sees two tokens either side."""

    def __init__(self, width: int = 192) -> None:
        """About 0.6 million weights; used in training only."""
        super().__init__()
        self.stack = nn.Linear(FRAMES_PER_TOKEN * TRACKS, width)
        self.blocks = nn.ModuleList(ConvNextBlock(width, kernel=3) for _ in range(2))
        self.code = nn.Linear(width, CODE_WIDTH)

    def forward(self, frames: Tensor) -> Tensor:
        """Vectors before quantisation."""
        hidden = self.stack(frames.reshape(frames.shape[0], -1, FRAMES_PER_TOKEN * TRACKS))
        for block in self.blocks:
            hidden = block(hidden)
        code: Tensor = self.code(hidden)
        return code


class Codebook(nn.Module):
    """1024 vectors that follow the mean of what is assigned to them; codes that fall out of use are moved."""

    vectors: Tensor
    counts: Tensor

    def __init__(self, decay: float = 0.98) -> None:
        """`decay` of the moving averages per step."""
        super().__init__()
        self.decay = decay
        self.register_buffer("vectors", torch.zeros(CODEBOOK_SIZE, CODE_WIDTH))
        self.register_buffer("counts", torch.ones(CODEBOOK_SIZE))

    def start_from(self, vectors: Tensor, generator: torch.Generator) -> None:
        """A few k-means rounds over encoder outputs (n, CODE_WIDTH)."""
        self.vectors.copy_(vectors[torch.randperm(len(vectors), generator=generator)[:CODEBOOK_SIZE]])
        for _ in range(12):
            ids = self.nearest(vectors)
            sums = torch.zeros_like(self.vectors).index_add_(0, ids, vectors)
            counts = torch.bincount(ids, minlength=CODEBOOK_SIZE).float()
            used = counts > 0
            self.vectors[used] = sums[used] / counts[used, None]
            lost = (~used).nonzero()[:, 0]
            self.vectors[lost] = vectors[torch.randint(len(vectors), (len(lost),), generator=generator)]
        self.counts.fill_(1.0)

    def distances(self, vectors: Tensor) -> Tensor:
        """Squared distances (..., CODEBOOK_SIZE)."""
        return (vectors**2).sum(-1, keepdim=True) - 2 * vectors @ self.vectors.T + (self.vectors**2).sum(-1)

    def nearest(self, vectors: Tensor) -> Tensor:
        """Ids (...)."""
        return self.distances(vectors).argmin(-1)

    @torch.no_grad()
    def follow(self, vectors: Tensor, ids: Tensor, generator: torch.Generator) -> None:
        """One moving-average step."""
        flat, flat_ids = vectors.reshape(-1, CODE_WIDTH).float(), ids.reshape(-1)
        counts = torch.bincount(flat_ids, minlength=CODEBOOK_SIZE).float()
        sums = torch.zeros_like(self.vectors).index_add_(0, flat_ids, flat)
        seen = counts > 0
        weight = (1 - self.decay) * counts[seen] / (self.counts[seen] * self.decay + (1 - self.decay) * counts[seen])
        self.vectors[seen] += weight[:, None] * (sums[seen] / counts[seen, None] - self.vectors[seen])
        self.counts.mul_(self.decay).add_(counts, alpha=1 - self.decay)
        lost = (self.counts < 0.02).nonzero()[:, 0]
        if len(lost):
            self.vectors[lost] = flat[torch.randint(len(flat), (len(lost),), generator=generator)]
            self.counts[lost] = 1.0


class CodecTrainer(nn.Module):
    """Everything that is trained together; only the encoder, the codebook and the decoder are kept."""

    def __init__(self, phone_classes: int) -> None:
        """`phone_classes`: how many phone names the teacher uses."""
        super().__init__()
        self.encoder, self.codebook, self.decoder = Encoder(), Codebook(), DecoderNetwork()
        self.embed = nn.Linear(CODE_WIDTH, self.decoder.tokens.embedding_dim)
        self.phones = nn.Linear(CODE_WIDTH, 2 * phone_classes)
        self.reader_in = nn.Linear(FRAMES_PER_TOKEN * TRACKS, 128)
        self.reader = nn.ModuleList(ConvNextBlock(128) for _ in range(2))
        self.reader_out = nn.Linear(128, CODEBOOK_SIZE)

    def read(self, frames: Tensor) -> Tensor:
        """The recoverer in the loop: logits (b, t, CODEBOOK_SIZE) from frames."""
        hidden = self.reader_in(frames.reshape(frames.shape[0], -1, FRAMES_PER_TOKEN * TRACKS))
        for block in self.reader:
            hidden = block(hidden)
        logits: Tensor = self.reader_out(hidden)
        return logits

    def finished_decoder(self) -> DecoderNetwork:
        """The decoder with its token embeddings filled from the codebook."""
        with torch.no_grad():
            self.decoder.tokens.weight.copy_(self.embed(self.codebook.vectors))
        return self.decoder
