"""Any folder of audio."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from ...core.cliprecord import SpeechKind
from ...core.errors import UsageError
from ...core.records import Label, Row
from .corpus import Corpus, CorpusRow, Facts, Needed
from .inventory import audio_files
from .registry import CORPORA


@CORPORA.register("folder")
class FolderCorpus(Corpus):
    """Clips of one label, and of one generator where they are spoofs, in a folder and the folders in it.

    Layout: any; files count by their suffix. What is said of the clips is said of all of them alike. There is one
    part and no split. Source: the user's own words.
    """

    facts = Facts(
        title="a folder of audio",
        what="your own clips, all of one label",
        citation=None,
        year=None,
        licence="yours",
        home=None,
    )
    parts = ("all",)

    def __init__(
        self,
        label: Label | None = None,
        *,
        generator: str | None = None,
        family: str | None = None,
        kind: SpeechKind | None = None,
        speaker: str | None = None,
        licence: str | None = None,
        language: str | None = None,
    ) -> None:
        """`label` is what all clips are; the others are said of all clips too.

        Raises `UsageError` without a label, and for bona fide clips with a generator, family or kind.
        """
        if label is None:
            raise UsageError("a folder does not tell what is in it: say whether its clips are bonafide or spoof")
        if label == "bonafide" and (generator or family or kind):
            raise UsageError("bona fide clips have no generator, family or kind; leave them out, or say spoof")
        self._label = label
        self._made_by = (generator, family, kind)
        self._speaker, self._licence, self._language = speaker, licence, language

    def needs(self, part: str) -> tuple[Needed, ...]:
        """Nothing but the folder."""
        return ()

    def audio_folders(self, base: Path, part: str) -> Iterable[Path]:
        """The folder."""
        return (base,)

    def read(self, base: Path, part: str) -> Iterator[CorpusRow]:
        """In the order of the paths. A clip's id is its path, suffix and all, as two may differ in that alone."""
        generator, family, kind = self._made_by
        for path in audio_files(base):
            name = path.relative_to(base).as_posix()
            row = Row(
                clip_id=name,
                path=name,
                label=self._label,
                generator=generator,
                family=family,
                kind=kind,
                speaker=self._speaker,
                source=base.resolve().name,
                licence=self._licence,
            )
            yield CorpusRow(row, language=self._language)
