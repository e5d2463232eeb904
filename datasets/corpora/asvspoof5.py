"""ASVspoof 5, track 1."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from ...core.cliprecord import SpeechKind
from .corpus import Corpus, CorpusRow, Facts, Needed
from .inventory import Counts
from .protocol import inside, label_of, malformed, read_columns
from .registry import CORPORA

SYSTEMS: dict[str, tuple[str, SpeechKind]] = {
    "A01": ("Glow-TTS", "tts"),
    "A02": ("Glow-TTS", "tts"),
    "A03": ("Glow-TTS", "tts"),
    "A04": ("Grad-TTS", "tts"),
    "A05": ("Grad-TTS", "tts"),
    "A06": ("Grad-TTS", "tts"),
    "A07": ("FastPitch", "tts"),
    "A08": ("VITS", "tts"),
    "A09": ("ToucanTTS", "tts"),
    "A10": ("ToucanTTS", "tts"),
    "A11": ("Tacotron2", "tts"),
    "A12": ("Unit selection", "tts"),
    "A13": ("StarGANv2-VC", "vc"),
    "A14": ("YourTTS", "tts"),
    "A15": ("VAE-GAN VC", "vc"),
    "A16": ("ASR-based VC", "vc"),
    "A17": ("ZMM-TTS", "tts"),
    "A18": ("ZMM-TTS", "tts"),
    "A19": ("Unit selection", "tts"),
    "A20": ("Unit selection", "tts"),
    "A21": ("ToucanTTS", "tts"),
    "A22": ("ToucanTTS", "tts"),
    "A23": ("ToucanTTS", "tts"),
    "A24": ("ASR-based VC", "vc"),
    "A25": ("DiffVC", "vc"),
    "A26": ("ASR-based VC", "vc"),
    "A27": ("ASR-based VC", "vc"),
    "A28": ("YourTTS", "tts"),
    "A29": ("XTTS", "tts"),
    "A30": ("ZMM-TTS", "tts"),
    "A31": ("ToucanTTS", "tts"),
    "A32": ("DiffVC", "vc"),
}
"""Family and kind of each attack, that of the attack beneath for those with an adversarial filter (A18, A20, A23,
A27, A30 to A32). A14 and A28, A16 and A24 stand in different parts of the release but in one family here."""

_FILES = {
    "train": ("ASVspoof5.train.tsv", ("flac_T",)),
    "dev": ("ASVspoof5.dev.track_1.tsv", ("flac_D",)),
    "eval": ("ASVspoof5.eval.track_1.tsv", ("flac_E_eval", "flac_E")),
}
_COLUMNS = "speaker, file, gender, codec, codec quality, codec seed, attack condition, attack, key, -"


@CORPORA.register("asvspoof5")
class ASVspoof5(Corpus):
    """Crowdsourced English read speech and 32 attacks, some of them adversarial; the evaluation set is coded.

    Layout: `flac_T`, `flac_D` and `flac_E_eval` with files like `T_0000000022.flac`, and beside them, or in
    `ASVspoof5_protocols`, the lists `ASVspoof5.train.tsv`, `ASVspoof5.dev.track_1.tsv` and
    `ASVspoof5.eval.track_1.tsv`: ten columns between spaces, in spite of the suffix.

    Trap: some bona fide clips of `eval` went through a neural codec (channels C04 and C07) and are bona fide by
    the protocol all the same; `channel` tells them. Coded copies of one clip share no id in a row.

    Source: README.txt of the release (layout); Wang et al., 2025, for counts and attacks. The families are not
    confirmed against a release; neither is the licence, for which the authors point to LICENSE.txt in the release.
    """

    facts = Facts(
        title="ASVspoof 5",
        what="crowdsourced speech (MLS), 32 attacks, 11 codecs",
        citation="Wang et al., ASVspoof 5: Design, collection and validation of resources for spoofing, deepfake, "
        "and adversarial attack detection using crowdsourced speech, 2025 (arXiv:2502.08857)",
        year=2024,
        licence="ODC-By 1.0 (not confirmed)",
        home="https://zenodo.org/records/14498691",
    )
    parts = ("train", "dev", "eval")
    published: ClassVar = {
        "train": Counts(182_357, 18_797, 163_560, 400),
        "dev": Counts(140_950, 31_334, 109_616, 785),
        "eval": Counts(680_774, 138_688, 542_086, 737),
    }

    def needs(self, part: str) -> tuple[Needed, ...]:
        """The list of the part, and its audio."""
        name, folders = _FILES[part]
        return (name, f"ASVspoof5_protocols/{name}"), folders

    def audio_folders(self, base: Path, part: str) -> Iterable[Path]:
        """One flat folder."""
        return (self._place(base, part, 1),)

    def read(self, base: Path, part: str) -> Iterator[CorpusRow]:
        """In the order of the list."""
        folder = self._place(base, part, 1).relative_to(base).as_posix()
        for where, words in read_columns(self._place(base, part, 0), {10}, _COLUMNS):
            speaker, clip_id, _, codec, quality, _, _, attack, key, _ = words
            label = label_of(key, where)
            if label == "bonafide" and attack not in ("-", "bonafide"):
                raise malformed(where, f"attack {attack!r} does not go with key {key!r}")
            system = None if label == "bonafide" else _spoof(attack, where)
            path = inside(f"{folder}/{clip_id}.flac", where)
            row = self.listed(clip_id, path, speaker, system, source="MLS", split=part)
            yield CorpusRow(row, language="en", channel=None if codec == "-" else f"{codec} {quality}")


def _spoof(attack: str, where: str) -> tuple[str, str, SpeechKind]:
    if attack not in SYSTEMS:
        raise malformed(where, f"{attack!r} is no attack of ASVspoof 5 (A01 to A32)")
    return f"ASVspoof5-{attack}", *SYSTEMS[attack]
