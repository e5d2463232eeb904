"""ASVspoof 2019, logical access."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from ...core.cliprecord import SpeechKind
from .corpus import Corpus, CorpusRow, Facts, Needed
from .inventory import Counts
from .protocol import inside, label_of, malformed, read_columns
from .registry import CORPORA

SYSTEMS: dict[str, tuple[str, SpeechKind]] = {
    "A01": ("WaveNet", "tts"),
    "A02": ("WORLD", "tts"),
    "A03": ("WORLD", "tts"),
    "A04": ("Unit selection", "tts"),
    "A05": ("WORLD", "vc"),
    "A06": ("Spectral filtering", "vc"),
    "A07": ("WORLD", "tts"),
    "A08": ("NSF", "tts"),
    "A09": ("Vocaine", "tts"),
    "A10": ("WaveRNN", "tts"),
    "A11": ("Griffin-Lim", "tts"),
    "A12": ("WaveNet", "tts"),
    "A13": ("Waveform filtering", "vc"),
    "A14": ("STRAIGHT", "vc"),
    "A15": ("WaveNet", "vc"),
    "A16": ("Unit selection", "tts"),
    "A17": ("Waveform filtering", "vc"),
    "A18": ("MFCC vocoder", "vc"),
    "A19": ("Spectral filtering", "vc"),
}
"""Family (what generates the waveform) and kind of each attack, after the systems' table of the database paper
(Wang et al., 2020). A16 is A04 and A19 is A06 with other training data: only the family keeps such pairs together.
A13 to A15 convert speech that a synthesiser made; they are filed under `vc`."""

_PROTOCOLS = {"train": "train.trn", "dev": "dev.trl", "eval": "eval.trl"}
_COLUMNS = "speaker, file, -, attack, key"


def asvspoof2019_spoof(attack: str, where: str) -> tuple[str, str, SpeechKind]:
    """Generator, family and kind of an attack id of 2019, which the corpora of 2021 share."""
    if attack not in SYSTEMS:
        raise malformed(where, f"{attack!r} is no attack of ASVspoof 2019 (A01 to A19)")
    return f"ASVspoof2019-{attack}", *SYSTEMS[attack]


@CORPORA.register("asvspoof2019-la")
class ASVspoof2019LA(Corpus):
    """VCTK speech and 19 attacks on it, the last 13 of them in `eval` only.

    Layout: `LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.{train.trn,dev.trl,eval.trl}.txt`, whose lines read
    `LA_0079 LA_T_1138215 - - bonafide`, and `LA/ASVspoof2019_LA_{train,dev,eval}/flac/LA_T_1138215.flac`. The flac
    folders of dev and eval hold enrolment speech for speaker verification too, which no list of this task names.

    Source: README.LA.txt of the release; Wang et al., 2020, tables 1 and 2, for systems and counts.
    """

    facts = Facts(
        title="ASVspoof 2019 LA",
        what="VCTK voices and 19 TTS and VC attacks of 2018",
        citation="Wang et al., ASVspoof 2019: A large-scale public database of synthesized, converted and replayed "
        "speech, Computer Speech and Language 64, 2020 (arXiv:1911.01601)",
        year=2019,
        licence="ODC-By 1.0",
        home="https://datashare.ed.ac.uk/handle/10283/3336",
    )
    parts = ("train", "dev", "eval")
    nested = ("LA",)
    published: ClassVar = {
        "train": Counts(25_380, 2_580, 22_800, 20),
        "dev": Counts(24_844, 2_548, 22_296, 20),
        "eval": Counts(71_237, 7_355, 63_882, 67),
    }

    def needs(self, part: str) -> tuple[Needed, ...]:
        """The protocol of the part, and its audio."""
        protocol = f"ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.{_PROTOCOLS[part]}.txt"
        return (protocol,), (f"ASVspoof2019_LA_{part}/flac",)

    def audio_folders(self, base: Path, part: str) -> Iterable[Path]:
        """One flat folder."""
        return (self._place(base, part, 1),)

    def read(self, base: Path, part: str) -> Iterator[CorpusRow]:
        """In the order of the protocol."""
        folder = self._place(base, part, 1).relative_to(base).as_posix()
        for where, (speaker, clip_id, _, attack, key) in read_columns(self._place(base, part, 0), {5}, _COLUMNS):
            label = label_of(key, where)
            if (label == "bonafide") != (attack == "-"):
                raise malformed(where, f"attack {attack!r} does not go with key {key!r}")
            system = None if label == "bonafide" else asvspoof2019_spoof(attack, where)
            path = inside(f"{folder}/{clip_id}.flac", where)
            row = self.listed(clip_id, path, speaker, system, source="VCTK", split=part)
            yield CorpusRow(row, language="en")
