"""SpoofCeleb."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import ClassVar

from ...core.records import Row
from .corpus import Corpus, CorpusRow, Facts, Needed
from .inventory import Counts
from .protocol import inside, malformed, read_table
from .registry import CORPORA

_NAMES = {"train": ("train",), "dev": ("development", "dev"), "eval": ("evaluation", "eval")}
_SPEAKER = re.compile(r"id\d{5}")
_BONAFIDE = "a00"


@CORPORA.register("spoofceleb")
class SpoofCeleb(Corpus):
    """VoxCeleb1, and 23 text-to-speech systems trained on it: noisy speech of many rooms on both sides.

    Layout: `metadata/{train,development,evaluation}.csv` with at least the columns file and attack (`a00` is bona
    fide), and `flac/{train,development,evaluation}/FILE`, where FILE is `a00/id11178/LAHad7VLKXw-00007-001.flac`.

    The short names dev and eval are taken too, as it is not confirmed which of them every release has. Where there
    is no column speaker, the speaker is the VoxCeleb id in the path. The attacks' systems are not mapped to
    families: their table was not at hand.

    Source: Jung et al., 2025; layout and counts as the card of DeepFense/SpoofCeleb on Hugging Face has them; licence
    as the authors' own copy there, jungjee/spoofceleb, states it.
    """

    facts = Facts(
        title="SpoofCeleb",
        what="VoxCeleb1 voices and 23 TTS systems trained on them",
        citation="Jung et al., SpoofCeleb: Speech deepfake detection and SASV in the wild, IEEE OJSP 6, 2025 "
        "(arXiv:2409.17285)",
        year=2024,
        licence="CC BY 4.0",
        home="https://jungjee.github.io/spoofceleb",
    )
    parts = tuple(_NAMES)
    nested = ("spoofceleb",)
    published: ClassVar = {
        "train": Counts(2_540_421, 230_948, 2_309_473),
        "dev": Counts(55_741, 7_963, 47_778),
        "eval": Counts(91_130, 9_113, 82_017),
    }

    def needs(self, part: str) -> tuple[Needed, ...]:
        """The list, and the audio."""
        names = _NAMES[part]
        return tuple(f"metadata/{name}.csv" for name in names), tuple(f"flac/{name}" for name in names)

    def audio_folders(self, base: Path, part: str) -> Iterable[Path]:
        """One tree."""
        return (self._place(base, part, 1),)

    def read(self, base: Path, part: str) -> Iterator[CorpusRow]:
        """In the order of the list."""
        folder = self._place(base, part, 1).relative_to(base)
        for where, line in read_table(self._place(base, part, 0), ("file", "attack")):
            place = PurePosixPath(inside(line["file"], where))
            attack = line["attack"].strip().lower()
            if not re.fullmatch(r"a\d\d", attack):
                raise malformed(where, f"attack {line['attack']!r} is not one of a00 to a23")
            is_bonafide = attack == _BONAFIDE
            row = Row(
                clip_id=f"{part}/{place.with_suffix('')}",
                path=(folder / place).as_posix(),
                label="bonafide" if is_bonafide else "spoof",
                generator=None if is_bonafide else f"SpoofCeleb-{attack}",
                kind=None if is_bonafide else "tts",
                speaker=line.get("speaker") or next(filter(_SPEAKER.fullmatch, place.parts), None),
                source="VoxCeleb1",
                licence=self.facts.licence,
                split=part,
            )
            yield CorpusRow(row)
