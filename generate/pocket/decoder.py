"""The decoder network: speech tokens to the envelope, pitch, voicing and breath of which the vocoder makes sound."""

from torch import Tensor, nn

from .acoustics import CODEBOOK_SIZE, FRAMES_PER_TOKEN, MEL_BANDS, VOICES
from .blocks import ConvNextBlock

TRACKS = MEL_BANDS + 3
"""Per 10 ms frame: mel bands, pitch, voicing (a logit) and breath, each normalised by the voice."""


class DecoderNetwork(nn.Module):
    """Token ids (b, t) and voice (b,) to frames (b, t * 4, TRACKS)."""

    def __init__(self, width: int = 192, blocks: int = 5) -> None:
        """About 1.6 million weights as shipped."""
        super().__init__()
        self.tokens = nn.Embedding(CODEBOOK_SIZE, width)
        self.voices = nn.Embedding(len(VOICES), width)
        self.blocks = nn.ModuleList(ConvNextBlock(width) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.frames = nn.Linear(width, FRAMES_PER_TOKEN * TRACKS)

    def forward(self, ids: Tensor, voice: Tensor) -> Tensor:
        """Frames in normalised units."""
        return self.from_embeddings(self.tokens(ids), voice)

    def from_embeddings(self, embedded: Tensor, voice: Tensor) -> Tensor:
        """As `forward`, from token embeddings (b, t, width): where the codec's training joins in."""
        hidden = embedded + self.voices(voice)[:, None]
        for block in self.blocks:
            hidden = block(hidden)
        frames: Tensor = self.frames(self.norm(hidden))
        return frames.reshape(frames.shape[0], -1, TRACKS)
