"""A codec: strided convolutions, residual vector quantisation, and an inverse Fourier transform at its end.

Encoder and quantiser after Zeghidour et al. 2021, "SoundStream: an end-to-end neural audio codec", arXiv 2107.03312,
and Défossez et al. 2022, "High fidelity neural audio compression" (EnCodec), arXiv 2210.13438; with a decoder of
spectra as in Ji et al. 2024, "WavTokenizer", arXiv 2408.16532.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ....core.cliprecord import SpeechKind
from ....core.rates import DETECTOR_RATE_HZ
from .blocks import FrameBlock, StridedEncoder
from .istft import SpectrumDecoder
from .network import NETWORKS, CopierNetwork, Rehearsal
from .quantisers import ResidualQuantiser
from .spectra import BANDS, LogMel


@dataclass(frozen=True)
class ResidualCodecShape:
    """Numbers of one variant."""

    strides: tuple[int, ...]
    """Their product is the hop."""
    first_width: int
    width: int
    codes: int
    depth: int
    """Codebooks; log2(codes) bits each per frame."""
    least_depth: int
    """A clip is coded with so many to `depth` of them, drawn at random."""
    window_samples: int
    decoder_blocks: int


@NETWORKS.register("residual-codec")
class ResidualCodec(CopierNetwork):
    """Samples and their loudness in bands -> frames -> a random number of codes per frame -> spectrum -> sound."""

    kind: ClassVar[SpeechKind] = "codec"
    family: ClassVar[str] = "neural-residual-codec"
    shape_type: ClassVar[type] = ResidualCodecShape
    variants: ClassVar[Mapping[str, ResidualCodecShape]] = {
        "a": ResidualCodecShape(
            strides=(4, 4, 5, 4), first_width=16, width=192, codes=1024, depth=12, least_depth=5, window_samples=1280,
            decoder_blocks=4,
        ),
        "b": ResidualCodecShape(
            strides=(5, 5, 8), first_width=16, width=160, codes=256, depth=10, least_depth=4, window_samples=800,
            decoder_blocks=4,
        ),
    }  # fmt: skip

    def __init__(self, shape: ResidualCodecShape) -> None:
        """Variant a: 50 frames per second and 2.5 to 6 kb/s; b: 80 and 2.6 to 6.4 kb/s."""
        super().__init__(shape)
        self.hop_samples = math.prod(shape.strides)
        self.mel = LogMel(shape.window_samples, self.hop_samples, DETECTOR_RATE_HZ / 2)
        self.enter = nn.Linear(BANDS, shape.width)
        self.encoder = StridedEncoder(shape.strides, shape.first_width, shape.width)
        self.context = nn.ModuleList(FrameBlock(shape.width, kernel=5) for _ in range(2))
        self.quantiser = ResidualQuantiser(shape.width, shape.codes, shape.depth)
        self.decoder = SpectrumDecoder(shape.width, shape.decoder_blocks, shape.window_samples, self.hop_samples)

    def rehearse(self, samples: Tensor, generator: torch.Generator) -> Rehearsal:
        """As `CopierNetwork.rehearse`; the loss is that of the codebooks, and each row has its own depth."""
        depths = torch.randint(self.shape.least_depth, self.shape.depth + 1, (len(samples),), generator=generator)
        frames, loss = self.quantiser(self._frames(samples), depths)
        return Rehearsal(self.decoder(frames, samples.shape[-1]), loss)

    def copy(self, samples: Tensor, generator: torch.Generator) -> Tensor:
        """As `CopierNetwork.copy`; the number of codebooks is left to chance."""
        depth = int(torch.randint(self.shape.least_depth, self.shape.depth + 1, (), generator=generator))
        ids = self.quantiser.encode(self._frames(samples))
        made: Tensor = self.decoder(self.quantiser.decode(ids[:, :depth]), samples.shape[-1])
        return made

    def _frames(self, samples: Tensor) -> Tensor:
        """(b, n) -> (b, n // hop + 1, width); each frame of the encoder lies around the middle of a mel frame."""
        mel: Tensor = self.mel(samples)
        ahead, total = self.hop_samples // 2, mel.shape[-1] * self.hop_samples
        placed = nn.functional.pad(samples, (ahead, total - ahead - samples.shape[-1]))
        frames: Tensor = self.encoder(placed).transpose(1, 2) + self.enter(mel.transpose(1, 2))
        for block in self.context:
            frames = block(frames)
        return frames
