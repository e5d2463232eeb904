"""Building blocks that several networks share."""

import torch
from torch import Tensor, nn


class FrameBlock(nn.Module):
    """ConvNeXt along time (Liu et al. 2022, arXiv 2201.03545, figure 4; one-dimensional as in Vocos)."""

    def __init__(self, width: int, kernel: int = 7, expansion: int = 3) -> None:
        """`kernel` frames of context, odd; hidden width is `expansion * width`."""
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, expansion * width)
        self.narrow = nn.Linear(expansion * width, width)
        self.scale = nn.Parameter(torch.full((width,), 0.1))

    def forward(self, frames: Tensor, shift: Tensor | None = None) -> Tensor:
        """(b, t, width) -> (b, t, width); `shift` (b, 1, width) is added to the normalised frames."""
        context = self.norm(self.depthwise(frames.transpose(1, 2)).transpose(1, 2))
        if shift is not None:
            context = context + shift
        change: Tensor = self.narrow(nn.functional.gelu(self.widen(context)))
        return frames + self.scale * change


class ResidualUnit(nn.Module):
    """Two convolutions along time, the first dilated, added to the input (the unit of SoundStream and EnCodec)."""

    def __init__(self, width: int, dilation: int, kernel: int = 3) -> None:
        """Length stays."""
        super().__init__()
        self.dilated = nn.Conv1d(width, width, kernel, dilation=dilation, padding=dilation * (kernel // 2))
        self.mix = nn.Conv1d(width, width, 1)

    def forward(self, tracks: Tensor) -> Tensor:
        """(b, width, t) -> (b, width, t)."""
        inner = nn.functional.leaky_relu(self.dilated(nn.functional.leaky_relu(tracks, 0.1)), 0.1)
        change: Tensor = self.mix(inner)
        return tracks + change


class StridedEncoder(nn.Module):
    """Samples to frames by strided convolutions: the widths grow as the rate falls."""

    def __init__(self, strides: tuple[int, ...], first_width: int, out_width: int) -> None:
        """One frame per product of `strides` samples; the width doubles at each stride."""
        super().__init__()
        layers: list[nn.Module] = []
        width = 1
        for number, stride in enumerate(strides):
            wider = first_width * 2**number
            layers += [
                nn.Conv1d(width, wider, 2 * stride, stride=stride, padding=(stride + 1) // 2),
                ResidualUnit(wider, 1),
                ResidualUnit(wider, 3),
            ]
            width = wider
        layers += [nn.LeakyReLU(0.1), nn.Conv1d(width, out_width, 3, padding=1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, samples: Tensor) -> Tensor:
        """(b, n), n a multiple of the hop -> (b, out_width, n // hop)."""
        frames: Tensor = self.layers(samples[:, None])
        return frames
