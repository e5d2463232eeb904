"""The vocoder of Covo-Audio's decoder: latents at 100 Hz to sound at 24 kHz.

A BigVGAN generator (Lee et al. 2023) with figures and parameter names of the official module `wavegan`
(Tencent/Covo-Audio, commit 710384c): transposed convolutions and residual blocks that see the past alone, around
SnakeBeta activations at twice the rate between 12-tap filters, which see 5 numbers to each side, and a first
convolution that sees 3 latents to each side.

Weight norm is worked out once, at loading: `load_state_dict` takes the official `weight_g` and `weight_v` as well as
plain `weight`, and the module holds plain weights.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checkpoint.expected_keys import FILTER_TAPS
from ..config import VocoderShape

_EDGE_KERNEL = 7
"""Of the first and of the last convolution."""
_TINY = 1e-9
_REACH = FILTER_TAPS // 2 - 1
"""Numbers that an activation sees to each side."""
CHUNK_FRAMES = 2000
"""20 s: some hundred MB in the vocoder at the released size, and 3 % of the work done twice."""


class Vocoder(nn.Module):
    """Latents (b, latent width, frames) to sound (b, 1, frames * hop) in [-1, 1]. Starts with random weights."""

    def __init__(self, shape: VocoderShape) -> None:
        """0.11 billion weights at the released size."""
        super().__init__()
        self.shape = shape
        width, reach = shape.first_width, _EDGE_KERNEL // 2
        self.conv_pre = nn.Conv1d(shape.latent_width, width, _EDGE_KERNEL, padding=reach)
        self.ups = nn.ModuleList()
        self.resblocks = nn.ModuleList()
        for rate, kernel in zip(shape.upsample_rates, shape.upsample_kernels, strict=True):
            # a sequence of one, as the official names have it
            self.ups.append(nn.Sequential(CausalUpsampling(width, width // 2, kernel, stride=rate)))
            width //= 2
            for block_kernel, dilations in zip(shape.resblock_kernels, shape.resblock_dilations, strict=True):
                self.resblocks.append(ResidualBlock(width, block_kernel, dilations))
        self.activation_post = AntiAliasedSnake(width)
        self.conv_post = CausalConv(width, 1, _EDGE_KERNEL)
        self.register_load_state_dict_pre_hook(_fold_weight_norm)  # type: ignore[no-untyped-call]

    def forward(self, latents: Tensor) -> Tensor:
        """All at once; memory grows with the length."""
        hidden = self.conv_pre(latents)
        blocks = len(self.shape.resblock_kernels)
        for stage, upsampling in enumerate(self.ups):
            hidden = upsampling(hidden)
            first, *others = self.resblocks[stage * blocks : (stage + 1) * blocks]
            total = first(hidden)
            for block in others:
                total += block(hidden)
            hidden = total / blocks
        return torch.tanh(self.conv_post(self.activation_post(hidden)))

    def render(self, latents: Tensor, frames: range, chunk_frames: int = CHUNK_FRAMES) -> Tensor:
        """That part of `forward` for one clip of any length (1, latent width, n), in bounded memory.

        `frames` follow one another. Works on chunks, each with the frames that can be heard in it, so that the sound
        (1, 1, len(frames) * hop) is that of the whole.
        """
        before, after = self.reach_frames
        hop = self.shape.hop_samples
        parts = []
        for start in frames[::chunk_frames]:
            first, end = max(0, start - before), min(start + chunk_frames, frames.stop)
            sound = self(latents[..., first : end + after])
            parts.append(sound[..., (start - first) * hop : (end - first) * hop])
        return torch.cat(parts, dim=-1)

    @property
    def reach_frames(self) -> tuple[int, int]:
        """Latent frames before and after a frame that can change its sound: 54 and 13 with the released kernels.

        Counted from kernels and rates, so that nothing is left out. The filters' outer taps are so small that less
        can be measured: with random weights 49 and 9 frames in float64, 33 and 5 above 1e-6 of the peak.
        """
        hop, far = self.shape.hop_samples, 10_000
        low, high = far * hop - (_EDGE_KERNEL - 1) - _REACH, (far + 1) * hop - 1 + _REACH
        for rate, kernel in reversed(list(zip(self.shape.upsample_rates, self.shape.upsample_kernels, strict=True))):
            blocks = list(zip(self.shape.resblock_kernels, self.shape.resblock_dilations, strict=True))
            low -= max(sum((size - 1) * (dilation + 1) + 2 * _REACH for dilation in row) for size, row in blocks)
            high += max(2 * _REACH * len(row) for _, row in blocks)
            low, high = -((kernel - 1 - low) // rate), high // rate
        edge = _EDGE_KERNEL // 2
        return far - (low - edge), high + edge - far


class CausalConv(nn.Conv1d):
    """A convolution (b, c, n) to (b, c', n) that sees the past alone."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, dilation: int = 1) -> None:
        """Random weights."""
        super().__init__(channels_in, channels_out, kernel, dilation=dilation)
        self._past = (kernel - 1) * dilation

    def forward(self, hidden: Tensor) -> Tensor:
        """Zeros stand before the beginning."""
        return super().forward(F.pad(hidden, (self._past, 0)))


class CausalUpsampling(nn.ConvTranspose1d):
    """A transposed convolution (b, c, n) to (b, c', n * stride), whose tail beyond the last number is cut."""

    def forward(self, hidden: Tensor, output_size: list[int] | None = None) -> Tensor:
        """`output_size` belongs to the base class."""
        return super().forward(hidden, output_size)[..., : hidden.shape[-1] * self.stride[0]]


class ResidualBlock(nn.Module):
    """For each dilation: activation, dilated convolution, activation, convolution, and the input added."""

    def __init__(self, width: int, kernel: int, dilations: tuple[int, ...]) -> None:
        """Random weights."""
        super().__init__()
        self.convs1 = nn.ModuleList(CausalConv(width, width, kernel, dilation) for dilation in dilations)
        self.convs2 = nn.ModuleList(CausalConv(width, width, kernel) for _ in dilations)
        self.activations = nn.ModuleList(AntiAliasedSnake(width) for _ in range(2 * len(dilations)))

    def forward(self, hidden: Tensor) -> Tensor:
        """(b, width, n) to the same."""
        pairs = zip(self.convs1, self.convs2, self.activations[::2], self.activations[1::2], strict=True)
        for dilated, plain, first, second in pairs:
            hidden = hidden + plain(second(dilated(first(hidden))))
        return hidden


class AntiAliasedSnake(nn.Module):
    """x + sin^2(a x) / b at twice the rate, between two low-pass filters; a and b are kept as logarithms.

    The filters run on the even and the odd numbers of the doubled rate apart, which leaves out products with the
    zeros between; the ends are continued with their last number.
    """

    def __init__(self, width: int) -> None:
        """Start from a = b = 1, and the filters that BigVGAN has."""
        super().__init__()
        self.act = _SnakeBeta(width)
        self.upsample = _Filter()
        self.downsample = _Downsampling()

    def forward(self, hidden: Tensor) -> Tensor:
        """(b, width, n) to the same."""
        width = hidden.shape[1]
        # taps of the even numbers reach from 3 before to 2 after, those of the odd ones from 2 before to 3 after
        even, odd = torch.unflatten((2 * self.upsample.filter).flip(-1), -1, (-1, 2)).unbind(-1)
        kernels = torch.cat([F.pad(even, (0, 1)), F.pad(odd, (1, 0))])
        side = FILTER_TAPS // 4
        doubled = F.conv1d(F.pad(hidden, (side, side), mode="replicate"), kernels.repeat(width, 1, 1), groups=width)
        doubled = self.act(torch.unflatten(doubled, 1, (width, 2)).mT.flatten(2))
        padded = F.pad(doubled, (_REACH, _REACH + 1), mode="replicate")
        return F.conv1d(padded, self.downsample.lowpass.filter.expand(width, -1, -1), stride=2, groups=width)


class _SnakeBeta(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(width))
        self.beta = nn.Parameter(torch.zeros(width))

    def forward(self, hidden: Tensor) -> Tensor:
        frequency, height = self.alpha.exp()[:, None], (self.beta.exp() + _TINY).reciprocal()[:, None]
        return torch.addcmul(hidden, (hidden * frequency).sin_().square_(), height)


class _Filter(nn.Module):
    filter: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filter", _kaiser_low_pass())


class _Downsampling(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lowpass = _Filter()


def _kaiser_low_pass() -> Tensor:
    """Taps (1, 1, 12) for half of the doubled rate's band: cut-off 0.25, transition 0.6 / 2, as BigVGAN sets them."""
    attenuation_db = 2.285 * (FILTER_TAPS // 2 - 1) * torch.pi * 4 * 0.3 + 7.95
    beta = 0.1102 * (attenuation_db - 8.7) if attenuation_db > 50 else 0.0
    if 21 <= attenuation_db <= 50:
        beta = 0.5842 * (attenuation_db - 21) ** 0.4 + 0.07886 * (attenuation_db - 21)
    window = torch.kaiser_window(FILTER_TAPS, periodic=False, beta=beta)
    taps = window * torch.sinc(0.5 * (torch.arange(FILTER_TAPS) - (FILTER_TAPS - 1) / 2))
    return (taps / taps.sum())[None, None]


def _fold_weight_norm(module: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    """Put `weight` = g * v / |v| in the place of `weight_g` and `weight_v`, |v| over all but the first dimension."""
    for name in [key for key in state if key.startswith(prefix) and key.endswith(".weight_v")]:
        length = name.removesuffix("_v") + "_g"
        if length in state:
            direction = state.pop(name)
            norm = torch.linalg.vector_norm(direction, dim=tuple(range(1, direction.ndim)), keepdim=True)
            state[name.removesuffix("_v")] = direction * (state.pop(length) / norm)
