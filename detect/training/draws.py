"""What is drawn at random in a step: by seed, step and process alone, not by what was drawn before.

So a training that was killed goes on exactly as it would have, without the state of any generator.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .batch import Batch
from .recipe import TrainingRecipe


@contextlib.contextmanager
def own_random_numbers(device: torch.device) -> Iterator[None]:
    """Leave torch's generators as they were found."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def seed_of(seed: int, *place: int) -> int:
    """One number of 63 bits for a place in the training."""
    return int(np.random.SeedSequence([seed, *place]).generate_state(1, np.uint64)[0]) >> 1


@dataclass(frozen=True)
class Mixture:
    """Some of another row in each row (arXiv 1710.09412); a row keeps the larger share."""

    share: Tensor
    """(b,) of the row itself, from 0.5 to 1."""
    partner: Tensor
    """(b,) int64: the row that the rest is taken from."""

    def of(self, values: Tensor) -> Tensor:
        """The same mixture of any values (b, ...)."""
        share = self.share.to(values).view(-1, *[1] * (values.ndim - 1))
        return share * values + (1.0 - share) * values[self.partner.to(values.device)]


def draw_mixture(batch: Batch, recipe: TrainingRecipe, seed: int) -> Mixture | None:
    """What is mixed with what; None: nothing. Rows of a pair stay as they are where pairs are compared."""
    if not recipe.mixup:
        return None
    rng = np.random.default_rng(seed)
    count = len(batch.is_spoof)
    share = torch.from_numpy(rng.beta(recipe.mixup, recipe.mixup, size=count)).float()
    share = torch.maximum(share, 1.0 - share)
    if recipe.pair_weight:
        share[batch.pair >= 0] = 1.0
    return Mixture(share, torch.from_numpy(rng.permutation(count)))


def mask_spectra(spectra: Tensor, bands: int, frames: int) -> Tensor:
    """Spectra (b, bands, frames) with two random stretches of either axis at 0, drawn from torch's generator.

    Park et al., "SpecAugment" (arXiv 1904.08779): each stretch is up to `bands` or `frames` long.
    """
    keep = torch.ones_like(spectra)
    for axis, longest in ((1, bands), (2, frames)):
        size = spectra.shape[axis]
        places = torch.arange(size, device=spectra.device)
        for _ in range(2):
            drawn = torch.rand(2, len(spectra), 1, device=spectra.device)
            width = (drawn[0] * (min(longest, size) + 1)).floor()
            start = (drawn[1] * (size - width + 1)).floor()
            kept = (places < start) | (places >= start + width)
            keep = keep * kept.to(spectra).unsqueeze(3 - axis)
    return spectra * keep
