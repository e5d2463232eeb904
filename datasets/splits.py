"""Splits that keep families, speakers, sources and texts apart, and what to do where they hang together.

Clips that share a value of an asked key, directly or through other clips, form a group (a connected component), and a
group is never divided. Groups go to the parts from the largest down, each where it brings the clips and seconds of
both classes nearest to the shares asked for; then single groups are moved as long as that helps.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core.datasetrecord import Glue, OversizedGroup, Part, SplitReport
from ..core.errors import UsageError
from ..core.records import Row
from .groupkeys import check_keys, key_values

OVERSIZE = 1.1
"""A group with more of a class than the largest part was to hold, times this, cannot be balanced away."""
MOVING_PASSES = 10
GLUE_NAMED = 3

Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Split:
    """`parts` names the part of each row; `report` tells how even they are and what could not be helped."""

    parts: tuple[str, ...]
    report: SplitReport


@dataclass(frozen=True)
class HeldOut:
    """One round of leave-one-out: places of rows. `dropped` rows are in neither set."""

    name: str
    train: tuple[int, ...]
    test: tuple[int, ...]
    dropped: tuple[int, ...]


def fold_shares(folds: int) -> dict[str, float]:
    """Equal shares named "0", "1", ... Raises `UsageError` below two."""
    if folds < 2:
        raise UsageError(f"{folds} folds are no split; ask for at least 2")
    return {str(fold): 1.0 / folds for fold in range(folds)}


def groups_of(rows: Sequence[Row], keys: Sequence[str], spread: Collection[str] = ()) -> IntArray:
    """The number of each row's group (n,), from 0, in the order of their first rows."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    nodes: dict[tuple[str, str], int] = {}
    edges = []
    for key in keys:
        for index, value in enumerate(key_values(rows, key, spread)):
            if value is not None:
                edges.append((index, nodes.setdefault((key, value), len(rows) + len(nodes))))
    size = len(rows) + len(nodes)
    ends = np.array(edges, dtype=np.intp).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), shape=(size, size))
    _, labels = connected_components(graph, directed=False)
    return _numbered(labels[: len(rows)])


def split_rows(
    rows: Sequence[Row], keys: Sequence[str], shares: Mapping[str, float], *, seed: int, spread: Collection[str] = ()
) -> Split:
    """Give every row a part so that no value of `keys` stands in two of them.

    `shares` are the parts' names and sizes, relative to their sum; `spread` names values (`speaker=LJ`) that
    may stand in several parts. The same rows, arguments and seed give the same split. Raises `UsageError` for
    unknown keys, shares that are not above 0, and fewer groups than parts.
    """
    check_keys(keys, spread)
    if len(shares) < 2 or not all(0 < share < float("inf") for share in shares.values()):
        raise UsageError("a split needs at least two parts, each with a share above 0")
    groups = groups_of(rows, keys, spread)
    count = int(groups.max(initial=-1)) + 1
    if count < len(shares):
        raise UsageError(
            f"the clips form only {count} groups that share no {' or '.join(keys)}, too few for {len(shares)} parts; "
            "ask for fewer parts or keys, or let a value stand in several parts (spread)"
        )
    loads = _loads(rows, groups, count)
    names = list(shares)
    wanted = np.array([shares[name] for name in names]) / sum(shares.values())
    homes = _placed(loads, wanted, np.random.default_rng(seed))
    parts = tuple(names[home] for home in homes[groups])
    report = SplitReport(
        by=tuple(keys),
        spread=tuple(sorted(spread)),
        seed=seed,
        groups=count,
        balanced_by="clips and seconds" if _has_durations(rows) else "clips",
        parts=tuple(parts_of(rows, parts, names)),
        oversized=tuple(_oversized(rows, keys, spread, groups, loads, wanted, parts)),
        lacking=tuple(part.name for part in parts_of(rows, parts, names) if not (part.bonafide and part.spoof)),
    )
    return Split(parts, report)


def parts_of(rows: Sequence[Row], parts: Sequence[str], names: Sequence[str] | None = None) -> list[Part]:
    """Clips and seconds of each class by part; `names` fixes the order and keeps parts without a clip."""
    clips: Counter[tuple[str, str]] = Counter()
    seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
    for row, part in zip(rows, parts, strict=True):
        clips[part, row.label] += 1
        seconds[part, row.label] += row.duration_s or 0.0
    known = _has_durations(rows)
    return [
        Part(
            name,
            clips[name, "bonafide"],
            clips[name, "spoof"],
            round(seconds[name, "bonafide"], 3) if known else None,
            round(seconds[name, "spoof"], 3) if known else None,
        )
        for name in (sorted(set(parts)) if names is None else names)
    ]


def leave_one_family_out(rows: Sequence[Row]) -> Iterator[HeldOut]:
    """Per generator family: test on its fakes and on the genuine speech of its voice pool.

    Training has no fake of the family and no clip, of either class, that shares a speaker or a source with the
    fakes under test. Where their speakers and sources are not known, no genuine speech is held out with them.
    """
    families = key_values(rows, "family")
    for family in sorted({each for each in families if each}):
        fakes = {index for index, each in enumerate(families) if each == family}
        pool = _pool(rows, fakes)
        yield _round(family, rows, fakes | {index for index in pool if rows[index].label == "bonafide"}, pool)


def leave_one_source_out(rows: Sequence[Row]) -> Iterator[HeldOut]:
    """Per source: test on all its clips.

    Training has no clip of a speaker that occurs in the source and no fake of a generator family that does.
    """
    families = key_values(rows, "family")
    for source in sorted({row.source for row in rows if row.source}):
        test = {index for index, row in enumerate(rows) if row.source == source}
        heard = {families[index] for index in test} - {None}
        fakes = {index for index, family in enumerate(families) if family in heard}
        yield _round(source, rows, test, _pool(rows, test) | fakes)


def _pool(rows: Sequence[Row], chosen: Collection[int]) -> set[int]:
    """Rows that share a speaker or a source with the chosen ones."""
    speakers = {rows[index].speaker for index in chosen} - {None}
    sources = {rows[index].source for index in chosen} - {None}
    return {index for index, row in enumerate(rows) if row.speaker in speakers or row.source in sources}


def _round(name: str, rows: Sequence[Row], test: set[int], barred: set[int]) -> HeldOut:
    train = tuple(index for index in range(len(rows)) if index not in test and index not in barred)
    return HeldOut(name, train, tuple(sorted(test)), tuple(sorted(barred - test)))


def _numbered(labels: npt.NDArray[np.integer]) -> IntArray:
    """Labels as 0, 1, 2, ... in the order in which they first occur."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.intp)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def _has_durations(rows: Sequence[Row]) -> bool:
    return all(row.duration_s is not None for row in rows)


def _loads(rows: Sequence[Row], groups: IntArray, count: int) -> Float64Array:
    """Share of the clips, and of the seconds if known, of each class that is in each group; (count, 2 or 4)."""
    weights = [np.ones(len(rows))]
    if _has_durations(rows):
        weights.append(np.array([row.duration_s for row in rows], dtype=np.float64))
    columns = []
    for weight in weights:
        for label in ("bonafide", "spoof"):
            mine = weight * np.array([row.label == label for row in rows])
            columns.append(np.bincount(groups, mine, minlength=count) / max(mine.sum(), 1e-12))
    return np.column_stack(columns)


def _placed(loads: Float64Array, wanted: Float64Array, rng: np.random.Generator) -> IntArray:
    """The part of each group (count,): least sum over parts and loads of (load - wanted)^2 / wanted, by descent."""
    shuffled = rng.permutation(len(loads))
    order = shuffled[np.argsort(-loads[shuffled].max(axis=1), kind="stable")]
    homes = np.full(len(loads), -1, dtype=np.intp)
    filled = np.zeros((len(wanted), loads.shape[1]))

    def best(load: Float64Array) -> int:
        added = (2.0 * load * (filled - wanted[:, None]) + load**2) / wanted[:, None]
        return int(np.argmin(np.round(added.sum(axis=1), 12)))

    for group in order:
        homes[group] = best(loads[group])
        filled[homes[group]] += loads[group]
    for _ in range(MOVING_PASSES):
        moved = False
        for group in order:
            home = homes[group]
            filled[home] -= loads[group]
            homes[group] = best(loads[group])
            filled[homes[group]] += loads[group]
            moved |= bool(homes[group] != home)
        if not moved:
            break
    return homes


def _oversized(
    rows: Sequence[Row],
    keys: Sequence[str],
    spread: Collection[str],
    groups: IntArray,
    loads: Float64Array,
    wanted: Float64Array,
    parts: Sequence[str],
) -> Iterator[OversizedGroup]:
    """Groups that no part can hold without overflowing, the largest first, with what glues them."""
    largest = loads.max(axis=1)
    for group in np.argsort(-largest, kind="stable"):
        if largest[group] <= OVERSIZE * wanted.max():
            return
        members = np.flatnonzero(groups == group)
        mine = [rows[int(index)] for index in members]
        glue, without = [], []
        for key in keys:
            rest = groups_of(mine, [other for other in keys if other != key], spread)
            pieces = _loads(mine, rest, int(rest.max()) + 1).max(axis=1)
            without.append((key, round(float(largest[group] * pieces.max()), 4)))
            glue += _glue(key, key_values(mine, key, spread), rest)
        glue.sort(key=lambda each: (-each.joins, -each.clips, each.key, each.value))
        yield OversizedGroup(
            parts[members[0]], len(mine), round(float(largest[group]), 4), tuple(glue[:GLUE_NAMED]), tuple(without)
        )


def _glue(key: str, values: Sequence[str | None], rest: IntArray) -> list[Glue]:
    """For each value, how many of the groups without its key it joins."""
    joined: dict[str, list[int]] = {}
    for value, group in zip(values, rest, strict=True):
        if value is not None:
            joined.setdefault(value, []).append(int(group))
    return [Glue(key, value, len(found), len(set(found))) for value, found in joined.items()]
