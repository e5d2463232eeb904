"""What every reader of a corpus is: facts, a layout that is looked for, labelled clips, a check of what is there."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ...core.cliprecord import SpeechKind
from ...core.errors import InputError, UsageError
from ...core.records import Row
from .inventory import CorpusCheck, Counts, Inventory

Needed = tuple[str, ...]
"""One thing that a part needs, relative to the corpus: the places where it may lie, the released one first."""


@dataclass(frozen=True)
class Facts:
    """What is to be known of a corpus before it is used. Years and hours are as published; None: not one figure."""

    title: str
    what: str
    citation: str | None
    year: int | None
    licence: str
    home: str | None
    hours: float | None = None


@dataclass(frozen=True)
class CorpusRow:
    """A labelled clip with what a manifest's row has no room for. None: the corpus does not say."""

    row: Row
    text: str | None = None
    language: str | None = None
    """As an ISO 639 code, with a region where the corpus gives one."""
    channel: str | None = None
    """Codec, transmission or microphone, in the corpus's own words."""


class Corpus(ABC):
    """One corpus as it is released: a folder with parts, each with its list of clips and its audio.

    `source` names the corpus that the voices come from, which fakes of these voices share. Speakers and generators
    have names that are unique over all corpora, and the same wherever they occur, so that rows of several corpora
    can be split together. No audio is opened, and a file that is listed but not there is a row all the same:
    `check` tells.
    """

    facts: ClassVar[Facts]
    parts: ClassVar[tuple[str, ...]]
    """All parts of the release; empty when they differ from release to release."""
    whole: ClassVar[tuple[str, ...] | None] = None
    """The parts that are read when none is named, where that is not all of them."""
    nested: ClassVar[tuple[str, ...]] = ()
    """Folders that archives of the corpus unpack to: their parent may be given in their place."""
    published: ClassVar[Mapping[str, Counts]] = {}

    @abstractmethod
    def needs(self, part: str) -> tuple[Needed, ...]:
        """What must be there for a part to be read."""

    @abstractmethod
    def read(self, base: Path, part: str) -> Iterator[CorpusRow]:
        """The clips of a part that is there, with paths relative to `base`."""

    @abstractmethod
    def audio_folders(self, base: Path, part: str) -> Iterable[Path]:
        """Where the audio of a part lies."""

    def listed(
        self,
        clip_id: str,
        path: str,
        speaker: str,
        system: tuple[str, str, SpeechKind] | None,
        *,
        source: str,
        split: str,
    ) -> Row:
        """The row of a clip in a list: `system` is the generator, its family and kind of a spoof, None of bona fide."""
        generator, family, kind = system or (None, None, None)
        return Row(
            clip_id=clip_id, path=path, label="spoof" if system else "bonafide", generator=generator, family=family,
            kind=kind, speaker=speaker, source=source, licence=self.facts.licence, split=split,
        )  # fmt: skip

    def parts_at(self, base: Path) -> tuple[str, ...]:
        """The parts that are there."""
        return tuple(part for part in self.parts if not self._lacking(base, part))

    def find(self, root: Path) -> Path:
        """The folder in which the corpus begins: `root`, or the one that its archive unpacked to there.

        Raises `InputError` when there is no such folder, `UsageError` that says what is missing when it is not
        this corpus.
        """
        if not root.is_dir():
            raise InputError(f"{root}: no such folder; give the one that holds {self.facts.title}", code="not_found")
        bases = [root, *(root / name for name in self.nested if (root / name).is_dir())]
        for base in bases:
            if self.parts_at(base):
                return base
        raise UsageError(
            f"{bases[-1]}: not {self.facts.title} as it is released: {self._what_is_missing(bases[-1])}; "
            f"unpack all archives of {self.facts.home or 'the corpus'} there, or give another folder"
        )

    def clips(self, root: Path, part: str | None = None) -> Iterator[CorpusRow]:
        """Every clip, or those of one part, with text and language; paths are relative to `root`.

        Raises as `find` does, `UsageError` for a part that is not there, and, while reading, `InputError` that
        names file and line for a list that is malformed, or the clip that is listed twice.
        """
        base = self.find(root)
        return _not_none(self._clips(root, base, self._wanted(base, part)), base)

    def rows(self, root: Path, part: str | None = None) -> Iterator[Row]:
        """The rows of `clips` alone."""
        return (clip.row for clip in self.clips(root, part))

    def check(self, root: Path) -> CorpusCheck:
        """Compare lists, audio files and published counts, for every part that is there. Raises as `clips` does."""
        base = self.find(root)
        inventory = Inventory(base)
        present = self.parts_at(base)
        for part in present:
            rows = (clip.row for clip in self._clips(base, base, (part,)))
            inventory.add_part(part, rows, self.audio_folders(base, part), self.published.get(part))
        absent = tuple(part for part in self.parts if part not in present)
        return inventory.result(self.facts.title, root, absent)

    def _what_is_missing(self, base: Path) -> str:
        lacking = [place for part in self.parts for place in self._lacking(base, part)]
        return f"{', '.join(dict.fromkeys(lacking))} missing"

    def _lacking(self, base: Path, part: str) -> list[str]:
        return [places[0] for places in self.needs(part) if _first(base, places) is None]

    def _place(self, base: Path, part: str, index: int) -> Path:
        """Where the thing lies that stands at `index` in the part's needs."""
        found = _first(base, self.needs(part)[index])
        if found is None:
            raise InputError(f"{base / self.needs(part)[index][0]}: gone while it was read", code="not_found")
        return found

    def _wanted(self, base: Path, part: str | None) -> tuple[str, ...]:
        present = self.parts_at(base)
        if part is None:
            chosen = tuple(name for name in present if self.whole is None or name in self.whole)
            if not chosen:
                raise UsageError(f"{base}: only parts are there; name one of {', '.join(present)}")
            return chosen
        if part in present:
            return (part,)
        if part in self.parts:
            lacking = ", ".join(self._lacking(base, part))
            raise UsageError(f"{base}: part {part} is not there: {lacking} missing; there are {', '.join(present)}")
        known = ", ".join(self.parts or present)
        raise UsageError(f"{self.facts.title} has no part {part!r}; known: {known}")

    def _clips(self, root: Path, base: Path, parts: tuple[str, ...]) -> Iterator[CorpusRow]:
        """With paths from `root` on, and no clip twice."""
        prefix = "" if base == root else f"{base.relative_to(root).as_posix()}/"
        seen: set[str] = set()
        for part in parts:
            for clip in self.read(base, part):
                if clip.row.clip_id in seen:
                    raise InputError(
                        f"{base}: clip {clip.row.clip_id} is listed twice; restore the lists of the release",
                        code="read_error",
                    )
                seen.add(clip.row.clip_id)
                if prefix:
                    clip = dataclasses.replace(clip, row=dataclasses.replace(clip.row, path=prefix + clip.row.path))
                yield clip


def _not_none(clips: Iterator[CorpusRow], base: Path) -> Iterator[CorpusRow]:
    """The same clips. Raises `InputError` at the end when there was none: no data is never good data."""
    is_empty = True
    for clip in clips:
        is_empty = False
        yield clip
    if is_empty:
        raise InputError(f"{base}: holds no clip; unpack the audio there", code="not_found")


def _first(base: Path, places: Needed) -> Path | None:
    """The first of the places that is there."""
    return next((base / place for place in places if (base / place).exists()), None)
