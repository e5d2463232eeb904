"""Common Voice."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from ...core.records import Row
from .corpus import Corpus, CorpusRow, Facts, Needed
from .protocol import inside, malformed, read_table
from .registry import CORPORA

_SPLITS = {"train": "train", "dev": "dev", "test": "eval"}
_REQUIRED = ("client_id", "path", "sentence")


@CORPORA.register("common-voice")
class CommonVoice(Corpus):
    """Sentences read by volunteers at their own devices, as mp3, in many languages; genuine speech only.

    Layout: one language of a release (`cv-corpus-VERSION/LANGUAGE`) with `validated.tsv`, `train.tsv`, `dev.tsv`,
    `test.tsv`, `other.tsv`, `invalidated.tsv`, a quotation mark in them being a character like others, and `clips/`.
    Parts are these lists. Without a part, `validated` is read, with the split of the clips that train, dev or test
    name as well. The speaker is `client_id`, which can change for one person from device to device.

    Traps: clips are bona fide because volunteers listened to them; of `other` nobody did, and `invalidated` can
    hold anything. All is mp3, so a detector can learn the codec in place of the class.

    Source: Ardila et al., 2020; columns as of the releases on Hugging Face (version 17): client_id, path, sentence
    and locale are used, the last only where it is there. Counts differ with version and language: none is compared.
    """

    facts = Facts(
        title="Common Voice",
        what="genuine, volunteers, over 100 languages, mp3",
        citation="Ardila et al., Common Voice: A massively-multilingual speech corpus, LREC 2020 (arXiv:1912.06670)",
        year=2020,
        licence="CC0 1.0",
        home="https://commonvoice.mozilla.org/datasets",
    )
    parts = ("validated", "train", "dev", "test", "other", "invalidated")
    whole = ("validated",)

    def needs(self, part: str) -> tuple[Needed, ...]:
        """The list, and the audio."""
        return (f"{part}.tsv",), ("clips",)

    def audio_folders(self, base: Path, part: str) -> Iterable[Path]:
        """One flat folder for all lists."""
        return (base / "clips",)

    def read(self, base: Path, part: str) -> Iterator[CorpusRow]:
        """In the order of the list."""
        splits = _splits(base) if part == "validated" else {}
        for where, line in read_table(base / f"{part}.tsv", _REQUIRED, delimiter="\t", quoted=False):
            if not line["client_id"]:
                raise malformed(where, "no client_id")
            name = inside(line["path"], where)
            row = Row(
                clip_id=Path(name).stem,
                path=f"clips/{name}",
                label="bonafide",
                speaker=line["client_id"],
                source="Common Voice",
                licence=self.facts.licence,
                split=splits.get(name, _SPLITS.get(part)),
            )
            yield CorpusRow(row, line["sentence"] or None, line.get("locale") or base.name)

    def _what_is_missing(self, base: Path) -> str:
        languages = sorted(path.parent.name for path in base.glob("*/validated.tsv"))
        if languages:
            return f"it holds the languages {', '.join(languages)}: give the folder of one"
        return "validated.tsv or clips missing"


def _splits(base: Path) -> dict[str, str]:
    """The split of each file that train, dev or test name."""
    return {
        line["path"]: split
        for name, split in _SPLITS.items()
        if (base / f"{name}.tsv").is_file()
        for _, line in read_table(base / f"{name}.tsv", _REQUIRED, delimiter="\t", quoted=False)
    }
