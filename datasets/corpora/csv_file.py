"""Any list of clips as a CSV file."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from ...core.errors import InputError, UsageError
from ...core.records import Label, Row
from .corpus import Corpus, CorpusRow, Facts, Needed
from .protocol import LABEL_WORDS, inside, label_of, read_table
from .registry import CORPORA


@dataclass(frozen=True)
class Columns:
    """Which column of a CSV file says what. None: the file does not say it."""

    path: str = "path"
    """File of the clip, relative to the folder of the CSV file."""
    label: str = "label"
    clip_id: str | None = None
    """Without it, a clip's id is its path."""
    generator: str | None = None
    family: str | None = None
    kind: str | None = None
    speaker: str | None = None
    source: str | None = None
    licence: str | None = None
    split: str | None = None
    text: str | None = None
    language: str | None = None

    def named(self) -> dict[str, str]:
        """What the file says, and in which column."""
        return {field.name: getattr(self, field.name) for field in fields(self) if getattr(self, field.name)}


@CORPORA.register("csv")
class CsvCorpus(Corpus):
    """Clips that a CSV file lists, one per line, with a header.

    Layout: a folder with a file `*.csv`, and paths in it that are relative to that folder. A label is one of
    `protocol.LABEL_WORDS`; any other word, and above all a number, whose meaning differs from corpus to corpus,
    has to be mapped. There is one part. Source: the user's own file.
    """

    facts = Facts(
        title="a CSV file of clips",
        what="your own clips, listed with labels",
        citation=None,
        year=None,
        licence="yours",
        home=None,
    )
    parts = ("all",)

    def __init__(
        self,
        columns: Columns | None = None,
        *,
        file: str | None = None,
        labels: Mapping[str, Label] | None = None,
        delimiter: str = ",",
    ) -> None:
        """`file` is its name in the folder, to be left out where there is one CSV file alone.

        `labels` maps words of the label column, in lower case or not, in place of `LABEL_WORDS`.
        """
        self._columns = (columns or Columns()).named()
        self._file = file
        self._labels = {word.lower(): label for word, label in (labels or LABEL_WORDS).items()}
        self._delimiter = delimiter

    def find(self, root: Path) -> Path:
        """The folder itself. Raises `InputError` when it is not there, `UsageError` for none or many CSV files."""
        base = super().find(root)
        self._list(base)
        return base

    def needs(self, part: str) -> tuple[Needed, ...]:
        """Nothing by a name of its own; `find` looks for the file."""
        return ()

    def audio_folders(self, base: Path, part: str) -> Iterable[Path]:
        """The folder of the file."""
        return (base,)

    def read(self, base: Path, part: str) -> Iterator[CorpusRow]:
        """In the order of the file."""
        path = self._list(base)
        for where, line in read_table(path, tuple(self._columns.values()), delimiter=self._delimiter):
            yield self._clip({name: line[column].strip() for name, column in self._columns.items()}, where)

    def _clip(self, said: dict[str, str], where: str) -> CorpusRow:
        path = inside(said["path"], where)
        row = Row(
            clip_id=said.get("clip_id") or path,
            path=path,
            label=label_of(said["label"], where, self._labels),
            generator=said.get("generator") or None,
            family=said.get("family") or None,
            kind=said.get("kind") or None,
            speaker=said.get("speaker") or None,
            source=said.get("source") or None,
            licence=said.get("licence") or None,
            split=said.get("split") or None,
        )
        return CorpusRow(row, said.get("text") or None, said.get("language") or None)

    def _list(self, base: Path) -> Path:
        """The CSV file."""
        if self._file is not None:
            path = base / self._file
            if not path.is_file():
                raise InputError(f"{path}: no such file; give the name of the list", code="not_found")
            return path
        found = sorted(path.name for path in base.glob("*.csv") if path.is_file())
        if len(found) != 1:
            names = ", ".join(found) or "none"
            raise UsageError(f"{base}: one CSV file is expected, there is {names}; name the file")
        return base / found[0]
