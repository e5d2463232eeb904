"""What a check is given, and what it has to be."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from ...core.audio.facts import SourceFacts, Tags
from ...core.observationrecord import Observation, Quantity, Strength
from ...core.records import Audio, Float32Array, Segment


@dataclass(frozen=True)
class Exhibit:
    """One file, decoded: its bytes, what they say of themselves, and the sound."""

    file: BinaryIO = field(repr=False, compare=False)
    size_bytes: int
    facts: SourceFacts
    tags: Tags
    audio: Audio
    """16 kHz, mono."""
    speech: tuple[Segment, ...]
    """Speech regions in `audio`, in order."""

    def read_at(self, offset: int, count: int) -> bytes:
        """At most `count` bytes from `offset` on; fewer at the end of the file, none beyond it."""
        if not 0 <= offset < self.size_bytes:
            return b""
        return os.pread(self.file.fileno(), count, offset)


class Check(Protocol):
    """Looks for one kind of trace in one file: made anew for each, with no arguments."""

    def hear(self, block: Float32Array, rate_hz: int) -> None:
        """Take in samples as the file holds them, float32 (channels, n) in [-1, 1], consecutive, in order.

        Rate and channels never change. Memory may not grow with the length beyond what the docstring states.
        """
        ...

    def observe(self, exhibit: Exhibit) -> list[Observation] | None:
        """What was seen, called once, after the last block; empty where nothing was.

        None: the file does not have what this check looks at, such as a length, a pause or a container.
        """
        ...


@dataclass(frozen=True)
class Kind:
    """A kind of observation: its code, what it may mean, and what else explains it."""

    code: str
    reading: str
    limits: str

    def observed(
        self,
        seen: str,
        strength: Strength = "note",
        values: Sequence[Quantity] = (),
        segments: Sequence[Segment] = (),
    ) -> Observation:
        """An observation of this kind."""
        return Observation(self.code, strength, seen, tuple(values), tuple(segments), self.reading, self.limits)
