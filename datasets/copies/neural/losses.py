"""How far a copy is from its recording, in spectra: differences of phase that nobody hears cost nothing."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .spectra import mel_filters, spectrum_of

_FMAX_HZ = 8000
_FLOOR = 1e-4
"""Of a magnitude: about 70 dB below a loud voice's strongest bins."""


@dataclass(frozen=True)
class Resolution:
    """One spectrum: its window, its hop, and the mel bands it is summed in."""

    window_samples: int
    hop_samples: int
    bands: int


RESOLUTIONS = (Resolution(1536, 384, 80), Resolution(768, 192, 64), Resolution(320, 80, 40))


class SpectralLoss(torch.nn.Module):
    """Of several resolutions: L1 of log-mel, L1 of log magnitudes, and spectral convergence.

    Yamamoto et al. 2020, "Parallel WaveGAN", arXiv 1910.11480, equations 4 to 6; log-mel as in HiFi-GAN, arXiv
    2010.05646, equation 6.
    """

    def __init__(self) -> None:
        """Filters of every resolution."""
        super().__init__()
        for number, each in enumerate(RESOLUTIONS):
            filters = mel_filters(each.bands, each.window_samples, _FMAX_HZ)
            self.register_buffer(f"filters{number}", filters, persistent=False)

    def forward(self, made: Tensor, genuine: Tensor) -> Tensor:
        """(b, n) twice -> scalar; about 2 between unrelated speech, 0 between equals."""
        total = made.new_zeros(())
        for number, each in enumerate(RESOLUTIONS):
            filters = self.get_buffer(f"filters{number}")
            ours, theirs = (
                spectrum_of(sound, each.window_samples, each.hop_samples).abs() for sound in (made, genuine)
            )
            mel = ((filters @ ours + _FLOOR).log() - (filters @ theirs + _FLOOR).log()).abs().mean()
            fine = ((ours + _FLOOR).log() - (theirs + _FLOOR).log()).abs().mean()
            convergence = torch.linalg.vector_norm(ours - theirs) / (torch.linalg.vector_norm(theirs) + _FLOOR)
            total = total + 2 * mel + fine / 2 + convergence / 2
        return total / len(RESOLUTIONS)
