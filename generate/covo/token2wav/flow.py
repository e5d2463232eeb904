"""The flow matching transformer of Covo-Audio's decoder: speech tokens to a velocity field over latent frames.

Figures and parameter names are those of the official module `token2latent` (Tencent/Covo-Audio, commit 710384c):
a diffusion transformer (`flow_layers.py`) over all frames of the prompt and of the clip.

Clips of one voice are laid end to end along time: there is no padding that could be seen, each clip attends to itself
alone, and the convolution's windows stop at its ends. What does not change from one evaluation to the next is worked
out once per decode (`FlowPlan`), exact up to rounding, since each of these steps is linear in its parts:

- the token features, and their and the prompt latents' share of `transformer_input_proj` and of the convolution;
- the speaker's share of `cond_proj`, the embedding of every time, and all layers' shifts, scales and gates.

What can NOT be shared exactly is the prompt's way through the layers. Attention runs in both directions and the
prompt's own noisy latents move, so its keys and values differ in every evaluation and for every clip.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import CONV_EMBED_KERNEL, FlowShape
from .flow_layers import ConvEmbed, FlowBlock, Frames, OutputLayer, Span, TimeEmbedder


@dataclass(frozen=True)
class FlowClip:
    """One clip's conditions: `features` (n, width) of `FlowTransformer.token_features`, `known` (n, latent width).

    `known` holds the normalised latents of the voice prompt, and zeros where latents are to be made.
    """

    features: Tensor
    known: Tensor


@dataclass(frozen=True)
class Modulation:
    """Shifts, scales (1 added) and gates at one time: `blocks` (layers, 6, width) and `output` (2, width)."""

    blocks: Tensor
    output: Tensor


@dataclass(frozen=True)
class FlowPlan:
    """What all evaluations of one decode share. `t` frames of all clips lie end to end."""

    frames: Frames
    projected: Tensor
    """(2, t, width): with and without tokens."""
    convolved: Tensor
    """(2, t, width): the same after the convolution."""
    windows: Tensor
    """(t, kernel): frames under the convolution; index t stands for none."""
    noisy_projection: Tensor
    """(width, latent width)"""
    noisy_convolution: Tensor
    """(width, kernel * latent width): projection, then convolution."""
    modulations: tuple[Modulation, ...]
    """One for each evaluation."""


class FlowTransformer(nn.Module):
    """Velocity of the latents (t, latent width) with and without the tokens. Starts with random weights."""

    def __init__(self, shape: FlowShape) -> None:
        """0.25 billion weights at the released size."""
        super().__init__()
        self.shape = shape
        width, factor = shape.width, shape.upsample_factor
        self.token_embedding = nn.Embedding(shape.token_vocab_size, shape.token_width)
        self.token_proj = nn.Sequential(
            nn.Linear(shape.token_width, width),
            nn.ConvTranspose1d(width, width, 2 * factor, stride=factor, padding=factor // 2),
        )
        self.transformer_input_proj = nn.Linear(width + 2 * shape.latent_width, width)
        self.cond_proj = nn.Linear(width + shape.speaker_width, width)
        self.conv_embed = ConvEmbed(width)
        self.time_embedder = TimeEmbedder(width)
        self.blocks = nn.ModuleList(FlowBlock(shape) for _ in range(shape.layers))
        self.output_layer = OutputLayer(width, shape.latent_width)

    @property
    def compute_dtype(self) -> torch.dtype:
        """What the layers calculate in."""
        return self._layers[0].ffn.fc1.weight.dtype

    def set_compute_dtype(self, dtype: torch.dtype) -> None:
        """Hold the layers' large matrices in `dtype`; time, modulation, input and output stay in float32."""
        for block in self._layers:
            for layer in (block.attn.q_proj, block.attn.k_proj, block.attn.v_proj, block.attn.o_proj, block.ffn):
                layer.to(dtype)

    @property
    def _layers(self) -> list[FlowBlock]:
        return cast("list[FlowBlock]", list(self.blocks))

    def token_features(self, ids: Tensor) -> Tensor:
        """Token ids (n,), -1 for no token, to one row for each latent frame (n * factor, width)."""
        embedded = self.token_embedding(ids.clamp(min=0)) * (ids >= 0)[:, None]
        projected = self.token_proj[0](embedded)
        upsampled: Tensor = self.token_proj[1](projected.T[None])
        return upsampled[0].T

    def plan(self, clips: Sequence[FlowClip], speaker: Tensor, times: Tensor) -> FlowPlan:
        """Work out what the evaluations at `times` (e,) share; `speaker` (speaker width) is that of all clips."""
        dtype = self.compute_dtype
        frames = Frames.of([len(clip.features) for clip in clips], self._layers[0].attn.rotary.inv_freq, dtype)
        widths = [self.shape.width, self.shape.latent_width, self.shape.latent_width]
        from_tokens, from_known, from_noisy = torch.split(self.transformer_input_proj.weight, widths, dim=1)
        known = F.linear(torch.cat([clip.known for clip in clips]), from_known, self.transformer_input_proj.bias)
        tokens = F.linear(torch.cat([clip.features for clip in clips]), from_tokens)
        projected = torch.stack([known + tokens, known])
        convolved = torch.cat([self.conv_embed(projected[:, start:end]) for start, end in frames.spans], dim=1)
        return FlowPlan(
            frames=frames,
            projected=projected.to(dtype),
            convolved=convolved.to(dtype),
            windows=_windows(frames.spans).to(speaker.device),
            noisy_projection=from_noisy.to(dtype),
            noisy_convolution=self.conv_embed.after(from_noisy).to(dtype),
            modulations=self._modulations(times, speaker),
        )

    def velocities(self, plan: FlowPlan, state: Tensor, evaluation: int) -> Tensor:
        """Velocity at the plan's time number `evaluation`: float32 (2, t, latent width), with and without tokens.

        `state` (t, latent width) are the noisy latents of all clips, prompts included.
        """
        noisy = state.to(self.compute_dtype)
        hidden = plan.projected + F.linear(noisy, plan.noisy_projection)
        windows = F.pad(noisy, (0, 0, 0, 1))[plan.windows].flatten(1)
        hidden = hidden + F.gelu(plan.convolved + F.linear(windows, plan.noisy_convolution))
        modulation = plan.modulations[evaluation]
        for block, vectors in zip(self._layers, modulation.blocks, strict=True):
            hidden = block(hidden, vectors, plan.frames)
        velocities: Tensor = self.output_layer(hidden, modulation.output)
        return velocities

    def _modulations(self, times: Tensor, speaker: Tensor) -> tuple[Modulation, ...]:
        widths = [self.shape.width, self.shape.speaker_width]
        time_weight, speaker_weight = torch.split(self.cond_proj.weight, widths, dim=1)
        from_speaker = F.linear(speaker, speaker_weight, self.cond_proj.bias)
        condition = F.linear(self.time_embedder(times.to(speaker.device)), time_weight) + from_speaker
        blocks = torch.stack([block.modulation(condition) for block in self._layers], dim=1)
        output = self.output_layer.modulation(condition)
        dtype = self.compute_dtype
        return tuple(map(Modulation, blocks.to(dtype).unbind(), output.to(dtype).unbind()))


def _windows(spans: Sequence[Span]) -> Tensor:
    """For each frame the frames under the convolution's kernel; the number of all frames stands for none."""
    offsets = torch.arange(CONV_EMBED_KERNEL) - CONV_EMBED_KERNEL // 2
    frames = spans[-1][1]
    windows = torch.arange(frames)[:, None] + offsets
    first = torch.cat([torch.full((end - start,), start) for start, end in spans])[:, None]
    end = torch.cat([torch.full((end - start,), end) for start, end in spans])[:, None]
    return windows.masked_fill((windows < first) | (windows >= end), frames)
