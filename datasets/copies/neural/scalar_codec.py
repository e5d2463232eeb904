"""A codec with finite scalar quantisation and an inverse Fourier transform at its end.

Quantiser: Mentzer et al. 2023, arXiv 2309.15505. Scalar codes for speech: Yang et al. 2024, "SimpleSpeech" (SQ-Codec),
arXiv 2406.02328. Spectra in, spectra out: Siuzdak 2023, "Vocos", arXiv 2306.00814.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ....core.cliprecord import SpeechKind
from .blocks import FrameBlock
from .istft import SpectrumDecoder
from .network import NETWORKS, CopierNetwork, Rehearsal
from .quantisers import ScalarQuantiser
from .spectra import BANDS, LogMel, spectrum_of

_FMAX_HZ = 8000


@dataclass(frozen=True)
class ScalarCodecShape:
    """Numbers of one variant."""

    hop_samples: int
    window_samples: int
    width: int
    encoder_blocks: int
    decoder_blocks: int
    numbers: int
    """Per frame, each with log2(levels) bits."""
    levels: int
    """Odd."""


@NETWORKS.register("scalar-codec")
class ScalarCodec(CopierNetwork):
    """Complex spectrum -> ConvNeXt blocks -> rounded numbers -> ConvNeXt blocks -> spectrum -> sound."""

    kind: ClassVar[SpeechKind] = "codec"
    family: ClassVar[str] = "neural-scalar-codec"
    shape_type: ClassVar[type] = ScalarCodecShape
    variants: ClassVar[Mapping[str, ScalarCodecShape]] = {
        "a": ScalarCodecShape(
            hop_samples=200, window_samples=800, width=224, encoder_blocks=2, decoder_blocks=4, numbers=16, levels=7
        ),
        "b": ScalarCodecShape(
            hop_samples=320, window_samples=1280, width=256, encoder_blocks=3, decoder_blocks=4, numbers=32, levels=5
        ),
    }

    def __init__(self, shape: ScalarCodecShape) -> None:
        """Variant a: 3.6 kb/s; b: 3.7 kb/s."""
        super().__init__(shape)
        self.mel = LogMel(shape.window_samples, shape.hop_samples, _FMAX_HZ)
        self.enter = nn.Linear(shape.window_samples + 2 + BANDS, shape.width)
        self.encoder = nn.ModuleList(FrameBlock(shape.width) for _ in range(shape.encoder_blocks))
        self.quantiser = ScalarQuantiser(shape.width, shape.numbers, shape.levels)
        self.decoder = SpectrumDecoder(shape.width, shape.decoder_blocks, shape.window_samples, shape.hop_samples)

    def rehearse(self, samples: Tensor, generator: torch.Generator) -> Rehearsal:
        """As `CopierNetwork.rehearse`; rounding has no loss of its own."""
        made = self.decoder(self.quantiser(self._frames(samples)), samples.shape[-1])
        return Rehearsal(made, samples.new_zeros(()))

    def copy(self, samples: Tensor, generator: torch.Generator) -> Tensor:
        """As `CopierNetwork.copy`, through whole numbers; nothing is left to chance."""
        ids = self.quantiser.encode(self._frames(samples))
        made: Tensor = self.decoder(self.quantiser.decode(ids), samples.shape[-1])
        return made

    def _frames(self, samples: Tensor) -> Tensor:
        """(b, n) -> (b, t, width): of log-mel bands for loudness, and of the spectrum's cube root for phase."""
        spectrum = spectrum_of(samples, self.shape.window_samples, self.shape.hop_samples)
        parts = torch.cat([spectrum.real, spectrum.imag], dim=1)
        power = spectrum.abs().square().repeat(1, 2, 1) + 1e-6
        known = torch.cat([self.mel(samples), parts * power ** (-1 / 3)], dim=1)
        frames: Tensor = self.enter(known.transpose(1, 2))
        for block in self.encoder:
            frames = block(frames)
        return frames
