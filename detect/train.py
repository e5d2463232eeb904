"""Training of the log-band network on cached spectra.

Every clip comes as several copies, each through another random chain of degradations (`datasets/degrade`), as
log band powers before the mean spectrum is removed. Degrading once and training from memory costs a fraction
of degrading anew in every epoch, and several folds share the copies.
"""

import copy
import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..core.progress import Progress, silent
from .examples import Example
from .frontend import HOP_SAMPLES
from .network import LogBandResNet

log = logging.getLogger(__name__)

FRAMES_PER_S = 16_000 / HOP_SAMPLES


@dataclass(frozen=True)
class TrainingRecipe:
    """Everything that shapes the training, so that a card can state it."""

    epochs: int = 30
    batch: int = 48
    crop_s: float = 3.0
    learning_rate: float = 2e-3
    weight_decay: float = 2e-2
    warm_up: float = 0.05
    """Share of the steps with a rising learning rate; it then falls as a half cosine."""
    clean_share: float = 0.3
    """Chance that an example is drawn from copy 0, the clip as it is."""
    label_smoothing: float = 0.05
    mixup: float = 0.2
    """Parameter of the Beta distribution that mixes pairs of spectra and their labels."""
    band_mask: int = 12
    frame_mask: int = 30
    """Longest masked stretch, in bands and in frames; two of each per example."""
    average_decay: float = 0.995
    """Exponential moving average of the weights: the average is what is kept."""


def train_network(
    examples: Sequence[Example], recipe: TrainingRecipe, *, seed: int, progress: Progress = silent
) -> LogBandResNet:
    """Train one network; the same examples, recipe, seed and number of threads give the same weights."""
    with torch.random.fork_rng(devices=[]):  # initial weights and dropout draw from torch's own generator
        torch.manual_seed(seed)
        return _train(examples, recipe, np.random.default_rng(seed), progress)


def _train(
    examples: Sequence[Example], recipe: TrainingRecipe, rng: np.random.Generator, progress: Progress
) -> LogBandResNet:
    network = LogBandResNet().to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    average: LogBandResNet = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    weights = sampling_weights(examples)
    steps_per_epoch = max(1, len(examples) // recipe.batch)
    steps = recipe.epochs * steps_per_epoch
    running_loss = 0.0
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * schedule(step / steps, recipe.warm_up)
        spectra, targets = draw_batch(examples, weights, recipe, rng)
        loss = _step(network, optimiser, spectra, targets)
        _average_into(average, network, min(recipe.average_decay, (1 + step) / (10 + step)))
        running_loss = 0.98 * running_loss + 0.02 * loss
        if (step + 1) % steps_per_epoch == 0:
            progress((step + 1) // steps_per_epoch, recipe.epochs, f"loss {running_loss:.3f}")
    return average.eval()


def sampling_weights(examples: Sequence[Example]) -> npt.NDArray[np.float64]:
    """Chance of each example: both classes alike, and within a class inversely to the root of its group's size."""
    sizes = Counter((example.spoof, example.group) for example in examples)
    weights = np.array([sizes[example.spoof, example.group] ** -0.5 for example in examples])
    spoof = np.array([example.spoof for example in examples])
    for is_spoof in (False, True):
        weights[spoof == is_spoof] /= weights[spoof == is_spoof].sum()
    return np.asarray(weights / weights.sum())


def schedule(done: float, warm_up: float) -> float:
    """Factor on the learning rate after a share `done` of the steps."""
    if done < warm_up:
        return done / warm_up
    return 0.5 * (1.0 + math.cos(math.pi * (done - warm_up) / (1.0 - warm_up)))


def draw_batch(
    examples: Sequence[Example],
    weights: npt.NDArray[np.float64],
    recipe: TrainingRecipe,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Random crops (batch, 80, frames) with their mean spectrum removed and masked, and soft targets (batch,)."""
    frames = int(recipe.crop_s * FRAMES_PER_S)
    chosen = rng.choice(len(examples), size=recipe.batch, p=weights)
    crops = np.stack([_crop(examples[index], frames, recipe, rng) for index in chosen]).astype(np.float32)
    targets = np.array([float(examples[index].spoof) for index in chosen], dtype=np.float32)
    share = rng.beta(recipe.mixup, recipe.mixup, size=recipe.batch).astype(np.float32)
    share = np.maximum(share, 1.0 - share)
    partner = rng.permutation(recipe.batch)
    crops = share[:, None, None] * crops + (1.0 - share)[:, None, None] * crops[partner]
    targets = share * targets + (1.0 - share) * targets[partner]
    targets = targets * (1.0 - 2.0 * recipe.label_smoothing) + recipe.label_smoothing
    for crop in crops:
        _mask(crop, recipe, rng)
    return torch.from_numpy(crops), torch.from_numpy(targets.astype(np.float32))


def _crop(example: Example, frames: int, recipe: TrainingRecipe, rng: np.random.Generator) -> npt.NDArray[np.float16]:
    clean = len(example.copies) == 1 or rng.random() < recipe.clean_share
    spectrum = example.copies[0 if clean else int(rng.integers(1, len(example.copies)))]
    if spectrum.shape[1] < frames:
        spectrum = np.tile(spectrum, (1, -(-frames // spectrum.shape[1])))
    start = int(rng.integers(0, spectrum.shape[1] - frames + 1))
    crop = spectrum[:, start : start + frames].astype(np.float32)
    return np.asarray(crop - crop.mean(axis=1, keepdims=True), dtype=np.float16)


def _mask(crop: npt.NDArray[np.float32], recipe: TrainingRecipe, rng: np.random.Generator) -> None:
    bands, frames = crop.shape
    for _ in range(2):
        width = int(rng.integers(0, recipe.band_mask + 1))
        start = int(rng.integers(0, bands - width + 1))
        crop[start : start + width] = 0.0
        width = int(rng.integers(0, recipe.frame_mask + 1))
        start = int(rng.integers(0, frames - width + 1))
        crop[:, start : start + width] = 0.0


def _step(network: nn.Module, optimiser: torch.optim.Optimizer, spectra: Tensor, targets: Tensor) -> float:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = network(spectra)
    loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), targets)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimiser.step()
    return float(loss.detach())


@torch.no_grad()
def _average_into(average: nn.Module, network: nn.Module, decay: float) -> None:
    for kept, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if kept.dtype.is_floating_point:
            kept.lerp_(new, 1.0 - decay)
        else:
            kept.copy_(new)
