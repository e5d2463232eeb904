"""What of a corpus is on the disk, against what its lists and its papers say."""

import dataclasses
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ...core.errors import InputError
from ...core.records import Row

AUDIO_SUFFIXES = frozenset({".flac", ".m4a", ".mp3", ".ogg", ".opus", ".wav"})


@dataclass(frozen=True)
class Counts:
    """How many clips and speakers there are. None: not published, or the corpus does not say."""

    utterances: int | None = None
    bonafide: int | None = None
    spoof: int | None = None
    speakers: int | None = None


@dataclass(frozen=True)
class PartCheck:
    """One part: what its list holds, and what was published of it."""

    part: str
    listed: Counts
    published: Counts | None

    @property
    def differences(self) -> tuple[str, ...]:
        """One phrase for each count that is not the published one."""
        if self.published is None:
            return ()
        listed, published = dataclasses.asdict(self.listed), dataclasses.asdict(self.published)
        return tuple(
            f"{listed[name] or 0} {name}, published {count}"
            for name, count in published.items()
            if count is not None and count != (listed[name] or 0)
        )


@dataclass(frozen=True)
class CorpusCheck:
    """What a check found. Paths are relative to where the corpus begins.

    `unlisted` is no fault in itself: some releases hold audio that is for other tasks.
    """

    title: str
    root: Path
    parts: tuple[PartCheck, ...]
    absent_parts: tuple[str, ...]
    missing: tuple[str, ...]
    """Listed, but not there."""
    unlisted: tuple[str, ...]
    """There, but not listed."""

    @property
    def is_whole(self) -> bool:
        """Whether every part that is there has all its files, as many as published."""
        return not self.missing and not any(part.differences for part in self.parts)


class Inventory:
    """Collects the parts of one corpus, then compares lists with files."""

    def __init__(self, base: Path) -> None:
        """`base` is where the corpus begins."""
        self._base = base
        self._parts: list[PartCheck] = []
        self._listed: set[str] = set()
        self._there: set[str] = set()
        self._walked: set[Path] = set()

    def add_part(self, part: str, rows: Iterable[Row], folders: Iterable[Path], published: Counts | None) -> None:
        """Count one part's rows and find its audio. Parts may share clips and folders."""
        labels = {"bonafide": 0, "spoof": 0}
        speakers: set[tuple[str | None, str]] = set()
        for row in rows:
            labels[row.label] += 1
            self._listed.add(row.path)
            if row.speaker is not None:
                speakers.add((row.source, row.speaker))
        counts = Counts(sum(labels.values()), labels["bonafide"], labels["spoof"], len(speakers) or None)
        self._parts.append(PartCheck(part, counts, published))
        for folder in folders:
            if folder not in self._walked:
                self._walked.add(folder)
                self._there.update(path.relative_to(self._base).as_posix() for path in audio_files(folder))

    def result(self, title: str, root: Path, absent_parts: tuple[str, ...]) -> CorpusCheck:
        """The comparison. A listed file that lies outside of the audio folders is looked for by its name."""
        missing = (path for path in self._listed - self._there if not (self._base / path).is_file())
        unlisted = self._there - self._listed
        return CorpusCheck(
            title, root, tuple(self._parts), absent_parts, tuple(sorted(missing)), tuple(sorted(unlisted))
        )


def audio_files(folder: Path) -> Iterator[Path]:
    """Audio files below a folder by their suffix, in order; hidden ones are left out, links to folders not entered.

    Raises `InputError` for a folder that cannot be read.
    """
    for parent, subfolders, names in os.walk(folder, onerror=_refuse):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in AUDIO_SUFFIXES:
                yield Path(parent, name)


def _refuse(error: OSError) -> NoReturn:
    raise InputError(
        f"{error.filename}: cannot be read: {error.strerror}; make it readable", code="read_error"
    ) from error
