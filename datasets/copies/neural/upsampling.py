"""A vocoder that raises mel frames to samples step by step, with transposed convolutions.

After Kong, Kim and Bae 2020, "HiFi-GAN: generative adversarial networks for efficient and high fidelity speech
synthesis", arXiv 2010.05646, section 2.2: after each rise, several stacks of dilated convolutions are averaged.
One variant hears pulses at the pitch of the recording at every rate, as in Wang, Takaki and Yamagishi 2019, "Neural
source-filter-based waveform model", arXiv 1810.11946.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ....core.cliprecord import SpeechKind
from .blocks import ResidualUnit
from .network import NETWORKS, CopierNetwork, Rehearsal
from .pitch import pitch_of, pulses
from .spectra import BANDS, LogMel

_NOISE = 0.1
"""Deviation of the noise beside pulses of deviation one."""


@dataclass(frozen=True)
class UpsamplingShape:
    """Numbers of one variant."""

    factors: tuple[int, ...]
    """Of the rises; their product is the hop."""
    window_samples: int
    fmax_hz: int
    width: int
    """At frame rate; halved by each rise, but never below `least_width`."""
    least_width: int
    kernels: tuple[int, ...]
    """Of the stacks that are averaged."""
    pulsed: bool
    """Whether pulses at the pitch go in beside the mel frames."""


class Rise(nn.Module):
    """One transposed convolution, then the mean of a few stacks of dilated convolutions."""

    def __init__(self, come_in: int, out: int, factor: int, kernels: tuple[int, ...]) -> None:
        """Raises the rate by `factor`."""
        super().__init__()
        self.factor = factor
        self.rise = nn.ConvTranspose1d(come_in, out, 2 * factor, stride=factor)
        self.stacks = nn.ModuleList(
            nn.Sequential(*(ResidualUnit(out, dilation, kernel) for dilation in (1, 3))) for kernel in kernels
        )

    def forward(self, tracks: Tensor, source: Tensor | None = None) -> Tensor:
        """(b, come_in, t), and what is added after the rise (b, out, factor * t) -> (b, out, factor * t)."""
        raised = self.rise(nn.functional.leaky_relu(tracks, 0.1))
        ahead = self.factor // 2
        raised = raised[..., ahead : ahead + self.factor * tracks.shape[-1]]
        if source is not None:
            raised = raised + source
        total = self.stacks[0](raised)
        for stack in self.stacks[1:]:
            total = total + stack(raised)
        mean: Tensor = total / len(self.stacks)
        return mean


class RisingDecoder(nn.Module):
    """Frames to samples."""

    def __init__(
        self, come_in: int, width: int, least_width: int, factors: tuple[int, ...], kernels: tuple[int, ...],
        *, pulsed: bool = False,
    ) -> None:  # fmt: skip
        """One rise per factor; `pulsed`: a source goes in after each."""
        super().__init__()
        self.enter = nn.Conv1d(come_in, width, 7, padding=3)
        widths = [max(least_width, width // 2**number) for number in range(len(factors) + 1)]
        self.rises = nn.ModuleList(
            Rise(a, b, factor, kernels) for a, b, factor in zip(widths[:-1], widths[1:], factors, strict=True)
        )
        self.leave = nn.Conv1d(widths[-1], 1, 7, padding=3)
        strides = [math.prod(factors[number + 1 :]) for number in range(len(factors))]
        self.sources = nn.ModuleList(
            nn.Conv1d(1, width, 2 * stride + 1, stride, padding=stride)
            for width, stride in zip(widths[1:], strides, strict=True)
            if pulsed
        )

    def forward(self, frames: Tensor, source: Tensor | None = None) -> Tensor:
        """(b, come_in, t), source (b, hop * t) -> (b, hop * t), within -1 and 1."""
        tracks = self.enter(frames)
        for number, rise in enumerate(self.rises):
            tracks = rise(tracks, None if source is None else self.sources[number](source[:, None]))
        made: Tensor = torch.tanh(self.leave(nn.functional.leaky_relu(tracks, 0.1)).float())[:, 0]
        return made


@NETWORKS.register("upsampling")
class UpsamplingVocoder(CopierNetwork):
    """Mel frames -> rises -> samples."""

    kind: ClassVar[SpeechKind] = "vocoder-copy-synthesis"
    family: ClassVar[str] = "neural-upsampling"
    shape_type: ClassVar[type] = UpsamplingShape
    variants: ClassVar[Mapping[str, UpsamplingShape]] = {
        "a": UpsamplingShape(
            factors=(8, 4, 4, 2), window_samples=1024, fmax_hz=8000, width=192, least_width=16, kernels=(3, 7),
            pulsed=False,
        ),
        "b": UpsamplingShape(
            factors=(5, 5, 4, 2), window_samples=800, fmax_hz=7600, width=128, least_width=12, kernels=(3, 5),
            pulsed=True,
        ),
    }  # fmt: skip

    def __init__(self, shape: UpsamplingShape) -> None:
        """Untrained."""
        super().__init__(shape)
        self.hop_samples = math.prod(shape.factors)
        self.mel = LogMel(shape.window_samples, self.hop_samples, shape.fmax_hz)
        self.decoder = RisingDecoder(
            BANDS, shape.width, shape.least_width, shape.factors, shape.kernels, pulsed=shape.pulsed
        )

    def rehearse(self, samples: Tensor, generator: torch.Generator) -> Rehearsal:
        """As `CopierNetwork.rehearse`; nothing is lost but what the mel bands do not tell."""
        return Rehearsal(self.copy(samples, generator), samples.new_zeros(()))

    def copy(self, samples: Tensor, generator: torch.Generator) -> Tensor:
        """As `CopierNetwork.copy`; the first phase of the pulses is left to chance."""
        mel = self.mel(samples)
        made: Tensor = self.decoder(mel, self._source(samples, mel, generator))
        return made[:, : samples.shape[-1]]

    def _source(self, samples: Tensor, mel: Tensor, generator: torch.Generator) -> Tensor | None:
        """Pulses where there is voice and a little noise everywhere, as loud as the frames: (b, frames * hop)."""
        if not self.shape.pulsed:
            return None
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            pitch_hz, voiced = pitch_of(samples, self.hop_samples)
            count = mel.shape[-1] * self.hop_samples
            sound = pulses(pitch_hz, self.hop_samples, count, generator)
            sound = sound * voiced.repeat_interleave(self.hop_samples, dim=-1)
            sound = sound + _NOISE * torch.randn(sound.shape, generator=generator)
            loudness = self.mel.envelope(mel).square().mean(1).sqrt() * self.shape.window_samples**-0.5
            source: Tensor = sound * loudness.repeat_interleave(self.hop_samples, dim=-1)
        return source
