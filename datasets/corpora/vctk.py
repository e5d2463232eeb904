"""VCTK, version 0.92."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from ...core.records import Row
from .corpus import Corpus, CorpusRow, Facts, Needed
from .inventory import Counts, audio_files
from .protocol import read_lines
from .registry import CORPORA

_AUDIO = "wav48_silence_trimmed"
_NAME = re.compile(r"((?:p|s)\d+)_(\d+)_(mic[12])")


@CORPORA.register("vctk")
class VCTK(Corpus):
    """110 English speakers with many accents, about 400 sentences each, in a studio; genuine speech only.

    Layout: `wav48_silence_trimmed/p225/p225_001_mic1.flac` and `txt/p225/p225_001.txt`. Parts are the microphones,
    which heard the same sentences: without a part, the first one alone is read. Other names are left out and show
    as unlisted. Older versions (a folder `wav48`) lie differently and are refused.

    Traps: there is no text of speaker p315, no second microphone of p280, and less of it for p362.

    Source: Yamagishi et al., 2019; notes of torchaudio.datasets.VCTK_092 on what is missing. The number of clips
    is not confirmed, and not compared.
    """

    facts = Facts(
        title="VCTK 0.92",
        what="genuine, 110 English speakers in a studio",
        citation="Yamagishi et al., CSTR VCTK Corpus: English multi-speaker corpus for CSTR voice cloning toolkit "
        "(version 0.92), University of Edinburgh, 2019",
        year=2019,
        licence="CC BY 4.0",
        home="https://datashare.ed.ac.uk/handle/10283/3443",
        hours=44.0,
    )
    parts = ("mic1", "mic2")
    whole = ("mic1",)
    nested = ("VCTK-Corpus-0.92", "VCTK-Corpus")
    published: ClassVar = {"mic1": Counts(speakers=110), "mic2": Counts(speakers=109)}

    def needs(self, part: str) -> tuple[Needed, ...]:
        """Audio and texts."""
        return (_AUDIO,), ("txt",)

    def audio_folders(self, base: Path, part: str) -> Iterable[Path]:
        """One tree for both microphones."""
        return (base / _AUDIO,)

    def read(self, base: Path, part: str) -> Iterator[CorpusRow]:
        """In the order of the file names."""
        for path in audio_files(base / _AUDIO):
            name = _NAME.fullmatch(path.stem)
            if name is None or name[3] != part or name[1] != path.parent.name:
                continue
            row = Row(
                clip_id=path.stem,
                path=path.relative_to(base).as_posix(),
                label="bonafide",
                speaker=f"vctk_{name[1]}",
                source="VCTK",
                licence=self.facts.licence,
            )
            yield CorpusRow(row, _text(base / "txt" / name[1] / f"{name[1]}_{name[2]}.txt"), "en", part)


def _text(path: Path) -> str | None:
    if not path.is_file():
        return None
    return " ".join(line.strip() for _, line in read_lines(path)) or None
