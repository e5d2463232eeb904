"""ASVspoof 2021, deepfake track."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from ...core.cliprecord import SpeechKind
from .asvspoof2019_la import asvspoof2019_spoof
from .asvspoof2021_la import PHASES, check_attack, check_phase, keys_and_audio
from .corpus import Corpus, CorpusRow, Facts, Needed
from .inventory import Counts
from .protocol import inside, label_of, malformed, read_columns
from .registry import CORPORA

_SOURCES = {"asvspoof": "VCTK", "vcc2018": "VCC2018", "vcc2020": "VCC2020"}
_COLUMNS = "speaker, file, codec, source, attack, key, trim, phase, vocoder, and up to four on the VCC team"


@CORPORA.register("asvspoof2021-df")
class ASVspoof2021DF(Corpus):
    """Speech of ASVspoof 2019 and of the voice conversion challenges of 2018 and 2020, through lossy codecs.

    Layout: `ASVspoof2021_DF_eval/flac/DF_E_2000011.flac`, all four archives unpacked into one folder, and the keys,
    another download: `keys/DF/CM/trial_metadata.txt` with lines that begin
    `LA_0023 DF_E_2000011 nocodec asvspoof A14 spoof notrim progress traditional_vocoder`. Parts are the phases of
    the challenge, all of them for evaluation; published figures are those of `eval`.

    The family of what comes from a voice conversion challenge is its team's system. That the columns after the
    ninth are task, team, gender pair and language is not confirmed; they are not used.

    Source: eval-package/README.md of asvspoof-challenge/2021 (layout); Liu et al., 2023 (counts).
    """

    facts = Facts(
        title="ASVspoof 2021 DF",
        what="over 100 TTS and VC systems through mp3, m4a and ogg",
        citation="Liu et al., ASVspoof 2021: Towards spoofed and deepfake speech detection in the wild, IEEE/ACM "
        "TASLP 31, 2023 (arXiv:2210.02437)",
        year=2021,
        licence="ODC-By 1.0",
        home="https://zenodo.org/records/4835108",
    )
    parts = PHASES
    nested = ("ASVspoof2021_DF_eval",)
    published: ClassVar = {
        "eval": Counts(533_928, 14_869, 519_059),
        "progress": Counts(59_325, 5_768, 53_557),
        "hidden": Counts(18_576, 1_980, 16_596),
    }

    def needs(self, part: str) -> tuple[Needed, ...]:
        """The keys, in one of the places where people unpack them, and the audio."""
        return keys_and_audio("DF")

    def audio_folders(self, base: Path, part: str) -> Iterable[Path]:
        """One flat folder for all phases."""
        return (self._place(base, part, 1),)

    def read(self, base: Path, part: str) -> Iterator[CorpusRow]:
        """In the order of the keys."""
        folder = self._place(base, part, 1).relative_to(base).as_posix()
        for where, words in read_columns(self._place(base, part, 0), range(9, 14), _COLUMNS):
            speaker, clip_id, codec, source, attack, key, _, phase = words[:8]
            if check_phase(phase, where) != part:
                continue
            label = label_of(key, where)
            check_attack(attack, key, where)
            if source not in _SOURCES:
                raise malformed(where, f"source {source!r} is not one of {', '.join(_SOURCES)}")
            system = None if label == "bonafide" else _spoof(source, attack, where)
            path = inside(f"{folder}/{clip_id}.flac", where)
            row = self.listed(clip_id, path, speaker, system, source=_SOURCES[source], split="eval")
            yield CorpusRow(row, channel=codec)


def _spoof(source: str, attack: str, where: str) -> tuple[str, str, SpeechKind]:
    if source == "asvspoof":
        return asvspoof2019_spoof(attack, where)
    name = f"{_SOURCES[source]}-{attack}"
    return name, name, "vc"
