"""Judges that learn to tell copies from recordings, so that a network learns to sound like a real vocoder.

Multi-period: Kong, Kim and Bae 2020, "HiFi-GAN", arXiv 2010.05646, section 2.3. Multi-resolution: Jang et al. 2021,
"UnivNet", arXiv 2106.07889, section 2.2, on complex spectra as in Défossez et al. 2022, "EnCodec", arXiv 2210.13438.
Hinge losses as in MelGAN, arXiv 1910.06711. Both are far smaller than there: they are trained on one CPU core.
"""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from .levels import LEVEL_RMS
from .spectra import spectrum_of

Judgement = tuple[Tensor, list[Tensor]]
"""Scores, high for genuine, and the features of each layer."""

PERIODS = (2, 3, 5)
WINDOWS = (1024, 400)
_SLOPE = 0.1


def _convolution(come_in: int, out: int, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1)) -> nn.Module:
    padding = (kernel[0] // 2, kernel[1] // 2)
    plain = nn.Conv2d(come_in, out, kernel, stride=stride, padding=padding)
    nn.init.kaiming_normal_(plain.weight, _SLOPE)  # torch's default would let the sound fade from layer to layer
    layer: nn.Module = weight_norm(plain)
    return layer


class _Judge(nn.Module):
    """Convolutions over a picture of the sound."""

    layers: nn.ModuleList
    last: nn.Module

    def picture(self, samples: Tensor) -> Tensor:
        """(b, n) -> (b, channels, height, width)."""
        raise NotImplementedError

    def forward(self, samples: Tensor) -> Judgement:
        """Of sounds (b, n), n at least the longest window."""
        hidden = self.picture(samples / LEVEL_RMS)
        features = []
        for layer in self.layers:
            hidden = nn.functional.leaky_relu(layer(hidden), _SLOPE)
            features.append(hidden)
        return self.last(hidden), features


class PeriodJudge(_Judge):
    """Sees every `period`-th sample as a column."""

    def __init__(self, period: int, width: int = 16) -> None:
        """Widths grow from `width` eightfold."""
        super().__init__()
        self.period = period
        widths = (1, width, 2 * width, 4 * width, 8 * width)
        self.layers = nn.ModuleList(_convolution(a, b, (5, 1), (3, 1)) for a, b in itertools.pairwise(widths))
        self.last = _convolution(widths[-1], 1, (3, 1))

    def picture(self, samples: Tensor) -> Tensor:
        """(b, n) -> (b, 1, n // period, period)."""
        count = samples.shape[-1] // self.period * self.period
        return samples[:, :count].reshape(samples.shape[0], 1, -1, self.period)


class ResolutionJudge(_Judge):
    """Sees a complex spectrum."""

    def __init__(self, window_samples: int, width: int = 16) -> None:
        """Frequency is halved at each of three layers."""
        super().__init__()
        self.window_samples = window_samples
        layers = [_convolution(2, width, (5, 3), (2, 1))]
        layers += [_convolution(width, width, (5, 3), (2, 1)) for _ in range(2)]
        self.layers = nn.ModuleList([*layers, _convolution(width, 2 * width, (3, 3))])
        self.last = _convolution(2 * width, 1, (3, 3))

    def picture(self, samples: Tensor) -> Tensor:
        """(b, n) -> (b, 2, bins, frames), with magnitudes compressed to their square root."""
        spectrum = spectrum_of(samples, self.window_samples, self.window_samples // 4)[:, :-1]
        parts = torch.stack([spectrum.real, spectrum.imag], dim=1)
        power = parts.square().sum(1, keepdim=True) + 1e-6
        return parts * power**-0.25


class Judges(nn.Module):
    """All of them; each training step asks one of either kind, which saves most of the time and loses little."""

    def __init__(self) -> None:
        """About half a million weights."""
        super().__init__()
        self.periods = nn.ModuleList(PeriodJudge(period) for period in PERIODS)
        self.windows = nn.ModuleList(ResolutionJudge(window) for window in WINDOWS)

    def drawn(self, generator: torch.Generator) -> list[nn.Module]:
        """One judge of either kind."""
        return [
            group[int(torch.randint(len(group), (), generator=generator))] for group in (self.periods, self.windows)
        ]


def judges_loss(judges: Sequence[nn.Module], made: Tensor, genuine: Tensor) -> Tensor:
    """What the judges lose by taking one for the other; nothing flows back into `made`."""
    count = len(made)
    total = made.new_zeros(())
    for judge in judges:
        scores, _ = judge(torch.cat([made.detach(), genuine]))
        scores = scores.float()
        total = total + (1 + scores[:count]).relu().mean() + (1 - scores[count:]).relu().mean()
    return total / len(judges)


def fooling_losses(judges: Sequence[nn.Module], made: Tensor, genuine: Tensor) -> tuple[Tensor, Tensor]:
    """What the copies lose by being told from recordings, and how far apart the features are, relative to their size.

    Feature matching: Larsen et al. 2016, arXiv 1512.09300.
    """
    fooling, matching = made.new_zeros(()), made.new_zeros(())
    for judge in judges:
        with torch.no_grad():
            _, wanted = judge(genuine)
        scores, features = judge(made)
        fooling = fooling - scores.float().mean()
        for ours, theirs in zip(features, wanted, strict=True):
            matching = matching + (ours.float() - theirs.float()).abs().mean() / (theirs.float().abs().mean() + 1e-3)
    return fooling / len(judges), matching / len(judges)
