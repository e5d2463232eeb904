"""A vocoder that works at frame rate and leaves the samples to an inverse Fourier transform.

After Siuzdak 2023, "Vocos: closing the gap between time-domain and Fourier-based neural vocoders", arXiv 2306.00814:
ConvNeXt blocks over mel frames, and a head that gives magnitude and phase of every bin.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ....core.cliprecord import SpeechKind
from ....core.rates import DETECTOR_RATE_HZ
from .blocks import FrameBlock
from .network import NETWORKS, CopierNetwork, Rehearsal
from .spectra import BANDS, LogMel, sound_of

_LOUDEST = 100.0
"""Limit on a bin's magnitude over its envelope, as in Vocos: an exponential may run away early in training."""


@dataclass(frozen=True)
class IstftShape:
    """Numbers of one variant."""

    hop_samples: int
    window_samples: int
    fmax_hz: int
    width: int
    blocks: int


class SpectrumHead(nn.Module):
    """Frames to samples: magnitude and phase of each bin by one linear layer, then the inverse transform.

    The magnitude is relative to an envelope that is known already: what is left to learn is fine structure.
    """

    def __init__(self, width: int, window_samples: int, hop_samples: int) -> None:
        """Frames come every `hop_samples`."""
        super().__init__()
        self.hop_samples = hop_samples
        self.bins = nn.Linear(width, window_samples + 2)

    def forward(self, frames: Tensor, count: int, envelope: Tensor) -> Tensor:
        """(b, t, width), envelope (b, bins, t) -> (b, count), count at most about t hops."""
        log_magnitude, phase = self.bins(frames).float().transpose(1, 2).chunk(2, dim=1)
        magnitude = log_magnitude.exp().clamp(max=_LOUDEST) * envelope
        return sound_of(torch.polar(magnitude, phase), self.hop_samples, count)


class SpectrumDecoder(nn.Module):
    """Coded frames to samples: their envelope by one layer, their fine structure by ConvNeXt blocks and a head."""

    def __init__(self, width: int, blocks: int, window_samples: int, hop_samples: int) -> None:
        """Frames come every `hop_samples`."""
        super().__init__()
        self.mel = LogMel(window_samples, hop_samples, DETECTOR_RATE_HZ / 2)
        self.bands = nn.Linear(width, BANDS)
        self.blocks = nn.ModuleList(FrameBlock(width) for _ in range(blocks))
        self.leave = nn.LayerNorm(width)
        self.head = SpectrumHead(width, window_samples, hop_samples)

    def forward(self, frames: Tensor, count: int) -> Tensor:
        """(b, t, width) -> (b, count), count at most about t hops."""
        envelope = self.mel.envelope(self.bands(frames).transpose(1, 2))
        for block in self.blocks:
            frames = block(frames)
        made: Tensor = self.head(self.leave(frames), count, envelope)
        return made


@NETWORKS.register("istft")
class IstftVocoder(CopierNetwork):
    """Mel frames -> ConvNeXt blocks -> spectrum -> sound."""

    kind: ClassVar[SpeechKind] = "vocoder-copy-synthesis"
    family: ClassVar[str] = "neural-istft"
    shape_type: ClassVar[type] = IstftShape
    variants: ClassVar[Mapping[str, IstftShape]] = {
        "a": IstftShape(hop_samples=256, window_samples=1024, fmax_hz=8000, width=256, blocks=5),
        "b": IstftShape(hop_samples=160, window_samples=640, fmax_hz=7600, width=192, blocks=6),
    }

    def __init__(self, shape: IstftShape) -> None:
        """The mel window is that of the head."""
        super().__init__(shape)
        self.mel = LogMel(shape.window_samples, shape.hop_samples, shape.fmax_hz)
        self.enter = nn.Conv1d(BANDS, shape.width, 7, padding=3)
        self.norm = nn.LayerNorm(shape.width)
        self.blocks = nn.ModuleList(FrameBlock(shape.width) for _ in range(shape.blocks))
        self.leave = nn.LayerNorm(shape.width)
        self.head = SpectrumHead(shape.width, shape.window_samples, shape.hop_samples)

    def rehearse(self, samples: Tensor, generator: torch.Generator) -> Rehearsal:
        """As `CopierNetwork.rehearse`; nothing is lost but what the mel bands do not tell."""
        return Rehearsal(self.copy(samples, generator), samples.new_zeros(()))

    def copy(self, samples: Tensor, generator: torch.Generator) -> Tensor:
        """As `CopierNetwork.copy`; nothing is left to chance."""
        mel = self.mel(samples)
        frames = self.norm(self.enter(mel).transpose(1, 2))
        for block in self.blocks:
            frames = block(frames)
        made: Tensor = self.head(self.leave(frames), samples.shape[-1], self.mel.envelope(mel))
        return made
