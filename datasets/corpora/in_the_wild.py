"""In-the-Wild."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from ...core.records import Row
from .corpus import Corpus, CorpusRow, Facts, Needed
from .inventory import Counts
from .protocol import inside, label_of, read_table
from .registry import CORPORA


@CORPORA.register("in-the-wild")
class InTheWild(Corpus):
    """Celebrities and politicians, and fakes of them found on the web; the generators are not known.

    Layout: `release_in_the_wild/meta.csv` with the columns file, speaker and label (`bona-fide` or `spoof`), and
    beside it `0.wav`, `1.wav` and so on. There is one part, made for evaluation.

    Source: Müller et al., 2022 (counts of clips and hours). The paper has 58 speakers; a count of meta.csv by
    others has 54, so the number of speakers is not compared. The licence is the one that the authors' copy on Hugging
    Face (mueller91/In-The-Wild) states; for older downloads it is not confirmed.
    """

    facts = Facts(
        title="In-the-Wild",
        what="public figures, and deepfakes of them from the web",
        citation="Müller et al., Does audio deepfake detection generalize?, Interspeech 2022 (arXiv:2203.16263)",
        year=2022,
        licence="CC BY-SA 4.0",
        home="https://deepfake-total.com/in_the_wild",
        hours=37.9,
    )
    parts = ("eval",)
    nested = ("release_in_the_wild",)
    published: ClassVar = {"eval": Counts(31_779, 19_963, 11_816)}

    def needs(self, part: str) -> tuple[Needed, ...]:
        """The list; the audio lies beside it."""
        return (("meta.csv",),)

    def audio_folders(self, base: Path, part: str) -> Iterable[Path]:
        """The corpus itself."""
        return (base,)

    def read(self, base: Path, part: str) -> Iterator[CorpusRow]:
        """In the order of the list."""
        for where, line in read_table(self._place(base, part, 0), ("file", "speaker", "label")):
            path, label = inside(line["file"], where), label_of(line["label"], where)
            row = Row(
                clip_id=Path(path).stem,
                path=path,
                label=label,
                speaker=line["speaker"] or None,
                source="In-the-Wild",
                licence=self.facts.licence,
                split="eval",
            )
            yield CorpusRow(row, language="en")
