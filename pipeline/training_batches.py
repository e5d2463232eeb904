"""Batches for the training of a network, drawn from the sounds of a training: which clips, how damaged, which part.

Every draw comes from the member's seed, the epoch, the process and the step: neither the number of worker processes nor
what was drawn before changes a batch. The two of a pair hear the same draws, so that nothing but the synthesis tells
them apart.
"""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ..core.rates import DETECTOR_RATE_HZ
from ..core.records import Float32Array
from ..datasets.degrade.chain import Sounds, degrade
from ..datasets.sampling import Sampler, SamplingRecipe, Traits
from ..detect.training.batch import Batch
from .training_sounds import Item, TrainingSounds, worked_ahead

log = logging.getLogger(__name__)

_HELD_OUT_EPOCH = -1
_SPARE_S = 0.25
"""Cut out beside what is needed before damage is done, for what encoders and filters do to the edges."""
_DRAWING, _HOLDING_OUT, _SPLITTING = 11, 12, 13
"""Keep the random numbers of the three apart."""


@dataclass(frozen=True)
class HeldOutSplit:
    """Numbers of the items that a network is trained on, and of those that tell when to stop."""

    inside: tuple[int, ...]
    held_out: tuple[int, ...]


@dataclass(frozen=True)
class BatchPlan:
    """How batches are made."""

    size: int
    crop_s: float
    sampling: SamplingRecipe
    seed: int

    @property
    def crop_samples(self) -> int:
        """Length of each row."""
        return round(self.crop_s * DETECTOR_RATE_HZ)


def hold_out(items: Sequence[Item], inside: Sequence[int], share: float, seed: int) -> HeldOutSplit:
    """Take a share of the generator families and of the genuine speakers out of `inside`, whole ones, drawn by `seed`.

    Clips without a known speaker are speakers of their own. Copies that are made are never held out, and are drawn only
    where both their recording and their family are inside. Nothing is held out of a single family or speaker.
    """
    listed = [number for number in inside if not items[number].is_made]
    held: set[int] = set()
    for is_spoof in (False, True):
        groups: dict[str, list[int]] = {}
        for number in listed:
            if (items[number].row.label == "spoof") == is_spoof:
                groups.setdefault(_group(items[number]), []).append(number)
        names = sorted(groups)
        count = min(math.ceil(share * len(names)), len(names) - 1)
        rng = np.random.default_rng([seed, _SPLITTING, int(is_spoof)])
        held |= {number for place in rng.permutation(len(names))[:count] for number in groups[names[place]]}
    families = {_known(items[number].family) for number in held} - {None}
    kept = [
        number
        for number in inside
        if number not in held
        and items[number].original not in held
        and not (items[number].is_made and _known(items[number].family) in families)
    ]
    return HeldOutSplit(tuple(kept), tuple(sorted(held)))


class ClipBatches:
    """A `BatchSource` over the sounds of a training. Close it: it may keep processes at work."""

    def __init__(
        self,
        sounds: TrainingSounds,
        split: HeldOutSplit,
        plan: BatchPlan,
        *,
        recorded: Sounds,
        jobs: int = 1,
        world: int = 1,
    ) -> None:
        """Batches of `split.inside`; `recorded` noises and rooms serve where damage is done while training.

        Raises `UsageError` as `Sampler`.
        """
        inside = tuple(number for number in split.inside if sounds.length(number))
        self._maker = _BatchMaker(sounds, inside, split.held_out, plan, recorded)
        self.n_families = len(self._maker.families)
        self.n_sources = len(self._maker.sources)
        listed = sum(not sounds.items[number].is_made for number in inside)
        self.steps_per_epoch = max(1, listed // (plan.size * world))
        self._held_out_steps = -(-len(split.held_out) // plan.size)
        self._keys = _Keys()
        # cutting from copies that are made already takes less time than sending them from another process
        self._loader = worked_ahead(self._maker, self._keys, 1 if sounds.plan.copies else jobs)

    def epoch(self, number: int, *, rank: int, world: int) -> Iterator[Batch]:
        """The batches of one epoch for one process."""
        yield from self._made([(number, rank, step) for step in range(self.steps_per_epoch)])

    def held_out(self) -> Iterator[Batch]:
        """Every held-out clip once, damaged in the same way each time."""
        yield from self._made([(_HELD_OUT_EPOCH, 0, step) for step in range(self._held_out_steps)])

    def close(self) -> None:
        """End the processes that work ahead."""
        del self._loader

    def _made(self, keys: list["_Key"]) -> Iterator[Batch]:
        self._keys.listed = keys
        return iter(self._loader)


_Key = tuple[int, int, int]
"""Epoch, rank and step."""


class _Keys:
    """What is to be made next; one loader with living processes goes through other keys each time."""

    def __init__(self) -> None:
        self.listed: list[_Key] = []

    def __iter__(self) -> Iterator[_Key]:
        return iter(self.listed)

    def __len__(self) -> int:
        return len(self.listed)


@dataclass
class _BatchMaker:
    """Makes the batch of a key; sent to each process that works ahead."""

    sounds: TrainingSounds
    inside: tuple[int, ...]
    held_out: tuple[int, ...]
    plan: BatchPlan
    recorded: Sounds = field(repr=False)

    def __post_init__(self) -> None:
        items, place_of = self.sounds.items, {number: place for place, number in enumerate(self.inside)}
        traits = [_traits(items[number], place_of) for number in self.inside]
        self._sampler = Sampler(traits, self.plan.sampling)
        self.families = _numbered(each.family for each in traits)
        self.sources = _numbered(each.source for each in traits)

    def __getitem__(self, key: _Key) -> Batch:
        epoch, rank, step = key
        if epoch == _HELD_OUT_EPOCH:
            return self._held_out_batch(step)
        plan = self.plan
        draw = self._sampler.batch(plan.size, seed=plan.seed, epoch=epoch, rank=rank, step=step)
        numbers = [self.inside[row] for row in draw.rows]
        slots = np.where(draw.pair >= 0, draw.pair, plan.size + np.arange(plan.size))
        seeds = [[plan.seed, _DRAWING, epoch, rank, step, int(slot)] for slot in slots]
        samples = [self._heard(number, seed) for number, seed in zip(numbers, seeds, strict=True)]
        return self._batch(numbers, samples, draw.pair)

    def _held_out_batch(self, step: int) -> Batch:
        numbers = self.held_out[step * self.plan.size : (step + 1) * self.plan.size]
        samples = [self._heard(number, [self.plan.seed, _HOLDING_OUT, number]) for number in numbers]
        return self._batch(numbers, samples, np.full(len(numbers), -1))

    def _heard(self, number: int, seed: Sequence[int]) -> Float32Array:
        """One row: a damaged part of an item, by the random numbers of `seed` alone."""
        rng, length = np.random.default_rng(seed), self.plan.crop_samples
        copies, chain = self.sounds.plan.copies, self.sounds.plan.chain
        if copies:
            return cut(self.sounds.damaged_copy(number, int(rng.integers(copies))), length, rng)
        needed = round(length * chain.speed_factor[1] + _SPARE_S * DETECTOR_RATE_HZ)
        samples = self.sounds.clean(number)
        if len(samples) > needed:
            samples = cut(samples, needed, rng)
        return cut(degrade(samples, chain, self.recorded, rng)[0], length, rng)

    def _batch(self, numbers: Sequence[int], samples: Sequence[Float32Array], pair: Any) -> Batch:
        items = [self.sounds.items[number] for number in numbers]
        return Batch(
            samples=torch.from_numpy(np.stack(samples)),
            is_spoof=torch.tensor([float(item.row.label == "spoof") for item in items]),
            family=torch.tensor([self.families.get(item.family, -1) for item in items]),
            source=torch.tensor([self.sources.get(item.pool, -1) for item in items]),
            pair=torch.from_numpy(np.asarray(pair, dtype=np.int64)),
        )


def cut(samples: Float32Array, length: int, rng: np.random.Generator) -> Float32Array:
    """`length` samples from a drawn place of samples (n,), n >= 1, which are repeated where they are too few."""
    share = rng.random()
    if len(samples) < length:
        samples = np.resize(samples, length)
    start = int(share * (len(samples) - length + 1))
    return samples[start : start + length]


def _traits(item: Item, place_of: Mapping[int, int]) -> Traits:
    original = None if item.original is None else place_of.get(item.original)
    return Traits(
        is_spoof=item.row.label == "spoof",
        family=item.family,
        source=item.pool,
        copy_of=original,
        pairs_only=item.is_made,
    )


def _group(item: Item) -> str:
    """What is held out together."""
    row = item.row
    if row.label == "spoof":
        return _known(item.family) or f"clip {row.clip_id}"
    return f"{row.source} {row.speaker}" if row.speaker else f"clip {row.clip_id}"


def _known(family: str | None) -> str | None:
    """A family's name without its case: a method and a family of the collection may be the same."""
    return None if family is None else family.casefold()


def _numbered(names: Any) -> dict[str | None, int]:
    return {name: number for number, name in enumerate(sorted({name for name in names if name is not None}))}
