"""What a store holds, in numbers."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .records import StoreRow


@dataclass(frozen=True)
class Share:
    """A part of the clips."""

    clips: int
    seconds: float


@dataclass(frozen=True)
class StoreSummary:
    """Counts over the rows of a store; the key `unknown` stands for what no row says."""

    clips: int
    seconds: float
    with_tokens: int
    with_token_mark: int
    labels: Mapping[str, Share]
    generators: Mapping[str, Share]
    """Of spoofs only."""
    sources: Mapping[str, Share]
    splits: Mapping[str, Share]
    rates_hz: Mapping[str, Share]
    duplicates: tuple[tuple[str, ...], ...]
    """Ids of clips with the very same samples, by group."""


def summarize(rows: Iterable[StoreRow]) -> StoreSummary:
    """Count; every mapping has its largest part first."""
    rows = list(rows)
    same: dict[str | None, list[str]] = defaultdict(list)
    for row in rows:
        same[row.samples_sha256].append(row.clip_id)
    return StoreSummary(
        clips=len(rows),
        seconds=sum(row.duration_s for row in rows),
        with_tokens=sum(row.token_count is not None for row in rows),
        with_token_mark=sum(row.mark is not None for row in rows),
        labels=_shares((row.label, row) for row in rows),
        generators=_shares((row.generator, row) for row in rows if row.label == "spoof"),
        sources=_shares((row.source, row) for row in rows),
        splits=_shares((row.split, row) for row in rows),
        rates_hz=_shares((str(row.rate_hz), row) for row in rows),
        duplicates=tuple(tuple(ids) for ids in same.values() if len(ids) > 1),
    )


def _shares(named: Iterable[tuple[str | None, StoreRow]]) -> dict[str, Share]:
    parts: dict[str, list[float]] = defaultdict(list)
    for name, row in named:
        parts[name or "unknown"].append(row.duration_s)
    largest_first = sorted(parts.items(), key=lambda part: -len(part[1]))
    return {name: Share(len(seconds), sum(seconds)) for name, seconds in largest_first}
