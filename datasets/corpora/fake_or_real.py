"""FakeOrReal (FoR)."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from ...core.errors import UsageError
from ...core.records import Label, Row
from .corpus import Corpus, CorpusRow, Facts, Needed
from .inventory import audio_files
from .registry import CORPORA

_FOLDERS = {"train": "training", "dev": "validation", "eval": "testing"}
_LABELS: dict[str, Label] = {"real": "bonafide", "fake": "spoof"}


@CORPORA.register("fake-or-real")
class FakeOrReal(Corpus):
    """Commercial and open text-to-speech against read and web speech; which system made a clip is not told.

    Layout: one version of the corpus (`for-original`, `for-norm`, `for-2sec` or `for-rerec`) with
    `{training,validation,testing}/{real,fake}/*.wav`. Archives unpack to a folder in a folder of about the same
    name; both are looked into. The versions hold the same utterances, so one of them is read at a time.

    Counts per part and the licence are not confirmed, and the counts not compared; the abstract of the paper speaks of
    more than 198,000 utterances. Speakers and generators are not in the release.

    Source: Reimao and Tzerpos, 2019 (abstract).
    """

    facts = Facts(
        title="FakeOrReal",
        what="text-to-speech of 2019 against read and web speech",
        citation="Reimao and Tzerpos, FoR: A dataset for synthetic speech detection, SpeD 2019",
        year=2019,
        licence="not confirmed",
        home="https://bil.eecs.yorku.ca/datasets/",
    )
    parts = tuple(_FOLDERS)

    def find(self, root: Path) -> Path:
        """As for every corpus, one or two folders deep. Raises `UsageError` too when there are several versions."""
        if root.is_dir() and not self.parts_at(root):
            versions = [path for depth in ("for-*", "for-*/for-*") for path in root.glob(depth) if self.parts_at(path)]
            if len(versions) > 1:
                names = ", ".join(sorted(str(path.relative_to(root)) for path in versions))
                raise UsageError(f"{root}: several versions of the same utterances ({names}); give the folder of one")
            if versions:
                return versions[0]
        return super().find(root)

    def needs(self, part: str) -> tuple[Needed, ...]:
        """Both classes."""
        return tuple((f"{_FOLDERS[part]}/{name}",) for name in _LABELS)

    def audio_folders(self, base: Path, part: str) -> Iterable[Path]:
        """That of the part."""
        return (base / _FOLDERS[part],)

    def read(self, base: Path, part: str) -> Iterator[CorpusRow]:
        """Real clips, then fake ones, in the order of the file names."""
        for name, label in _LABELS.items():
            for path in audio_files(base / _FOLDERS[part] / name):
                place = path.relative_to(base)
                row = Row(
                    clip_id=place.with_suffix("").as_posix(),
                    path=place.as_posix(),
                    label=label,
                    kind="tts" if label == "spoof" else None,
                    source="FakeOrReal",
                    licence=self.facts.licence,
                    split=part,
                )
                yield CorpusRow(row, language="en")
