"""Which clips make a training batch: balanced over classes, families and voice pools, with pairs and matched sources.

Pure arithmetic on indices. A batch has two parts: pairs (a genuine recording and a copy-synthesised version of it), in
which nothing but the synthesis tells the classes apart, and the rest, drawn class by class. In matched sources genuine
speech of a voice pool is drawn as often as its fakes, so that the pool says nothing of the class.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core.errors import UsageError

IntArray = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


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
    """A spoof's chance falls with this power of its family's size: at 0 clips are alike, at 1 families."""
    source_exponent: float = 0.5
    """The same for genuine clips and their voice pools."""
    source_matched: float = 0.0
    """How far a voice pool's share of the genuine clips is raised to its share of the spoofs, from 0 to 1."""
    paired: float = 0.0
    """Share of a batch that comes as a genuine recording and its copy-synthesised version."""


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
        spoof = np.array([each.is_spoof for each in traits], dtype=bool)
        weights = _weights(traits, recipe, spoof)
        self._classes = (_Choice(np.flatnonzero(~spoof), weights), _Choice(np.flatnonzero(spoof), weights))
        for label, choice in zip(("bona fide", "spoof"), self._classes, strict=True):
            if not choice:
                raise UsageError(f"no {label} clip to train on; a detector needs clips of both classes")
        self._copies = _copies_by_recording(traits)
        recordings = np.array(sorted(self._copies), dtype=np.int64)
        self._recordings = _Choice(recordings, weights)
        if recipe.paired and not self._recordings:
            raise UsageError(
                f"paired = {recipe.paired:g}, but no clip is a copy of a genuine one; name methods of copy-synthesis"
            )

    def batch(self, size: int, *, seed: int, epoch: int, rank: int, step: int) -> Draw:
        """One batch of `size` clips; the same numbers give the same batch, on any machine and in any order."""
        rng = np.random.default_rng([seed, epoch, rank, step])
        pairs = round(size * self._recipe.paired / 2)
        rows = [row for _ in range(pairs) for row in self._pair(rng)]
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


def _weights(traits: Sequence[Traits], recipe: SamplingRecipe, spoof: BoolArray) -> Float64Array:
    """Chance of each clip in its class, not normalised; 0 for what comes in pairs alone."""
    sources = [each.source for each in traits]
    alone = np.array([not each.pairs_only for each in traits], dtype=bool)
    by_family = _sizes([each.family for each in traits], spoof & alone) ** -recipe.family_exponent
    by_source = _sizes(sources, ~spoof & alone) ** -recipe.source_exponent
    weights = np.where(spoof, by_family, by_source) * alone
    genuine = _normalised(np.where(spoof, 0.0, weights))
    generated = _normalised(np.where(spoof, weights, 0.0))
    if recipe.source_matched:
        genuine *= _matching(sources, genuine, generated, recipe.source_matched)
    return genuine + generated


def _matching(
    sources: Sequence[str | None], genuine: Float64Array, generated: Float64Array, degree: float
) -> Float64Array:
    """Factors (n,) on the chances of genuine clips by which pools with spoofs get the spoofs' share; others give way.

    Raises `UsageError` where no pool has both.
    """
    shares: dict[str | None, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for source, *chances in zip(sources, genuine, generated, strict=True):
        shares[source] = [share + float(chance) for share, chance in zip(shares[source], chances, strict=True)]
    both = {source: each for source, each in shares.items() if source is not None and min(each) > 0.0}
    if not both:
        raise UsageError(
            f"source_matched = {degree:g}, but no source has genuine and generated speech; fill in the sources, or set "
            "it to 0"
        )
    wanted = {source: (1.0 - degree) * real + degree * max(real, fake) for source, (real, fake) in both.items()}
    others = 1.0 - sum(real for real, _ in both.values())
    left = max(0.0, 1.0 - sum(wanted.values()))
    factors: dict[str | None, float] = {source: wanted[source] / both[source][0] for source in both}
    return np.array([factors.get(source, left / others if others > 0.0 else 1.0) for source in sources])


def _sizes(groups: Sequence[str | None], among: BoolArray) -> Float64Array:
    """How many clips `among` all are in the group of each; those of no known group are a group each of their own."""
    counts = Counter(group for group, counted in zip(groups, among, strict=True) if counted)
    return np.array([1.0 if group is None else float(max(1, counts[group])) for group in groups])


def _copies_by_recording(traits: Sequence[Traits]) -> dict[int, list[int]]:
    copies: dict[int, list[int]] = defaultdict(list)
    for place, each in enumerate(traits):
        if each.copy_of is not None:
            copies[each.copy_of].append(place)
    return dict(copies)


def _normalised(weights: Float64Array) -> Float64Array:
    total = float(weights.sum())
    return np.asarray(weights / total if total > 0.0 else weights, dtype=np.float64)
