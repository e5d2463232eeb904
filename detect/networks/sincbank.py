"""The fixed bank of band-pass filters with which AASIST and RawNet2 begin.

Windowed differences of two sinc functions (SincNet: Ravanelli and Bengio, arXiv 1808.00158) between neighbours of
equally spaced mel frequencies; nothing in it is trained (Tak et al., arXiv 2011.01108, section 3).
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ...core.rates import DETECTOR_RATE_HZ


class SincBank(nn.Module):
    """A convolution with fixed filters; it has no weights, and nothing of it stands in a state dict."""

    filters: Tensor

    def __init__(self, count: int, taps: int) -> None:
        """`count` filters of `taps` samples, an even number made odd so that they are symmetric."""
        super().__init__()
        self.register_buffer("filters", torch.from_numpy(band_pass_filters(count, taps | 1))[:, None], persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """16 kHz samples (b, n) -> (b, count, n - taps + 1)."""
        return functional.conv1d(samples[:, None], self.filters)


def band_pass_filters(count: int, taps: int) -> np.ndarray:
    """Impulse responses, float32 (count, taps), `taps` odd, of bands with edges equally spaced in mel to 8 kHz.

    In single precision, in the order of the original's operations: the released weights expect its rounding.
    """
    edges_hz = _mel_to_hz(np.linspace(0.0, _hz_to_mel(DETECTOR_RATE_HZ / 2), count + 1))
    offsets = np.arange(taps, dtype=np.float32) - taps // 2
    cycles = 2 * edges_hz.astype(np.float64) / DETECTOR_RATE_HZ
    phases = np.stack([np.float32(2 * edge_hz) * offsets / np.float32(DETECTOR_RATE_HZ) for edge_hz in edges_hz])
    low_passes = cycles[:, None] * np.sinc(phases)
    window = np.hamming(taps).astype(np.float32)
    return np.asarray(window * np.diff(low_passes, axis=0).astype(np.float32), dtype=np.float32)


def _hz_to_mel(frequency_hz: float) -> float:
    """O'Shaughnessy's mel scale."""
    return float(2595 * np.log10(1 + frequency_hz / 700))


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))
