"""A vocoder that turns noise into a spectrum in a few steps, along a flow that it has learnt.

Conditional flow matching: Lipman et al. 2023, "Flow matching for generative modeling", arXiv 2210.02747, straight
paths as in Liu et al. 2022, "Rectified flow", arXiv 2209.03003; on complex spectra of speech as in Liu, Dai and Wu
2024, "RFWave", arXiv 2403.05010. Noise and spectrum are both divided by the envelope that the mel bands tell, after the
idea of Lee et al. 2021, "PriorGrad", arXiv 2106.06406: what is left to learn is fine structure.
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

_NOISE = 0.8
"""Deviation of real and imaginary part at the start of the flow; about that of the spectrum over its envelope."""
_TIME_WAVES = 32
_LEAST_PULSES = 0.05
"""Added to magnitudes of pulses before their logarithm, which is about -1 in the mean."""


@dataclass(frozen=True)
class FlowShape:
    """Numbers of one variant."""

    hop_samples: int
    window_samples: int
    fmax_hz: int
    width: int
    blocks: int
    steps: int
    """Of the midpoint method, from noise to spectrum; each asks the network twice. Euler's would lose loudness."""
    pulsed: bool
    """Whether the flow hears pulses at the pitch of the recording."""


@NETWORKS.register("flow")
class FlowVocoder(CopierNetwork):
    """Noise and mel frames -> a few steps -> spectrum -> sound."""

    kind: ClassVar[SpeechKind] = "vocoder-copy-synthesis"
    family: ClassVar[str] = "neural-flow"
    shape_type: ClassVar[type] = FlowShape
    variants: ClassVar[Mapping[str, FlowShape]] = {
        "a": FlowShape(hop_samples=160, window_samples=640, fmax_hz=8000, width=288, blocks=6, steps=4, pulsed=False),
        "b": FlowShape(hop_samples=200, window_samples=800, fmax_hz=7600, width=256, blocks=6, steps=3, pulsed=True),
    }

    def __init__(self, shape: FlowShape) -> None:
        """The mel window is that of the spectrum."""
        super().__init__(shape)
        self.mel = LogMel(shape.window_samples, shape.hop_samples, shape.fmax_hz)
        self.bins = shape.window_samples // 2 + 1
        self.enter = nn.Linear((3 if shape.pulsed else 2) * self.bins + BANDS, shape.width)
        self.time = nn.Sequential(nn.Linear(2 * _TIME_WAVES, shape.width), nn.GELU())
        self.shifts = nn.ModuleList(nn.Linear(shape.width, shape.width) for _ in range(shape.blocks))
        self.blocks = nn.ModuleList(FrameBlock(shape.width) for _ in range(shape.blocks))
        self.leave = nn.LayerNorm(shape.width)
        self.velocity = nn.Linear(shape.width, (4 if shape.pulsed else 3) * self.bins)
        nn.init.zeros_(self.velocity.weight)  # at first a flow to noise of the right envelope: whispered speech
        nn.init.zeros_(self.velocity.bias)

    def rehearse(self, samples: Tensor, generator: torch.Generator) -> Rehearsal:
        """No sound: the loss is that of the velocities, on the straight way from noise to the spectrum."""
        known, envelope = self._conditions(samples, generator)
        spectrum = spectrum_of(samples, self.shape.window_samples, self.shape.hop_samples)
        wanted = torch.cat([spectrum.real, spectrum.imag], dim=1) / envelope.repeat(1, 2, 1)
        wanted = wanted.clamp(-8, 8).transpose(1, 2)
        noise = self._noise(samples, generator)
        moment = torch.rand(len(samples), 1, 1, generator=generator)
        velocity = self._velocity((1 - moment) * noise + moment * wanted, known, moment)
        loudness = envelope.repeat(1, 2, 1).transpose(1, 2).sqrt()
        weight = loudness / loudness.mean()  # what is hardly heard counts less
        return Rehearsal(None, (weight * (velocity - (wanted - noise)).square()).mean())

    def copy(self, samples: Tensor, generator: torch.Generator) -> Tensor:
        """As `CopierNetwork.copy`; the noise is left to chance."""
        known, envelope = self._conditions(samples, generator)
        state = self._noise(samples, generator)
        stride = 1 / self.shape.steps
        for step in range(self.shape.steps):
            moment = torch.full((len(samples), 1, 1), step * stride)
            halfway = state + self._velocity(state, known, moment) * stride / 2
            state = state + self._velocity(halfway, known, moment + stride / 2) * stride
        real, imaginary = (state.transpose(1, 2) * envelope.repeat(1, 2, 1)).chunk(2, dim=1)
        return sound_of(torch.complex(real, imaginary), self.shape.hop_samples, samples.shape[-1])

    def _noise(self, samples: Tensor, generator: torch.Generator) -> Tensor:
        """The start of the flow (b, t, 2 bins): the spectrum of white noise, since no sound has just any spectrum."""
        sound = torch.randn(samples.shape, generator=generator)
        spectrum = spectrum_of(sound, self.shape.window_samples, self.shape.hop_samples)
        deviation = (3 / 16 * self.shape.window_samples) ** 0.5  # of either part, under a Hann window
        noise: Tensor = _NOISE / deviation * torch.cat([spectrum.real, spectrum.imag], dim=1).transpose(1, 2)
        return noise

    def _conditions(self, samples: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """What the flow is told of each frame (b, t, numbers), and the envelope (b, bins, t) of the mel bands."""
        mel: Tensor = self.mel(samples)
        known = mel
        if self.shape.pulsed:
            with torch.no_grad(), torch.autocast("cpu", enabled=False):
                pitch_hz, voiced = pitch_of(samples, self.shape.hop_samples)
                source = pulses(pitch_hz, self.shape.hop_samples, samples.shape[-1], generator)
                spectrum = spectrum_of(source, self.shape.window_samples, self.shape.hop_samples)
                spectrum = spectrum * voiced[:, None] * self.shape.window_samples**-0.5
            known = torch.cat([mel, (spectrum.abs() + _LEAST_PULSES).log() + 1], dim=1)
        return known.transpose(1, 2), self.mel.envelope(mel)

    def _velocity(self, state: Tensor, known: Tensor, moment: Tensor) -> Tensor:
        """Where the flow goes from `state` (b, t, 2 bins) at `moment` (b, 1, 1), 0 at noise and 1 at the spectrum."""
        waves = moment * torch.pi * torch.arange(1, _TIME_WAVES + 1)
        when = self.time(torch.cat([waves.sin(), waves.cos()], dim=-1))
        frames = self.enter(torch.cat([state, known], dim=-1))
        for block, shift in zip(self.blocks, self.shifts, strict=True):
            frames = block(frames, shift(when))
        found: Tensor = self.velocity(self.leave(frames)).float()
        added, gain = found[..., : 2 * self.bins], found[..., 2 * self.bins : 3 * self.bins]
        if self.shape.pulsed:
            gain = gain + found[..., 3 * self.bins :] * known[..., BANDS:]
        # between noises of one deviation this multiple of the state is best; the network adds what makes it speech
        of_noise = (2 * moment - 1) / (moment.square() + (1 - moment).square())
        return (of_noise + gain.repeat(1, 1, 2)) * state + added
