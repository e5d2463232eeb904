"""How like its recording a copy is, in figures that a card can state."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ....core.records import Float32Array
from .copier import copy_of
from .losses import SpectralLoss
from .network import CopierNetwork
from .spectra import mel_filters, spectrum_of

_WINDOW_SAMPLES, _HOP_SAMPLES, _BANDS, _FMAX_HZ = 1024, 256, 80, 8000
_RANGE_DB = 60.0
"""Bands further than this below the clip's strongest count as being just so far below."""


@dataclass(frozen=True)
class Likeness:
    """Means over clips. The attribute names are the keys of the JSON form."""

    log_mel_distance_db: float
    """Mean absolute difference of 80 mel bands, within 60 dB of the strongest one."""
    spectral_loss: float
    """As trained on: `losses.py`."""
    clips: int


def likeness(network: CopierNetwork, clips: Sequence[Float32Array], seed: int = 0) -> Likeness:
    """Of copies of clips (n,) at 16 kHz. Raises `ValueError` without clips."""
    if not clips:
        raise ValueError("a mean of nothing")
    loss = SpectralLoss()
    distances, losses = [], []
    for clip in clips:
        copied = torch.from_numpy(copy_of(network, clip, seed))[None]
        genuine = torch.from_numpy(np.asarray(clip, np.float32))[None]
        distances.append(log_mel_distance_db(copied, genuine))
        losses.append(float(loss(copied, genuine)))
    return Likeness(float(np.mean(distances)), float(np.mean(losses)), len(clips))


def log_mel_distance_db(made: torch.Tensor, genuine: torch.Tensor) -> float:
    """Of sounds (1, n): mean absolute difference in 80 mel bands."""
    filters = mel_filters(_BANDS, _WINDOW_SAMPLES, _FMAX_HZ)
    ours, theirs = (
        20 * (filters @ spectrum_of(sound, _WINDOW_SAMPLES, _HOP_SAMPLES).abs() + 1e-9).log10()
        for sound in (made, genuine)
    )
    floor = theirs.max() - _RANGE_DB
    return float((ours.clamp(min=floor) - theirs.clamp(min=floor)).abs().mean())
