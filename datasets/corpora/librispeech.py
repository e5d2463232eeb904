"""LibriSpeech."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from ...core.errors import InputError
from ...core.records import Row
from .corpus import Corpus, CorpusRow, Facts, Needed
from .inventory import Counts
from .protocol import inside, malformed, read_lines
from .registry import CORPORA

_SPLITS = {"train": "train", "dev": "dev", "test": "eval"}


@CORPORA.register("librispeech")
class LibriSpeech(Corpus):
    """English audiobooks of LibriVox, read by volunteers; genuine speech only.

    Layout: `LibriSpeech/SUBSET/SPEAKER/CHAPTER/` with `84-121123-0000.flac` and one transcript per chapter,
    `84-121123.trans.txt`, whose lines begin with the name of the clip. Parts are the subsets. `SPEAKERS.TXT` beside
    them is not needed: the speaker is in every name. LibriTTS, which looks alike, is refused: it has other names.

    Trap: audiobooks come from mp3, so bona fide speech here has gone through a lossy codec once.

    Source: Panayotov et al., 2015 (hours, speakers); README.TXT of the release (layout); numbers of utterances as
    the release is commonly counted.
    """

    facts = Facts(
        title="LibriSpeech",
        what="genuine, English audiobooks, 2,484 speakers",
        citation="Panayotov et al., LibriSpeech: An ASR corpus based on public domain audio books, ICASSP 2015",
        year=2015,
        licence="CC BY 4.0",
        home="https://www.openslr.org/12",
        hours=982.1,
    )
    parts = (
        "train-clean-100",
        "train-clean-360",
        "train-other-500",
        "dev-clean",
        "dev-other",
        "test-clean",
        "test-other",
    )
    nested = ("LibriSpeech",)
    published: ClassVar = {
        "train-clean-100": Counts(28_539, 28_539, 0, 251),
        "train-clean-360": Counts(104_014, 104_014, 0, 921),
        "train-other-500": Counts(148_688, 148_688, 0, 1_166),
        "dev-clean": Counts(2_703, 2_703, 0, 40),
        "dev-other": Counts(2_864, 2_864, 0, 33),
        "test-clean": Counts(2_620, 2_620, 0, 40),
        "test-other": Counts(2_939, 2_939, 0, 33),
    }

    def needs(self, part: str) -> tuple[Needed, ...]:
        """The folder of the subset."""
        return ((part,),)

    def audio_folders(self, base: Path, part: str) -> Iterable[Path]:
        """The folder of the subset."""
        return (base / part,)

    def read(self, base: Path, part: str) -> Iterator[CorpusRow]:
        """Chapter by chapter, in the order of the transcripts. Raises `InputError` for a chapter without one."""
        split = _SPLITS[part.split("-")[0]]
        for chapter in sorted((base / part).glob("*/*/")):
            folder = chapter.relative_to(base).as_posix()
            speaker, prefix = chapter.parent.name, f"{chapter.parent.name}-{chapter.name}"
            transcript = chapter / f"{prefix}.trans.txt"
            if not transcript.is_file():
                raise InputError(f"{transcript}: missing; unpack {part} of LibriSpeech again", code="not_found")
            for where, line in read_lines(transcript):
                clip_id, _, text = line.partition(" ")
                if not clip_id.startswith(f"{prefix}-") or not text:
                    raise malformed(where, f"not a name that begins with {prefix}-, and its text")
                row = Row(
                    clip_id=clip_id,
                    path=inside(f"{folder}/{clip_id}.flac", where),
                    label="bonafide",
                    speaker=f"libri_{speaker}",
                    source="LibriSpeech",
                    licence=self.facts.licence,
                    split=split,
                )
                yield CorpusRow(row, text, "en")
