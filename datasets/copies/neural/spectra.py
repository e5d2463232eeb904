"""Spectra of sound and sound of spectra, for any length, with gradients."""

import math

import torch
from torch import Tensor, nn

from ....core.rates import DETECTOR_RATE_HZ

BANDS = 80
"""Mel bands of every vocoder here."""
_FLOOR = 1e-3
"""Added to the magnitudes of bands: about the noise of 16 bits."""
_MEAN, _DEVIATION = -4.0, 2.5
"""Of natural-log mel magnitudes of speech, roughly; the networks want numbers near one."""


def spectrum_of(samples: Tensor, window_samples: int, hop_samples: int) -> Tensor:
    """Samples (b, n) -> complex (b, window_samples // 2 + 1, n // hop_samples + 1); frame k is centred on k hops."""
    window = torch.hann_window(window_samples, device=samples.device)
    return torch.stft(
        samples.float(), window_samples, hop_samples, window=window, pad_mode="constant", return_complex=True
    )


def sound_of(spectrum: Tensor, hop_samples: int, count: int) -> Tensor:
    """The inverse of `spectrum_of`: complex (b, bins, frames) -> samples (b, count)."""
    window_samples = 2 * (spectrum.shape[1] - 1)
    window = torch.hann_window(window_samples, device=spectrum.device)
    return torch.istft(spectrum, window_samples, hop_samples, window=window, length=count)


def mel_filters(bands: int, window_samples: int, fmax_hz: float) -> Tensor:
    """Triangles of height one (bands, window_samples // 2 + 1), evenly spaced in mel = 2595 log10(1 + hz / 700).

    The scale of O'Shaughnessy 1987 as HTK has it.
    """
    top = 2595 * math.log10(1 + fmax_hz / 700)
    edges_hz = 700 * (10 ** (torch.linspace(0, top, bands + 2) / 2595) - 1)
    hz = torch.linspace(0, DETECTOR_RATE_HZ / 2, window_samples // 2 + 1)
    lower, centre, upper = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    filters = torch.minimum((hz - lower) / (centre - lower), (upper - hz) / (upper - centre)).clamp(min=0)
    nearest = torch.nn.functional.one_hot((centre - hz).abs().argmin(1), len(hz))
    return torch.maximum(filters, nearest * (filters.sum(1, keepdim=True) == 0))  # none is empty


class LogMel(nn.Module):
    """Log magnitudes in mel bands, brought to mean 0 and deviation 1 of speech, roughly."""

    filters: Tensor
    spread: Tensor

    def __init__(self, window_samples: int, hop_samples: int, fmax_hz: float) -> None:
        """`BANDS` bands from 0 to `fmax_hz`."""
        super().__init__()
        self.window_samples, self.hop_samples = window_samples, hop_samples
        filters = mel_filters(BANDS, window_samples, fmax_hz)
        self.register_buffer("filters", filters, persistent=False)
        # every bin is a mean of the bands that it lies in; bins beyond the first and the last are as strong as these
        shares = filters.clone()
        shares[0, : filters.argmax(1)[0]] = 1.0
        shares[-1, filters.argmax(1)[-1] :] = 1.0
        spread = shares / shares.sum(0) / filters.sum(1, keepdim=True)
        self.register_buffer("spread", spread.T, persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """(b, n) -> (b, bands, n // hop_samples + 1)."""
        magnitudes = spectrum_of(samples, self.window_samples, self.hop_samples).abs()
        with torch.autocast(samples.device.type, enabled=False):
            bands = self.filters @ magnitudes
        return ((bands + _FLOOR).log() - _MEAN) / _DEVIATION

    def envelope(self, bands: Tensor) -> Tensor:
        """Magnitudes that `bands` (b, bands, frames) tell: (b, window_samples // 2 + 1, frames), no harmonics in it."""
        with torch.autocast(bands.device.type, enabled=False):
            magnitudes = (bands.float() * _DEVIATION + _MEAN).exp()
            return self.spread @ magnitudes
