"""A source-filter vocoder: a train of pulses at the pitch of the recording and noise, each through a learnt filter.

Sine excitation and neural filter: Wang, Takaki and Yamagishi 2019, "Neural source-filter-based waveform model",
arXiv 1810.11946. Filters per frame of harmonics and noise: Engel et al. 2020, "DDSP", arXiv 2001.04643. Source and
filter on short-time spectra: Li et al. 2023, "HiFTNet", arXiv 2309.09493.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ....core.cliprecord import SpeechKind
from .blocks import FrameBlock
from .network import NETWORKS, CopierNetwork, Rehearsal
from .pitch import pitch_of, pulses
from .spectra import BANDS, LogMel, sound_of, spectrum_of

_LOUDEST = 30.0
_MIDDLE_HZ = 150.0


@dataclass(frozen=True)
class ExcitationShape:
    """Numbers of one variant."""

    hop_samples: int
    window_samples: int
    fmax_hz: int
    width: int
    blocks: int


@NETWORKS.register("excitation")
class ExcitationVocoder(CopierNetwork):
    """Mel frames and pitch -> a complex filter for the pulses and one for the noise -> spectrum -> sound."""

    kind: ClassVar[SpeechKind] = "vocoder-copy-synthesis"
    family: ClassVar[str] = "neural-excitation"
    shape_type: ClassVar[type] = ExcitationShape
    variants: ClassVar[Mapping[str, ExcitationShape]] = {
        "a": ExcitationShape(hop_samples=160, window_samples=640, fmax_hz=8000, width=192, blocks=4),
        "b": ExcitationShape(hop_samples=128, window_samples=512, fmax_hz=7600, width=160, blocks=4),
    }

    def __init__(self, shape: ExcitationShape) -> None:
        """The mel window is that of the filters."""
        super().__init__(shape)
        self.mel = LogMel(shape.window_samples, shape.hop_samples, shape.fmax_hz)
        self.enter = nn.Conv1d(BANDS + 2, shape.width, 5, padding=2)
        self.norm = nn.LayerNorm(shape.width)
        self.blocks = nn.ModuleList(FrameBlock(shape.width) for _ in range(shape.blocks))
        self.leave = nn.LayerNorm(shape.width)
        self.filters = nn.Linear(shape.width, 3 * (shape.window_samples // 2 + 1))

    def rehearse(self, samples: Tensor, generator: torch.Generator) -> Rehearsal:
        """As `CopierNetwork.rehearse`; nothing is lost but what pitch and mel bands do not tell."""
        return Rehearsal(self.copy(samples, generator), samples.new_zeros(()))

    def copy(self, samples: Tensor, generator: torch.Generator) -> Tensor:
        """As `CopierNetwork.copy`; the noise and the first phase of the pulses are left to chance."""
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            pitch_hz, voiced = pitch_of(samples, self.shape.hop_samples)
            source = pulses(pitch_hz, self.shape.hop_samples, samples.shape[-1], generator)
            noise = torch.randn(samples.shape, generator=generator)
            shape = self.shape.window_samples, self.shape.hop_samples
            pulsed, noisy = spectrum_of(source, *shape), spectrum_of(noise, *shape)
            scale = self.shape.window_samples**-0.5  # a white sound of deviation one then has bins near one
        mel = self.mel(samples)
        known = torch.stack([(pitch_hz / _MIDDLE_HZ).log(), voiced], dim=1)
        frames = self.norm(self.enter(torch.cat([mel, known], dim=1)).transpose(1, 2))
        for block in self.blocks:
            frames = block(frames)
        of_pulses, phase, of_noise = self.filters(self.leave(frames)).float().transpose(1, 2).chunk(3, dim=1)
        envelope = self.mel.envelope(mel) * scale
        spectrum = torch.polar(envelope * of_pulses.exp().clamp(max=_LOUDEST), phase) * pulsed
        spectrum = spectrum + envelope * of_noise.exp().clamp(max=_LOUDEST) * noisy
        return sound_of(spectrum, self.shape.hop_samples, samples.shape[-1])
