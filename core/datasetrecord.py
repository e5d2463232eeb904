"""What a check or a split of a labelled collection found: the keys of their JSON forms, field for field."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["unusable", "warning"]
"""`unusable`: clips that nothing can be trained or measured on."""


@dataclass(frozen=True)
class Part:
    """One fold, or train, dev or test. Seconds are None where the manifest states no durations."""

    name: str
    bonafide: int
    spoof: int
    bonafide_s: float | None
    spoof_s: float | None


@dataclass(frozen=True)
class Glue:
    """A value that holds a group together: without it, the clips that have it would be in `joins` groups."""

    key: str
    value: str
    clips: int
    joins: int


@dataclass(frozen=True)
class OversizedGroup:
    """Clips that must stay together and are more than any part was to hold. `share`: of the class it fills most."""

    part: str
    clips: int
    share: float
    glue: tuple[Glue, ...]
    share_without: tuple[tuple[str, float], ...]
    """The largest share that would be left of it if one key were not asked for, key by key."""


@dataclass(frozen=True)
class SplitReport:
    """How a collection was divided. `balanced_by`: "clips and seconds", or "clips" where no durations are known."""

    by: tuple[str, ...]
    spread: tuple[str, ...]
    seed: int
    groups: int
    balanced_by: str
    parts: tuple[Part, ...]
    oversized: tuple[OversizedGroup, ...]
    lacking: tuple[str, ...]
    """Parts without one of the classes."""


@dataclass(frozen=True)
class Leak:
    """One value that stands in several parts, and every clip that has it.

    `key`: speaker, family, source, text, content (the same samples), near_duplicate (the same
    recording) or utterance (the same words in the same time).
    """

    key: str
    value: str
    parts: tuple[str, ...]
    clips: tuple[str, ...]


@dataclass(frozen=True)
class LeakCount:
    """How many values of a key, and how many clips, stand in more than one part."""

    key: str
    values: int
    clips: int


@dataclass(frozen=True)
class Finding:
    """One kind of thing that is wrong, and every clip that it concerns (none: the collection as a whole)."""

    kind: str
    severity: Severity
    message: str
    clips: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProbeReading:
    """How far numbers that say nothing of the speech tell the labels, across folds; `eer` None: not measured."""

    numbers: str
    eer: float | None
    by_chance: tuple[float, float]
    """Where 95 of 100 EERs lie that are pure chance, over so many clips."""


@dataclass(frozen=True)
class DatasetCheck:
    """What came of a check. Without labels (`has_labels` False) only the sounds were looked at."""

    path: str
    clips: int
    usable: int
    has_labels: bool
    parts: tuple[Part, ...]
    rates_hz: tuple[tuple[int, int], ...]
    """Sample rates of the files and how many have each."""
    findings: tuple[Finding, ...]
    leak_counts: tuple[LeakCount, ...]
    leaks: tuple[Leak, ...]
    probe: tuple[ProbeReading, ...]
