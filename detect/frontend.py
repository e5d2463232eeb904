"""The front end that lies inside every exported detector graph: 16 kHz samples in, normalised log spectrum out.

Nothing of it may be left to the caller, since a detector that is fed by another front end than it was trained
with is another detector.
"""

import math

import torch
from torch import Tensor, nn

from ..core.rates import DETECTOR_RATE_HZ

FFT_SAMPLES = 512
HOP_SAMPLES = 160
BANDS = 80
LOWEST_BIN = 2
"""High-pass: the bins below 62.5 Hz are left out. A Hann window lets an offset reach bins 0 and 1 only, so
this removes it exactly; an offset was the strongest shortcut found in public collections."""
FLOOR = 1e-6
"""Power floor relative to the clip's mean power (-60 dB): hides dither, bit depth and exact zeros."""


class LogBands(nn.Module):
    """Log power in 80 linear bands from 62.5 to 8000 Hz, level and mean spectrum removed.

    Input: samples (batch, n), n >= 512. Output: (batch, 80, frames), frames = 1 + (n - 512) // 160.
    The level is divided out over the whole clip; the mean over time of each band is subtracted, so that the
    channel's colour carries no information.
    """

    def __init__(self) -> None:
        """Build the fixed analysis matrices."""
        super().__init__()
        self.register_buffer("basis", _windowed_dft(), persistent=False)
        self.register_buffer("bands", _triangles(), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """Give the normalised spectrum; see the class for shapes."""
        log_power = self.log_power(samples)
        return log_power - log_power.mean(dim=2, keepdim=True)

    def log_power(self, samples: Tensor) -> Tensor:
        """Log band powers before the mean spectrum is removed: (batch, 80, frames)."""
        level = samples.square().mean(dim=1, keepdim=True).clamp_min(1e-12).sqrt()
        projected = nn.functional.conv1d((samples / level)[:, None], self.get_buffer("basis"), stride=HOP_SAMPLES)
        real, imaginary = projected.chunk(2, dim=1)
        power = real.square() + imaginary.square()
        return torch.log(torch.einsum("fk,bkt->bft", self.get_buffer("bands"), power) + FLOOR)


def _windowed_dft() -> Tensor:
    """Real and imaginary rows of a Hann-windowed DFT, bins LOWEST_BIN to Nyquist: (2 * bins, 1, 512).

    Scaled so that white noise of unit variance has a mean power of 1 in every bin.
    """
    time = torch.arange(FFT_SAMPLES, dtype=torch.float64)
    bins = torch.arange(LOWEST_BIN, FFT_SAMPLES // 2 + 1, dtype=torch.float64)
    window = 0.5 - 0.5 * torch.cos(2 * math.pi * time / FFT_SAMPLES)
    window = window / window.square().sum().sqrt()
    angle = 2 * math.pi * bins[:, None] * time[None, :] / FFT_SAMPLES
    rows = torch.cat([torch.cos(angle), -torch.sin(angle)]) * window
    return rows[:, None, :].float()


def _triangles() -> Tensor:
    """Overlapping triangles with linearly spaced centres, each of unit sum: (80, bins)."""
    bin_hz = DETECTOR_RATE_HZ / FFT_SAMPLES
    bins_hz = torch.arange(LOWEST_BIN, FFT_SAMPLES // 2 + 1, dtype=torch.float64) * bin_hz
    lowest_hz, highest_hz = (LOWEST_BIN - 1) * bin_hz, DETECTOR_RATE_HZ / 2 + bin_hz
    edges_hz = torch.linspace(lowest_hz, highest_hz, BANDS + 2, dtype=torch.float64)
    left, centre, right = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    rising = (bins_hz - left) / (centre - left)
    falling = (right - bins_hz) / (right - centre)
    weights = torch.minimum(rising, falling).clamp_min(0.0)
    return (weights / weights.sum(dim=1, keepdim=True)).float()
