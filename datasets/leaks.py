"""Leaks: what stands in more than one part of a split, so that figures across the parts flatter."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from ..core.datasetrecord import Leak, LeakCount
from ..core.records import Row
from .groupkeys import GROUP_KEYS, check_keys, key_values

LEAK_KEYS = (*GROUP_KEYS, "content", "near_duplicate", "utterance")


def find_leaks(
    rows: Sequence[Row],
    *,
    keys: Sequence[str] = GROUP_KEYS,
    spread: Collection[str] = (),
    contents: Sequence[str | None] | None = None,
    near: Iterable[tuple[int, int]] = (),
    utterances: Iterable[tuple[int, int]] = (),
) -> list[Leak]:
    """Every offender: by key, then value, with all its clips.

    `spread` names values (`speaker=LJ`) that may stand in several parts on purpose. `contents` holds a hash of each
    clip's sound (None: `sha256` of the rows); `near` pairs of rows that hold the same recording, `utterances` the same
    utterance, which are joined to groups. Raises `UsageError` for an unknown key.
    """
    check_keys(keys, spread)
    hashes = [row.sha256 for row in rows] if contents is None else list(contents)
    columns: dict[str, Sequence[str | None]] = {key: key_values(rows, key, spread) for key in GROUP_KEYS if key in keys}
    columns["content"] = hashes
    columns["near_duplicate"] = _names_of_groups(rows, near)
    columns["utterance"] = _names_of_groups(rows, utterances)
    found: list[Leak] = []
    for key, values in columns.items():
        known = {leak.clips for leak in found if leak.key in ("content", "near_duplicate")}
        repeats = key in ("near_duplicate", "utterance")  # the same clips again, found in a weaker way
        found += [leak for leak in _leaks(rows, key, values) if not repeats or leak.clips not in known]
    return found


def count_leaks(leaks: Sequence[Leak]) -> list[LeakCount]:
    """One count per key that leaks, in the order of `LEAK_KEYS`."""
    by_key: Mapping[str, list[Leak]] = {key: [leak for leak in leaks if leak.key == key] for key in LEAK_KEYS}
    return [
        LeakCount(key, len(found), len({clip for leak in found for clip in leak.clips}))
        for key, found in by_key.items()
        if found
    ]


def _leaks(rows: Sequence[Row], key: str, values: Sequence[str | None]) -> list[Leak]:
    members: dict[str, list[Row]] = {}
    for row, value in zip(rows, values, strict=True):
        if value is not None:
            members.setdefault(value, []).append(row)
    return [
        Leak(key, value, parts, tuple(row.clip_id for row in group))
        for value, group in sorted(members.items())
        if len(parts := tuple(sorted({row.split for row in group if row.split}))) > 1
    ]


def _names_of_groups(rows: Sequence[Row], near: Iterable[tuple[int, int]]) -> list[str | None]:
    """The first clip of the group that each row's pairs join it to; None for rows without one."""
    first = list(range(len(rows)))

    def root(index: int) -> int:
        while first[index] != index:
            first[index] = first[first[index]]
            index = first[index]
        return index

    paired = set()
    for one, other in near:
        low, high = sorted((root(one), root(other)))
        first[high] = low
        paired |= {one, other}
    return [rows[root(index)].clip_id if index in paired else None for index in range(len(rows))]
