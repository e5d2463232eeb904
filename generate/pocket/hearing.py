"""What a recoverer hears: log-mel frames that forget level and channel, but not the voice's movements."""

import torch
from torch import Tensor, nn

from .acoustics import HOP_SAMPLES, mel_filters

BANDS = 80
_FFT_SAMPLES = 512
_WINDOW_SAMPLES = 400
_NORMALISED_OVER_FRAMES = 601
"""Level and channel are measured over 6 s around each frame, so that a splice does not spoil what is far from it."""
_FLOOR = 1e-5
"""Of the loudest local energy: -50 dB, below which a frame is silence."""


class Hearing(nn.Module):
    """Samples (b, n) at 16 kHz to normalised log-mel (b, n // 160, BANDS). Gain has no effect; nothing is learned."""

    filters: Tensor
    window: Tensor

    def __init__(self) -> None:
        """Filters and window are rebuilt, not stored with the weights."""
        super().__init__()
        filters = torch.from_numpy(mel_filters(_FFT_SAMPLES // 2 + 1, BANDS)).T.contiguous()
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("window", torch.hann_window(_WINDOW_SAMPLES), persistent=False)

    @torch.no_grad()
    def forward(self, samples: Tensor) -> Tensor:
        """One frame per 10 ms, the first centred 5 ms into the sound."""
        frames = samples.shape[1] // HOP_SAMPLES
        before = (_FFT_SAMPLES - HOP_SAMPLES) // 2
        padded = nn.functional.pad(samples, (before, _FFT_SAMPLES))
        spectrum = torch.stft(
            padded, _FFT_SAMPLES, HOP_SAMPLES, _WINDOW_SAMPLES, self.window, center=False, return_complex=True
        )
        power = spectrum[:, :, :frames].abs().square().transpose(1, 2) @ self.filters
        energy = power.mean(-1)
        loud = _local(energy.square()).sqrt() + 1e-12
        log_mel = torch.log(power + _FLOOR * loud[..., None]) - torch.log(loud)[..., None]
        weight = (energy / (energy + 1e-2 * loud))[..., None]
        mean = _local_bands(log_mel * weight) / (_local_bands(weight) + 1e-6)
        return (log_mel - mean) / 2.2


def _local(values: Tensor) -> Tensor:
    """Mean of (b, t) over the window around each frame, the ends not padded."""
    return _local_bands(values[..., None])[..., 0]


def _local_bands(values: Tensor) -> Tensor:
    half = _NORMALISED_OVER_FRAMES // 2
    padded = nn.functional.pad(values.cumsum(1), (0, 0, 1, 0))
    index = torch.arange(values.shape[1], device=values.device)
    low, high = (index - half).clamp(min=0), (index + half + 1).clamp(max=values.shape[1])
    return (padded[:, high] - padded[:, low]) / (high - low)[:, None]
