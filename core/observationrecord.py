"""What file forensics saw in one file, and the record of `inspect` that carries it.

An observation is a fact with its reading; none is a verdict, and no policy reads them. The attribute names are the
keys of the JSON form; the shipped JSON Schema (`reports/schema/inspect-record-1.schema.json`) says what each means.
"""

from dataclasses import dataclass
from typing import Literal

from .records import Segment
from .scanrecord import InputFacts, RecordError, Tool

Strength = Literal["note", "notable"]
"""`note`: worth knowing; plain files show it too. `notable`: rare in untouched recordings, look closer."""

InspectSchemaVersion = Literal[1]
INSPECT_SCHEMA_VERSION: InspectSchemaVersion = 1


@dataclass(frozen=True)
class Quantity:
    """One measured number. `unit` is a symbol of the SI, `dB`, `samples`, `bytes`, `bits`, `1` for a share or count."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True)
class Observation:
    """One thing that was seen in a file, what it may mean, and what else explains it."""

    code: str
    """Stable word for the kind of observation."""
    strength: Strength
    seen: str
    """What was seen, in words, with the figures of this file."""
    values: tuple[Quantity, ...]
    segments: tuple[Segment, ...]
    """Where, in seconds of decoded sound; empty: it concerns the whole file, or no time at all."""
    reading: str
    """What it may mean."""
    limits: str
    """What else explains it, and when the check fails."""


@dataclass(frozen=True)
class Examined:
    """What file forensics made of one file."""

    checks: tuple[str, ...]
    """The checks that looked; what one of them did not see is not in `observations`."""
    skipped: tuple[str, ...]
    """Checks that were asked for but could not look: another container, too short, no steady pauses."""
    observations: tuple[Observation, ...]
    """The notable ones first."""


@dataclass(frozen=True)
class InspectRecord:
    """One file, one record. Where `error` is there, the file was not examined, and no observation means nothing."""

    schema_version: InspectSchemaVersion
    run_id: str
    seq: int
    """Position in the run, from 0."""
    input: InputFacts
    checks: tuple[str, ...]
    """The checks that looked; what one of them did not see is not in `observations`."""
    skipped: tuple[str, ...]
    """Checks that were asked for but could not look: another container, too short, no steady pauses."""
    observations: tuple[Observation, ...]
    error: RecordError | None
    tool: Tool
