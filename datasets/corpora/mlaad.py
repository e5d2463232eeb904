"""MLAAD, the multi-language audio anti-spoofing dataset."""

from collections.abc import Iterable, Iterator
from pathlib import Path, PureWindowsPath

from ...core.errors import UsageError
from ...core.records import Row
from .corpus import Corpus, CorpusRow, Facts, Needed
from .protocol import inside, malformed, read_table
from .registry import CORPORA

_REQUIRED = ("path", "language", "model_name", "architecture")


@CORPORA.register("mlaad")
class MLAAD(Corpus):
    """Fakes only, from many text-to-speech models in many languages; genuine speech is that of M-AILABS.

    Layout: `fake/LANGUAGE/MODEL/meta.csv`, fields between `|` without quotation, and beside it the clips. Columns:
    path, original_file, language, is_original_language, duration, training_data, model_name, architecture,
    transcript. Parts are the languages. The file is looked for beside meta.csv, whatever folder `path` begins with.

    Versions differ in models and hours, so no counts are compared; the hours are those of version 9. That
    is_original_language, training_data and transcript are in every version is not confirmed: only path, language,
    model_name and architecture are required.

    Source: Müller et al., 2024 (arXiv:2401.09512, abstract of version 9: 140 models, 51 languages, 678.3 h); licence
    as the authors' card of mueller91/MLAAD on Hugging Face states it, whose tag for some time said Apache 2.0.
    """

    facts = Facts(
        title="MLAAD",
        what="fakes only, 140 TTS models in 51 languages (version 9)",
        citation="Müller et al., MLAAD: The multi-language audio anti-spoofing dataset, IJCNN 2024 (arXiv:2401.09512)",
        year=2024,
        licence="CC BY-NC 4.0",
        home="https://deepfake-total.com/mlaad",
        hours=678.3,
    )
    parts = ()

    def needs(self, part: str) -> tuple[Needed, ...]:
        """The folder of the language."""
        return ((f"fake/{part}",),)

    def parts_at(self, base: Path) -> tuple[str, ...]:
        """The languages that have a model with a list."""
        return tuple(sorted({meta.parent.parent.name for meta in base.glob("fake/*/*/meta.csv")}))

    def audio_folders(self, base: Path, part: str) -> Iterable[Path]:
        """That of the language."""
        return (base / "fake" / part,)

    def read(self, base: Path, part: str) -> Iterator[CorpusRow]:
        """Model by model, each in the order of its list."""
        for folder in sorted(path for path in (base / "fake" / part).iterdir() if path.is_dir()):
            if not (folder / "meta.csv").is_file():
                raise UsageError(f"{folder}: no meta.csv; unpack this model again, or remove its folder")
            for where, line in read_table(folder / "meta.csv", _REQUIRED, delimiter="|", quoted=False):
                yield self._clip(line, folder.relative_to(base), where)

    def _clip(self, line: dict[str, str], folder: Path, where: str) -> CorpusRow:
        if not line["model_name"] or not line["architecture"]:
            raise malformed(where, "no model_name or no architecture")
        name = PureWindowsPath(inside(line["path"], where)).name  # reads both kinds of slash
        path = folder / name
        row = Row(
            clip_id=path.relative_to("fake").with_suffix("").as_posix(),
            path=path.as_posix(),
            label="spoof",
            generator=line["model_name"],
            family=line["architecture"],
            kind="tts",
            source="M-AILABS",
            licence=self.facts.licence,
        )
        return CorpusRow(row, line.get("transcript") or None, line["language"] or folder.parent.name)

    def _what_is_missing(self, base: Path) -> str:
        return "fake/LANGUAGE/MODEL/meta.csv missing"
