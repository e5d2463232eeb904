"""What a network is trained towards: the class, and three auxiliary aims that can each be left out.

Every loss is a sum over rows and a number of rows. The mean is taken outside, over the rows of all processes, so that
several processes train as one would with all their rows in one batch.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...core.errors import UsageError
from .batch import Batch
from .draws import Mixture, mask_spectra
from .networks import DetectorNetwork
from .recipe import TrainingRecipe

ADVERSARY_WIDTH = 64
ADVERSARY_HASTE = 10.0
"""How much faster the source head learns than all else. An embedding that outruns its adversary does not forget the
source, it swings from one wrong answer to the next, and the class is lost on the way."""


class Losses(NamedTuple):
    """One entry per part, in the order of `TrainingObjective.parts`."""

    sums: Tensor
    """(parts,) over the rows that the part is about."""
    counts: Tensor
    """(parts,) how many rows those are, weighted as their losses are."""


class TrainingObjective(nn.Module):
    """A network with the heads that help to train it; a head whose weight is 0 is not built."""

    part_weights: Tensor

    def __init__(self, network: DetectorNetwork, recipe: TrainingRecipe, *, n_families: int, n_sources: int) -> None:
        """Heads with random weights; raises `UsageError` for a head with one class, or masks that cannot be laid on."""
        super().__init__()
        if (recipe.mask_bands or recipe.mask_frames) and not network.hears_spectra:
            raise UsageError("mask_bands and mask_frames are for networks that hear spectra; set both to 0")
        self.network = network
        self._recipe = recipe
        weights = {"class": 1.0}
        if recipe.pair_weight:
            weights["pair"] = recipe.pair_weight
        if recipe.family_weight:
            _refuse_one("family_weight", "generator families", n_families)
            self.family_head = nn.Linear(network.embedding_size, n_families)
            weights["family"] = recipe.family_weight
        if recipe.source_adversary_weight:
            _refuse_one("source_adversary_weight", "sources", n_sources)
            self.source_head = SourceAdversary(network.embedding_size, n_sources)
            weights["source"] = 1.0  # the head learns at full weight; what the embedding gets is in the reversal
        self.parts = tuple(weights)
        self.register_buffer("part_weights", torch.tensor(list(weights.values())), persistent=False)

    def forward(self, batch: Batch, mixture: Mixture | None, done: float) -> Losses:
        """The parts for a batch; where recordings are mixed, so are their targets, and all else is of the larger part.

        `done` in [0, 1] is the share of the training that lies behind: the adversary's force grows with it.
        """
        recipe = self._recipe
        features, targets = self.network.features(batch.samples), batch.is_spoof
        if mixture is not None:
            features, targets = mixture.of(features), mixture.of(targets)
        if recipe.mask_bands or recipe.mask_frames:
            features = mask_spectra(features, recipe.mask_bands, recipe.mask_frames)
        embedding = self.network.embedding(features)
        logits = self.network.classify(embedding).float()
        losses = [class_loss(logits, targets, recipe.label_smoothing, recipe.spoof_weight)]
        if "pair" in self.parts:
            losses.append(pair_loss(logits, batch.pair, batch.is_spoof))
        if "family" in self.parts:
            rows = (batch.family >= 0) & (batch.is_spoof == 1)
            losses.append(_cross_entropy(self.family_head(embedding), batch.family, rows))
        if "source" in self.parts:
            rows = (batch.source >= 0) & ((batch.is_spoof == 0) | (batch.pair >= 0))
            force = recipe.source_adversary_weight * adversary_ramp(done)
            losses.append(_cross_entropy(self.source_head(embedding, force), batch.source, rows))
        sums, counts = zip(*losses, strict=True)
        return Losses(torch.stack(sums), torch.stack(counts))


class SourceAdversary(nn.Module):
    """Tells sources apart behind a reversed gradient: the better it learns, the less the embedding is led to show.

    Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 2016 (arXiv 1505.07818), section 4.2.
    """

    def __init__(self, width: int, n_sources: int) -> None:
        """One hidden layer."""
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, ADVERSARY_WIDTH), nn.ReLU(), nn.Linear(ADVERSARY_WIDTH, n_sources))

    def forward(self, embedding: Tensor, force: float) -> Tensor:
        """(b, width) -> (b, n_sources); the embedding gets the gradient times -`force`."""
        logits: Tensor = self.layers(reverse_gradient(embedding, force))
        return logits


def class_loss(logits: Tensor, targets: Tensor, smoothing: float, spoof_weight: float) -> tuple[Tensor, Tensor]:
    """Binary cross-entropy with smoothed targets; rows weigh between 1 (genuine) and `spoof_weight` (generated)."""
    weights = 1.0 + (spoof_weight - 1.0) * targets
    smoothed = targets * (1.0 - 2.0 * smoothing) + smoothing
    losses = functional.binary_cross_entropy_with_logits(logits, smoothed, reduction="none")
    return (weights * losses).sum(), weights.sum()


def pair_loss(logits: Tensor, pair: Tensor, is_spoof: Tensor) -> tuple[Tensor, Tensor]:
    """softplus(genuine - copy) over all pairs of a genuine row and a copy with one number in `pair`.

    Its gradient stops where the copy scores well above the original, whatever the level of both.
    """
    together = (pair[:, None] == pair[None, :]) & (pair[:, None] >= 0)
    together &= (is_spoof[:, None] == 0) & (is_spoof[None, :] == 1)
    above = logits[:, None] - logits[None, :]
    return functional.softplus(above[together]).sum(), together.sum().to(logits.dtype)


def reverse_gradient(values: Tensor, force: float) -> Tensor:
    """The same values; on the way back the gradient times -`force`."""
    reversed_values: Tensor = _Reversal.apply(values, force)  # type: ignore[no-untyped-call]
    return reversed_values


def adversary_ramp(done: float) -> float:
    """From 0 to nearly 1: the adversary must know something before it is worth listening to (Ganin, section 5.2.2)."""
    return float(2.0 * torch.sigmoid(torch.tensor(10.0 * done)) - 1.0)


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: Tensor, force: float) -> Tensor:
        context.force = force
        return values.view_as(values)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -context.force * gradient, None


def _cross_entropy(logits: Tensor, classes: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Over the chosen rows; without any, a zero that still leads back to the head, as several processes need it."""
    loss = functional.cross_entropy(logits.float()[rows], classes[rows], reduction="sum")
    return loss, rows.sum().to(loss.dtype)


def _refuse_one(field: str, what: str, count: int) -> None:
    if count < 2:
        raise UsageError(f"{field} is set, but the data has {count} {what}; set it to 0, or add data")
