"""ASVspoof 2021, logical access."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from .asvspoof2019_la import asvspoof2019_spoof
from .corpus import Corpus, CorpusRow, Facts, Needed
from .inventory import Counts
from .protocol import inside, label_of, malformed, read_columns
from .registry import CORPORA

PHASES = ("eval", "progress", "hidden")
_COLUMNS = "speaker, file, codec, transmission, attack, key, trim, phase"


@CORPORA.register("asvspoof2021-la")
class ASVspoof2021LA(Corpus):
    """The attacks A07 to A19 of 2019, sent through telephone and voice-over-IP channels; for evaluation only.

    Layout: `ASVspoof2021_LA_eval/flac/LA_E_9332881.flac`, and beside or in that folder the keys, which are another
    download: `keys/LA/CM/trial_metadata.txt` with lines `LA_0009 LA_E_9332881 alaw ita_tx A07 spoof notrim eval`.
    Parts are the phases of the challenge. Published figures are those of `eval`; in `hidden` the silence at both
    ends was cut off. All three are filed under the split `eval`, and A07 to A19 keep their names of 2019.

    Source: eval-package/README.md of asvspoof-challenge/2021 (layout); Liu et al., 2023 (counts). Whether the
    attack of bona fide clips is `-` or `bonafide` in every release is not confirmed: both are taken.
    """

    facts = Facts(
        title="ASVspoof 2021 LA",
        what="attacks of 2019 over telephone and VoIP channels",
        citation="Liu et al., ASVspoof 2021: Towards spoofed and deepfake speech detection in the wild, IEEE/ACM "
        "TASLP 31, 2023 (arXiv:2210.02437)",
        year=2021,
        licence="ODC-By 1.0",
        home="https://zenodo.org/records/4837263",
    )
    parts = PHASES
    nested = ("ASVspoof2021_LA_eval",)
    published: ClassVar = {
        "eval": Counts(148_176, 14_816, 133_360),
        "progress": Counts(16_464, 1_676, 14_788),
        "hidden": Counts(16_926, 1_960, 14_966),
    }

    def needs(self, part: str) -> tuple[Needed, ...]:
        """The keys, in one of the places where people unpack them, and the audio."""
        return keys_and_audio("LA")

    def audio_folders(self, base: Path, part: str) -> Iterable[Path]:
        """One flat folder for all phases."""
        return (self._place(base, part, 1),)

    def read(self, base: Path, part: str) -> Iterator[CorpusRow]:
        """In the order of the keys."""
        folder = self._place(base, part, 1).relative_to(base).as_posix()
        for where, words in read_columns(self._place(base, part, 0), {8}, _COLUMNS):
            speaker, clip_id, codec, transmission, attack, key, _, phase = words
            if check_phase(phase, where) != part:
                continue
            label = label_of(key, where)
            check_attack(attack, key, where)
            system = None if label == "bonafide" else asvspoof2019_spoof(attack, where)
            path = inside(f"{folder}/{clip_id}.flac", where)
            row = self.listed(clip_id, path, speaker, system, source="VCTK", split="eval")
            yield CorpusRow(row, language="en", channel=f"{codec} {transmission}")


def keys_and_audio(track: str) -> tuple[Needed, Needed]:
    """Where the keys and the audio of a track of 2021 may lie: the archives leave open how they are put together."""
    keys = tuple(
        f"{folder}{track}/CM/trial_metadata.txt" for folder in ("keys/", f"{track}-keys-full/keys/", "../keys/", "")
    )
    return keys, ("flac", f"ASVspoof2021_{track}_eval/flac")


def check_phase(phase: str, where: str) -> str:
    """The phase, which must be known."""
    if phase not in PHASES:
        raise malformed(where, f"phase {phase!r} is not one of {', '.join(PHASES)}")
    return phase


def check_attack(attack: str, key: str, where: str) -> None:
    """Raise for a bona fide clip with an attack, or a spoof without one."""
    if (label_of(key, where) == "bonafide") != (attack in ("-", "bonafide")):
        raise malformed(where, f"attack {attack!r} does not go with key {key!r}")
