"""What is drawn at random in a step: by seed, step and process alone, not by what was drawn before.

So a training that was killed goes on exactly as it would have, without the state of any generator.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

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


def mix(batch: Batch, recipe: TrainingRecipe, seed: int) -> tuple[Batch, Tensor]:
    """The batch with some of another row in each row, and the targets (b,) that belong to it.

    A row keeps the larger share and all its other labels. Rows of a pair stay as they are where pairs are compared.
    """
    if not recipe.mixup:
        return batch, batch.is_spoof
    rng = np.random.default_rng(seed)
    count = len(batch.is_spoof)
    share = torch.from_numpy(rng.beta(recipe.mixup, recipe.mixup, size=count)).to(batch.samples)
    share = torch.maximum(share, 1.0 - share)
    if recipe.pair_weight:
        share[batch.pair >= 0] = 1.0
    partner = torch.from_numpy(rng.permutation(count)).to(batch.samples.device)
    samples = share[:, None] * batch.samples + (1.0 - share)[:, None] * batch.samples[partner]
    return replace(batch, samples=samples), share * batch.is_spoof + (1.0 - share) * batch.is_spoof[partner]
