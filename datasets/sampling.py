"""Which clips make a training batch: balanced over classes, families and voice pools, with pairs and matched sources.

Pure arithmetic on indices. A batch has three parts: pairs (a genuine recording and a copy-synthesised version of it),
matches (genuine and generated speech of one voice pool) and the rest, drawn class by class. What tells the classes
apart in the first two parts is how the sound was made, and neither the speaker nor the channel.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core.errors import UsageError

IntArray = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Traits:
    """What sampling needs to know of a clip. None: not known."""

    is_spoof: bool
    family: str | None = None
    source: str | None = None
    """Corpus or voice pool; of a spoof, that of the voice it speaks with."""
    copy_of: int | None = None
    """Place of the genuine recording that this spoof was made of."""
    pairs_only: bool = False
    """Whether it is drawn beside its recording alone."""


@dataclass(frozen=True)
class SamplingRecipe:
    """Shares of a batch, and how far groups of different size are evened out."""

    family_exponent: float = 0.5
    """A clip's chance falls with this power of its family's size: at 0 clips are alike, at 1 families."""
    source_exponent: float = 0.5
    """The same for voice pools, within each class."""
    source_matched: float = 0.0
    """Share of a batch that comes as genuine and generated speech of one voice pool."""
    paired: float = 0.0
    """Share of a batch that comes as a genuine recording and its copy-synthesised version."""

    def __post_init__(self) -> None:
        """Raise `UsageError` for shares of more than a whole batch."""
        if not 0.0 <= self.source_matched + self.paired <= 1.0:
            raise UsageError(
                f"source_matched {self.source_matched:g} and paired {self.paired:g} are more than a whole batch; "
                "together they may be 1"
            )


@dataclass(frozen=True)
class Draw:
    """One batch: `rows` int64 (b,) are places of clips; `pair` (b,) numbers the pairs from 0, -1: no part of one."""

    rows: IntArray
    pair: IntArray


class Sampler:
    """Draws batches of one collection."""

    def __init__(self, traits: Sequence[Traits], recipe: SamplingRecipe) -> None:
        """Raises `UsageError` where a class is missing, or the recipe asks for pairs or matches that do not exist."""
        self._recipe = recipe
        weights = _weights(traits, recipe)
        spoof = np.array([each.is_spoof for each in traits], dtype=bool)
        self._classes = (_Choice(np.flatnonzero(~spoof), weights), _Choice(np.flatnonzero(spoof), weights))
        for label, choice in zip(("bona fide", "spoof"), self._classes, strict=True):
            if not choice:
                raise UsageError(f"no {label} clip to train on; a detector needs clips of both classes")
        self._pools = _matched_pools(traits, weights)
        self._copies = _copies_by_recording(traits)
        recordings = np.array(sorted(self._copies), dtype=np.int64)
        self._recordings = _Choice(recordings, weights)
        if recipe.paired and not self._recordings:
            raise UsageError(
                f"paired = {recipe.paired:g}, but no clip is a copy of a genuine one; name methods of copy-synthesis"
            )
        if recipe.source_matched and not self._pools:
            raise UsageError(
                f"source_matched = {recipe.source_matched:g}, but no source has genuine and generated speech; fill in "
                "the sources, or set it to 0"
            )
        sizes = np.array([len(genuine) for genuine, _ in self._pools], dtype=np.float64)
        self._pool_chances = _normalised(sizes ** (1.0 - recipe.source_exponent))

    def batch(self, size: int, *, seed: int, epoch: int, rank: int, step: int) -> Draw:
        """One batch of `size` clips; the same numbers give the same batch, on any machine and in any order."""
        rng = np.random.default_rng([seed, epoch, rank, step])
        pairs = round(size * self._recipe.paired / 2)
        matches = min(round(size * self._recipe.source_matched / 2), size // 2 - pairs)
        rows = [row for _ in range(pairs) for row in self._pair(rng)]
        rows += [row for _ in range(matches) for row in self._match(rng)]
        rest = size - len(rows)
        half = (rest + int(rng.integers(2))) // 2  # of an odd rest, either class has more as often as the other
        genuine, spoof = self._classes
        rows += [*genuine.draw(rng, half), *spoof.draw(rng, rest - half)]
        numbers = np.full(size, -1, dtype=np.int64)
        numbers[: 2 * pairs] = np.repeat(np.arange(pairs), 2)
        return Draw(np.array(rows, dtype=np.int64), numbers)

    def batches(self, count: int, size: int, *, seed: int, epoch: int, rank: int) -> Iterator[Draw]:
        """The `count` batches of one epoch for one process."""
        return (self.batch(size, seed=seed, epoch=epoch, rank=rank, step=step) for step in range(count))

    def _pair(self, rng: np.random.Generator) -> tuple[int, int]:
        recording = self._recordings.draw(rng, 1)[0]
        copies = self._copies[recording]
        return recording, copies[int(rng.integers(len(copies)))]

    def _match(self, rng: np.random.Generator) -> tuple[int, int]:
        genuine, spoof = self._pools[int(rng.choice(len(self._pools), p=self._pool_chances))]
        return genuine.draw(rng, 1)[0], spoof.draw(rng, 1)[0]


class _Choice:
    """Places to draw from with chances in proportion to their weights; those of weight 0 take no part."""

    def __init__(self, places: IntArray, weights: Float64Array) -> None:
        self._places = places[weights[places] > 0.0]
        self._cumulated = np.cumsum(_normalised(weights[self._places]))

    def __len__(self) -> int:
        return len(self._places)

    def draw(self, rng: np.random.Generator, count: int) -> list[int]:
        drawn = np.searchsorted(self._cumulated, rng.random(count), side="right")
        return [int(place) for place in self._places[np.minimum(drawn, len(self._places) - 1)]]


def _weights(traits: Sequence[Traits], recipe: SamplingRecipe) -> Float64Array:
    """Chance of each clip in its class, not normalised; 0 for what comes in pairs alone."""
    families = _sizes(traits, lambda each: (each.is_spoof, each.family) if each.is_spoof else None)
    sources = _sizes(traits, lambda each: (each.is_spoof, each.source))
    weights = families**-recipe.family_exponent * sources**-recipe.source_exponent
    weights[np.array([each.pairs_only for each in traits], dtype=bool)] = 0.0
    return np.asarray(weights, dtype=np.float64)


def _sizes(traits: Sequence[Traits], group: Callable[[Traits], Hashable]) -> Float64Array:
    """How many clips are in the group of each; 1 where there is none. Clips of no known group are one group."""
    keys = [group(each) for each in traits]
    counts = Counter(key for key, each in zip(keys, traits, strict=True) if not each.pairs_only)
    return np.array([1.0 if key is None else float(max(1, counts[key])) for key in keys])


def _matched_pools(traits: Sequence[Traits], weights: Float64Array) -> list[tuple[_Choice, _Choice]]:
    """Genuine and generated speech of each source that has both, in order of name."""
    members: dict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for place, each in enumerate(traits):
        if each.source is not None and weights[place] > 0.0:
            members[each.source][each.is_spoof].append(place)
    return [
        (_Choice(np.array(genuine, dtype=np.int64), weights), _Choice(np.array(spoof, dtype=np.int64), weights))
        for _, (genuine, spoof) in sorted(members.items())
        if genuine and spoof
    ]


def _copies_by_recording(traits: Sequence[Traits]) -> dict[int, list[int]]:
    copies: dict[int, list[int]] = defaultdict(list)
    for place, each in enumerate(traits):
        if each.copy_of is not None:
            copies[each.copy_of].append(place)
    return dict(copies)


def _normalised(weights: Float64Array) -> Float64Array:
    total = float(weights.sum())
    return np.asarray(weights / total if total > 0.0 else weights, dtype=np.float64)
