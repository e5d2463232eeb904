"""LJSpeech."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from ...core.records import Row
from .corpus import Corpus, CorpusRow, Facts, Needed
from .inventory import Counts
from .protocol import inside, malformed, read_lines
from .registry import CORPORA


@CORPORA.register("ljspeech")
class LJSpeech(Corpus):
    """One woman who reads seven books for LibriVox; genuine speech only, and the voice of many fakes.

    Layout: `LJSpeech-1.1/metadata.csv`, three fields between `|` (name, text, text with numbers in words), where a
    quotation mark is a character like others, and `wavs/LJ001-0001.wav`. The text given is the last field.

    Source: keithito.com/LJ-Speech-Dataset (version 1.1: counts, hours, layout).
    """

    facts = Facts(
        title="LJSpeech 1.1",
        what="genuine, one English speaker, audiobooks",
        citation="Ito and Johnson, The LJ Speech dataset, 2017",
        year=2017,
        licence="public domain",
        home="https://keithito.com/LJ-Speech-Dataset/",
        hours=23.9,
    )
    parts = ("all",)
    nested = ("LJSpeech-1.1",)
    published: ClassVar = {"all": Counts(13_100, 13_100, 0, 1)}

    def needs(self, part: str) -> tuple[Needed, ...]:
        """Texts and audio."""
        return ("metadata.csv",), ("wavs",)

    def audio_folders(self, base: Path, part: str) -> Iterable[Path]:
        """One flat folder."""
        return (base / "wavs",)

    def read(self, base: Path, part: str) -> Iterator[CorpusRow]:
        """In the order of the list."""
        for where, line in read_lines(base / "metadata.csv"):
            fields = line.split("|")
            if len(fields) != 3:
                raise malformed(where, f"{len(fields)} fields between | where 3 are expected")
            clip_id = inside(fields[0], where)
            row = Row(
                clip_id=clip_id,
                path=f"wavs/{clip_id}.wav",
                label="bonafide",
                speaker="LJ",
                source="LJSpeech",
                licence=self.facts.licence,
            )
            yield CorpusRow(row, fields[2] or fields[1] or None, "en")
