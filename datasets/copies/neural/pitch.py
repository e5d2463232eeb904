"""Pitch of speech by autocorrelation, and pulses at a pitch.

Boersma 1993, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a sampled
sound": the autocorrelation of a windowed frame is divided by that of its window.
"""

import torch
from torch import Tensor

from ....core.rates import DETECTOR_RATE_HZ

_WINDOW_SAMPLES = 1024
_LOWEST_HZ, _HIGHEST_HZ = 62.5, 400.0
_VOICED = 0.45
"""Least normalised autocorrelation of a voiced frame."""
_COST_OF_LAG = 0.12
"""A peak at the longest lag must be so much higher than one at the shortest: against octave errors."""
_SMOOTHED_FRAMES = 5
_HEARD_HZ = 1000.0
"""Only what lies below is looked at: sharp pulses would miss lags between two samples."""
_HIGHEST_HARMONIC_HZ = 7800.0


def pitch_of(samples: Tensor, hop_samples: int) -> tuple[Tensor, Tensor]:
    """Samples (b, n) -> pitch in hertz and voicing as 0 or 1, each (b, n // hop_samples + 1).

    Frames without voice have the pitch of the last one with it, so that a track never jumps into silence.
    """
    shortest, longest = int(DETECTOR_RATE_HZ / _HIGHEST_HZ), int(DETECTOR_RATE_HZ / _LOWEST_HZ)
    padded = torch.nn.functional.pad(samples, (_WINDOW_SAMPLES // 2, _WINDOW_SAMPLES // 2))
    count = samples.shape[-1] // hop_samples + 1
    frames = padded.unfold(-1, _WINDOW_SAMPLES, hop_samples)[:, :count]
    window = torch.hann_window(_WINDOW_SAMPLES, device=samples.device)
    own = _autocorrelation(window[None])[0]
    found = _autocorrelation((frames - frames.mean(-1, keepdim=True)) * window)
    found = found / (found[..., :1] + 1e-6) / (own / own[0])
    lags = torch.arange(shortest, longest + 1, device=samples.device)
    strength = found[..., shortest : longest + 1]
    favoured = strength - _COST_OF_LAG * (lags - shortest) / (longest - shortest)
    best = favoured.argmax(-1)
    voiced = (strength.gather(-1, best[..., None])[..., 0] > _VOICED).float()
    lag = lags[best] + _offset(found, best + shortest)
    return _smoothed(_held(DETECTOR_RATE_HZ / lag, voiced)), _smoothed(voiced)


def pulses(pitch_hz: Tensor, hop_samples: int, count: int, generator: torch.Generator) -> Tensor:
    """All harmonics of pitch (b, frames) below 7.8 kHz in phase, at a root mean square of one: (b, count)."""
    fine = torch.nn.functional.interpolate(
        pitch_hz[:, None].double(), size=pitch_hz.shape[1] * hop_samples, mode="linear", align_corners=False
    )[:, 0, hop_samples // 2 :]
    fine = torch.nn.functional.pad(fine, (0, max(0, count - fine.shape[-1])), mode="replicate")[:, :count]
    first = torch.rand(len(pitch_hz), 1, generator=generator).double()
    turns = (first + (fine / DETECTOR_RATE_HZ).cumsum(-1)) % 1.0
    harmonics = (_HIGHEST_HARMONIC_HZ / fine).floor()
    # the sum of cos(2 pi k turns) over k = 1 to harmonics, in closed form (Dirichlet's kernel)
    half = (torch.pi * turns).sin()
    near = half.abs() < 1e-6
    kernel = ((2 * harmonics + 1) * torch.pi * turns).sin() / torch.where(near, torch.ones_like(half), half)
    total = torch.where(near, harmonics, (kernel - 1) / 2)
    return (total * (2 / harmonics).sqrt()).float()


def _autocorrelation(frames: Tensor) -> Tensor:
    power = torch.fft.rfft(frames, 2 * frames.shape[-1]).abs().square()
    power[..., int(_HEARD_HZ / DETECTOR_RATE_HZ * 2 * frames.shape[-1]) :] = 0
    both_sides: Tensor = torch.fft.irfft(power)
    return both_sides[..., : frames.shape[-1]]


def _offset(found: Tensor, best: Tensor) -> Tensor:
    """Where the peak of a parabola through a maximum and its neighbours lies, from -0.5 to 0.5."""
    before, at, after = (found.gather(-1, (best + step)[..., None])[..., 0] for step in (-1, 0, 1))
    curvature = (2 * at - before - after).clamp(min=1e-6)
    return ((after - before) / (2 * curvature)).clamp(-0.5, 0.5)


def _held(pitch_hz: Tensor, voiced: Tensor) -> Tensor:
    """The pitch of the latest voiced frame, or before the first one of that."""
    places = torch.arange(pitch_hz.shape[-1], device=pitch_hz.device).expand_as(pitch_hz)
    latest = torch.where(voiced > 0, places, -1).cummax(-1).values
    first = voiced.argmax(-1, keepdim=True)
    return pitch_hz.gather(-1, torch.where(latest < 0, first, latest))


def _smoothed(track: Tensor) -> Tensor:
    """Median over five frames."""
    side = _SMOOTHED_FRAMES // 2
    padded = torch.nn.functional.pad(track[:, None], (side, side), mode="replicate")[:, 0]
    return padded.unfold(-1, _SMOOTHED_FRAMES, 1).median(-1).values
