"""Tiny made-up trees with the real layout of each public corpus. The audio files are empty: none is ever opened."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from covoguard.datasets.corpora import Corpus
from covoguard.datasets.corpora.csv_file import Columns, CsvCorpus
from covoguard.datasets.corpora.folder import FolderCorpus
from covoguard.datasets.corpora.registry import CORPORA


@dataclass(frozen=True)
class Tree:
    """How to make one corpus, how to read it, and what must come of that."""

    make: Callable[[Path], None]
    labels: dict[str, tuple[int, int]]
    """Bona fide clips and spoofs of each part that is there."""
    first: tuple[str, str]
    """Clip id and path of the first row."""
    read: dict[str, tuple[int, int]] | None = None
    """The parts that are read when none is named, where that is not all."""
    lists: tuple[str, ...] = ()
    """The lists, any line of which may be malformed."""
    nested: str | None = None
    """Folder that the archive unpacks to."""
    reader: Callable[[], Corpus] | None = field(default=None, repr=False)

    def corpus(self, name: str) -> Corpus:
        """The reader."""
        return CORPORA.get(name)() if self.reader is None else self.reader()

    @property
    def all_clips(self) -> int:
        """Clips that are read when no part is named."""
        return sum(map(sum, (self.labels if self.read is None else self.read).values()))


def write(path: Path, text: str = "") -> None:
    """A file, with the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")


def asvspoof2019_la(root: Path) -> None:
    lines = {
        "train.trn": "LA_0079 LA_T_1138215 - - bonafide\nLA_0079 LA_T_1004644 - A04 spoof\n",
        "dev.trl": "LA_0069 LA_D_1047731 - - bonafide\nLA_0070 LA_D_1000137 - A06 spoof\n",
        "eval.trl": "LA_0039 LA_E_2834763 - A11 spoof\nLA_0014 LA_E_8877452 - A16 spoof\n"
        "LA_0030 LA_E_5849185 - - bonafide\nLA_0031 LA_E_5849186 - A19 spoof\n",
    }
    for name, text in lines.items():
        write(root / "ASVspoof2019_LA_cm_protocols" / f"ASVspoof2019.LA.cm.{name}.txt", text)
        for line in text.splitlines():
            write(root / f"ASVspoof2019_LA_{name.split('.')[0]}" / "flac" / f"{line.split()[1]}.flac")


def asvspoof2021_la(root: Path) -> None:
    text = (
        "LA_0009 LA_E_9332881 alaw ita_tx A07 spoof notrim eval\n"
        "LA_0007 LA_E_1000004 none none bonafide bonafide notrim eval\n"
        "LA_0021 LA_E_1000048 opus loc_tx A08 spoof notrim progress\n"
        "LA_0005 LA_E_1000381 ulaw sin_tx A16 spoof only_speech hidden\n"
    )
    write(root / "keys/LA/CM/trial_metadata.txt", text)
    for line in text.splitlines():
        write(root / "flac" / f"{line.split()[1]}.flac")


def asvspoof2021_df(root: Path) -> None:
    text = (
        "LA_0043 DF_E_2000026 mp3m4a asvspoof A09 spoof notrim eval traditional_vocoder - - - -\n"
        "TEF2 DF_E_2000013 low_m4a vcc2020 Task1-team20 spoof notrim eval neural_vocoder_nonautoregressive "
        "Task1 team20 FF E\n"
        "VCC2TM2 DF_E_2000028 low_mp3 vcc2018 SPO-N12 spoof notrim eval traditional_vocoder - - - -\n"
        "LA_0023 DF_E_2000053 nocodec asvspoof - bonafide notrim eval bonafide - - - -\n"
        "LA_0023 DF_E_2000011 nocodec asvspoof A14 spoof notrim progress traditional_vocoder - - - -\n"
        "LA_0023 DF_E_2000099 nocodec asvspoof A16 spoof only_speech hidden waveform_concatenation\n"
    )
    write(root / "keys/DF/CM/trial_metadata.txt", text)
    for line in text.splitlines():
        write(root / "ASVspoof2021_DF_eval/flac" / f"{line.split()[1]}.flac")


def asvspoof5(root: Path) -> None:
    lists = {
        "ASVspoof5.train.tsv": ("flac_T", "T_4850 T_0000000000 F - - - AC3 A05 spoof -\n"),
        "ASVspoof5.dev.track_1.tsv": (
            "flac_D",
            "D_0062 D_0000000001 M - - - - bonafide bonafide -\nD_0062 D_0000000022 M - - - AC1 A14 spoof -\n",
        ),
        "ASVspoof5.eval.track_1.tsv": (
            "flac_E_eval",
            "E_4608 E_0000000024 M C11 4 E_0004890277 AC1 A28 spoof -\n"
            "E_2040 E_0000000034 M - 0 - AC1 A31 spoof -\nE_2041 E_0000000035 F C04 2 E_1 - bonafide bonafide -\n",
        ),
    }
    for name, (folder, text) in lists.items():
        write(root / "ASVspoof5_protocols" / name, text)
        for line in text.splitlines():
            write(root / folder / f"{line.split()[1]}.flac")


def in_the_wild(root: Path) -> None:
    write(root / "meta.csv", "file,speaker,label\n0.wav,Alec Guinness,spoof\n1.wav,Barack Obama,bona-fide\n")
    write(root / "0.wav")
    write(root / "1.wav")


MLAAD_HEADER = (
    "path|original_file|language|is_original_language|duration|training_data|model_name|architecture|transcript\n"
)


def mlaad(root: Path) -> None:
    for language, model, architecture in (
        ("de", "tts_de_vits", "VITS"),
        ("en", "bark", "Bark"),
        ("en", "xtts", "XTTS"),
    ):
        folder = f"fake/{language}/{model}"
        line = f'./{folder}/a_01.wav|./{language}/x.wav|{language}|True|3.1|n/a|{model}|{architecture}|"Go, he said.\n'
        write(root / folder / "meta.csv", MLAAD_HEADER + line)
        write(root / folder / "a_01.wav")


def wavefake(root: Path) -> None:
    for folder, name in (
        ("ljspeech_melgan", "LJ001-0001_gen"),
        ("ljspeech_waveglow", "LJ001-0001"),
        ("jsut_parallel_wavegan", "BASIC5000_0001_gen"),
        ("common_voices_prompts_from_conformer_fastspeech2_pwg_ljspeech", "gen_0"),
    ):
        write(root / folder / f"{name}.wav")


def fake_or_real(root: Path) -> None:
    for part in ("training", "validation", "testing"):
        write(root / part / "real" / "file1.wav")
        write(root / part / "fake" / "file1.wav")
        write(root / part / "fake" / "file2.wav")


def spoofceleb(root: Path) -> None:
    for part, attack in (("train", "a01"), ("development", "a07"), ("evaluation", "a15")):
        lines = [f"{kind}/id11178/LAHad7VLKXw-00007-00{n}.flac,{kind}" for n, kind in enumerate(("a00", attack))]
        write(root / f"metadata/{part}.csv", "\n".join(["file,attack", *lines, ""]))
        for line in lines:
            write(root / "flac" / part / line.split(",")[0])


def librispeech(root: Path) -> None:
    write(root / "SPEAKERS.TXT", ";ID  |SEX| SUBSET           |MINUTES| NAME\n84 | F | dev-clean | 8.0 | Somebody\n")
    for part, speaker, chapter in (("dev-clean", "84", "121123"), ("train-clean-100", "103", "1240")):
        folder = root / part / speaker / chapter
        ids = [f"{speaker}-{chapter}-000{n}" for n in range(2)]
        write(folder / f"{speaker}-{chapter}.trans.txt", "".join(f"{name} GO, DO YOU HEAR\n" for name in ids))
        for name in ids:
            write(folder / f"{name}.flac")


def vctk(root: Path) -> None:
    write(root / "wav48_silence_trimmed/log.txt", "a log that is no clip\n")
    for speaker in ("p225", "p280", "p315", "s5"):
        for mic in ("mic1",) if speaker == "p280" else ("mic1", "mic2"):
            write(root / f"wav48_silence_trimmed/{speaker}/{speaker}_001_{mic}.flac")
        if speaker != "p315":
            write(root / f"txt/{speaker}/{speaker}_001.txt", "Please call Stella.\n")


def ljspeech(root: Path) -> None:
    write(
        root / "metadata.csv",
        'LJ001-0001|"Printing, in the 15th century|"Printing, in the fifteenth century\nLJ001-0002|in being|in being\n',
    )
    write(root / "wavs/LJ001-0001.wav")
    write(root / "wavs/LJ001-0002.wav")


COMMON_VOICE_HEADER = "client_id\tpath\tsentence_id\tsentence\tup_votes\tdown_votes\tlocale\n"


def common_voice(root: Path) -> None:
    def line(number: int) -> str:
        return f'client{number}\tcommon_voice_de_{number}.mp3\tid{number}\t"Ja, sagte sie.\t2\t0\tde\n'

    lists = {"validated": (1, 2, 3, 4), "train": (1,), "dev": (2,), "test": (3,), "other": (5,), "invalidated": (6,)}
    for name, numbers in lists.items():
        write(root / f"{name}.tsv", COMMON_VOICE_HEADER + "".join(map(line, numbers)))
        for number in numbers:
            write(root / f"clips/common_voice_de_{number}.mp3")


def folder_of_clips(root: Path) -> None:
    write(root / "a.wav")
    write(root / "deeper/a.mp3")
    write(root / "notes.txt", "no clip")


def csv_of_clips(root: Path) -> None:
    write(root / "list.csv", 'clip,class,system,said\nx/a.wav,Real,,"one, two"\nx/b.wav,fake,XTTS,three\n')
    write(root / "x/a.wav")
    write(root / "x/b.wav")


TREES = {
    "asvspoof2019-la": Tree(
        asvspoof2019_la,
        {"train": (1, 1), "dev": (1, 1), "eval": (1, 3)},
        ("LA_T_1138215", "ASVspoof2019_LA_train/flac/LA_T_1138215.flac"),
        lists=("ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.eval.trl.txt",),
        nested="LA",
    ),
    "asvspoof2021-la": Tree(
        asvspoof2021_la,
        {"eval": (1, 1), "progress": (0, 1), "hidden": (0, 1)},
        ("LA_E_9332881", "flac/LA_E_9332881.flac"),
        lists=("keys/LA/CM/trial_metadata.txt",),
        nested="ASVspoof2021_LA_eval",
    ),
    "asvspoof2021-df": Tree(
        asvspoof2021_df,
        {"eval": (1, 3), "progress": (0, 1), "hidden": (0, 1)},
        ("DF_E_2000026", "ASVspoof2021_DF_eval/flac/DF_E_2000026.flac"),
        lists=("keys/DF/CM/trial_metadata.txt",),
    ),
    "asvspoof5": Tree(
        asvspoof5,
        {"train": (0, 1), "dev": (1, 1), "eval": (1, 2)},
        ("T_0000000000", "flac_T/T_0000000000.flac"),
        lists=("ASVspoof5_protocols/ASVspoof5.dev.track_1.tsv",),
    ),
    "in-the-wild": Tree(
        in_the_wild, {"eval": (1, 1)}, ("0", "0.wav"), lists=("meta.csv",), nested="release_in_the_wild"
    ),
    "mlaad": Tree(
        mlaad,
        {"de": (0, 1), "en": (0, 2)},
        ("de/tts_de_vits/a_01", "fake/de/tts_de_vits/a_01.wav"),
        lists=("fake/en/bark/meta.csv",),
    ),
    "wavefake": Tree(
        wavefake,
        {
            "common_voices_prompts_from_conformer_fastspeech2_pwg_ljspeech": (0, 1),
            "jsut_parallel_wavegan": (0, 1),
            "ljspeech_melgan": (0, 1),
            "ljspeech_waveglow": (0, 1),
        },
        (
            "common_voices_prompts_from_conformer_fastspeech2_pwg_ljspeech/gen_0",
            "common_voices_prompts_from_conformer_fastspeech2_pwg_ljspeech/gen_0.wav",
        ),
        nested="generated_audio",
    ),
    "fake-or-real": Tree(
        fake_or_real,
        {"train": (1, 2), "dev": (1, 2), "eval": (1, 2)},
        ("training/real/file1", "training/real/file1.wav"),
        nested="for-norm/for-norm",
    ),
    "spoofceleb": Tree(
        spoofceleb,
        {"train": (1, 1), "dev": (1, 1), "eval": (1, 1)},
        ("train/a00/id11178/LAHad7VLKXw-00007-000", "flac/train/a00/id11178/LAHad7VLKXw-00007-000.flac"),
        lists=("metadata/evaluation.csv",),
        nested="spoofceleb",
    ),
    "librispeech": Tree(
        librispeech,
        {"train-clean-100": (2, 0), "dev-clean": (2, 0)},
        ("103-1240-0000", "train-clean-100/103/1240/103-1240-0000.flac"),
        lists=("dev-clean/84/121123/84-121123.trans.txt",),
        nested="LibriSpeech",
    ),
    "vctk": Tree(
        vctk,
        {"mic1": (4, 0), "mic2": (3, 0)},
        ("p225_001_mic1", "wav48_silence_trimmed/p225/p225_001_mic1.flac"),
        read={"mic1": (4, 0)},
        nested="VCTK-Corpus-0.92",
    ),
    "ljspeech": Tree(
        ljspeech,
        {"all": (2, 0)},
        ("LJ001-0001", "wavs/LJ001-0001.wav"),
        lists=("metadata.csv",),
        nested="LJSpeech-1.1",
    ),
    "common-voice": Tree(
        common_voice,
        {"validated": (4, 0), "train": (1, 0), "dev": (1, 0), "test": (1, 0), "other": (1, 0), "invalidated": (1, 0)},
        ("common_voice_de_1", "clips/common_voice_de_1.mp3"),
        read={"validated": (4, 0)},
        lists=("validated.tsv",),
    ),
    "folder": Tree(
        folder_of_clips,
        {"all": (0, 2)},
        ("a.wav", "a.wav"),
        reader=lambda: FolderCorpus("spoof", generator="Voicebox 3", kind="tts"),
    ),
    "csv": Tree(
        csv_of_clips,
        {"all": (1, 1)},
        ("x/a.wav", "x/a.wav"),
        lists=("list.csv",),
        reader=lambda: CsvCorpus(Columns(path="clip", label="class", generator="system", text="said")),
    ),
}
"""One tree for each registered corpus."""
