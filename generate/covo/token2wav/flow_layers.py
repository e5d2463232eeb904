"""The layers of the flow transformer, with the parameter names of the official module `token2latent`.

Each layer norm takes shift and scale from time and speaker, and each branch a gate (Peebles and Xie 2023). All clips
of a batch are of one voice and at one time, so that these are plain vectors, and the norms' own weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import CONV_EMBED_GROUPS, CONV_EMBED_KERNEL, TIME_FEATURES, FlowShape

ROTARY_THETA = 50_000.0
NORM_EPS = 1e-6
_TIME_PERIOD = 10_000.0
_SCALES = (1, 4)
"""Of a block's six modulation vectors: shift, scale and gate of attention, then of the feed-forward layer."""

Span = tuple[int, int]


@dataclass(frozen=True)
class Frames:
    """Clips that lie end to end along time, `t` frames in all, and the rotary angles of each frame in its clip."""

    spans: tuple[Span, ...]
    """First frame and end of each clip."""
    cosine: Tensor
    """(t, 1, 1, head width)"""
    sine: Tensor
    """(t, 1, 1, head width / 2)"""

    @classmethod
    def of(cls, lengths: Sequence[int], frequencies: Tensor, dtype: torch.dtype) -> "Frames":
        """Clips of these lengths, each counted from 0; `frequencies` (head width / 2,) are those of the layers."""
        ends = torch.tensor(lengths).cumsum(0).tolist()
        longest = torch.arange(max(lengths), device=frequencies.device)
        positions = torch.cat([longest[:length] for length in lengths])
        angles = positions[:, None, None, None] * frequencies
        cosine, sine = torch.cat([angles, angles], dim=-1).cos(), angles.sin()
        return cls(tuple(zip([0, *ends[:-1]], ends, strict=True)), cosine.to(dtype), sine.to(dtype))


class TimeEmbedder(nn.Module):
    """Times (e,) from 0 to 1 to (e, width), by way of 128 cosines and 128 sines."""

    def __init__(self, width: int) -> None:
        """Random weights."""
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(TIME_FEATURES, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, times: Tensor) -> Tensor:
        """The embedding of each time."""
        half = TIME_FEATURES // 2
        exponents = torch.arange(half, device=times.device) / half
        angles = times[:, None] * torch.exp(-log(_TIME_PERIOD) * exponents)
        embedded: Tensor = self.mlp(torch.cat([angles.cos(), angles.sin()], dim=-1))
        return embedded


class FlowBlock(nn.Module):
    """Attention and a feed-forward layer, each between a modulated norm and a gate."""

    def __init__(self, shape: FlowShape) -> None:
        """Random weights."""
        super().__init__()
        self.attn = Attention(shape.width, shape.heads)
        self.ffn = _FeedForward(shape.width, shape.ffn_width)
        self.modulation_layer = nn.Sequential(nn.SiLU(), nn.Linear(shape.width, 6 * shape.width))

    def modulation(self, condition: Tensor) -> Tensor:
        """Conditions (e, width) to what `forward` takes (e, 6, width)."""
        vectors: Tensor = torch.unflatten(self.modulation_layer(condition), -1, (6, -1))
        scale = torch.zeros(6, 1, device=vectors.device)
        scale[_SCALES, :] = 1.0
        return vectors + scale

    def forward(self, hidden: Tensor, modulation: Tensor, frames: Frames) -> Tensor:
        """(2, t, width) to the same, under the six vectors of one time (6, width)."""
        shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = modulation
        heard = self.attn(_normed(hidden, scale, shift), frames)
        hidden = torch.addcmul(hidden, gate, heard)
        return torch.addcmul(hidden, ffn_gate, self.ffn(_normed(hidden, ffn_scale, ffn_shift)))


class Attention(nn.Module):
    """Each frame attends to all frames of its own clip. No mask and no bias, so fused kernels apply."""

    def __init__(self, width: int, heads: int) -> None:
        """Random weights."""
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width, bias=False)
        self.o_proj = nn.Linear(width, width)
        self.rotary = _Rotary(width // heads)

    def forward(self, hidden: Tensor, frames: Frames) -> Tensor:
        """(2, t, width) to the same."""
        # one product in place of three: putting the weights together costs far less than it saves
        weight = torch.cat([self.q_proj.weight, self.k_proj.weight, self.v_proj.weight])
        qkv = torch.unflatten(F.linear(hidden, weight), -1, (3, self.heads, -1))
        query, key = (part.transpose(1, 2) for part in _rotated(qkv[:, :, :2], frames).unbind(dim=2))
        value = qkv[:, :, 2].transpose(1, 2)
        heard = [
            F.scaled_dot_product_attention(query[:, :, start:end], key[:, :, start:end], value[:, :, start:end])
            for start, end in frames.spans
        ]
        together = heard[0] if len(heard) == 1 else torch.cat(heard, dim=2)
        out: Tensor = self.o_proj(together.transpose(1, 2).flatten(2))
        return out


class OutputLayer(nn.Module):
    """A modulated norm and the way down to the latents, in float32."""

    def __init__(self, width: int, latent_width: int) -> None:
        """Random weights."""
        super().__init__()
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))
        self.linear = nn.Linear(width, latent_width)

    def modulation(self, condition: Tensor) -> Tensor:
        """Conditions (e, width) to shift and scale (e, 2, width)."""
        vectors: Tensor = torch.unflatten(self.adaLN_modulation(condition), -1, (2, -1))
        return vectors + torch.tensor([[0.0], [1.0]], device=vectors.device)

    def forward(self, hidden: Tensor, modulation: Tensor) -> Tensor:
        """(2, t, width) to float32 (2, t, latent width)."""
        shift, scale = modulation
        latents: Tensor = self.linear(_normed(hidden, scale, shift).float())
        return latents


class ConvEmbed(nn.Module):
    """A grouped convolution over 31 frames, which tells neighbours from others."""

    def __init__(self, width: int) -> None:
        """Random weights."""
        super().__init__()
        reach = CONV_EMBED_KERNEL // 2
        self.conv = nn.Conv1d(width, width, CONV_EMBED_KERNEL, padding=reach, groups=CONV_EMBED_GROUPS)

    def forward(self, hidden: Tensor) -> Tensor:
        """One clip (b, n, width) to the same."""
        convolved: Tensor = self.conv(hidden.mT)
        return convolved.mT

    def after(self, projection: Tensor) -> Tensor:
        """A projection (width, inputs), then this convolution without its bias: (width, kernel * inputs)."""
        kernels = torch.unflatten(self.conv.weight, 0, (CONV_EMBED_GROUPS, -1))
        inner = torch.unflatten(projection, 0, (CONV_EMBED_GROUPS, -1))
        return torch.einsum("goik,giz->gokz", kernels, inner).flatten(0, 1).flatten(1)


class _FeedForward(nn.Module):
    def __init__(self, width: int, inner_width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, inner_width)
        self.fc2 = nn.Linear(inner_width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(hidden), approximate="tanh"))
        return out


class _Rotary(nn.Module):
    inv_freq: Tensor

    def __init__(self, head_width: int) -> None:
        super().__init__()
        self.register_buffer("inv_freq", ROTARY_THETA ** -(torch.arange(0, head_width, 2) / head_width))


def _normed(hidden: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return F.layer_norm(hidden, hidden.shape[-1:], scale, shift, NORM_EPS)


def _rotated(heads: Tensor, frames: Frames) -> Tensor:
    """Turn (2, t, ..., head width): number i of the first half pairs with number i of the second."""
    half = heads.shape[-1] // 2
    turned = heads * frames.cosine
    turned[..., :half].addcmul_(heads[..., half:], frames.sine, value=-1)
    turned[..., half:].addcmul_(heads[..., :half], frames.sine)
    return turned
