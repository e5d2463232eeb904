"""The demonstration: clips with and without a mark, damaged in everyday ways, looked for and scanned."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.audio import AudioReader, DecodeLimits, open_input, write_audio
from ..core.errors import CovoguardError, UsageError
from ..core.keyring import KeyRing
from ..core.keys import SecretKey
from ..core.progress import Progress, silent
from ..core.protocols import Generator, Scorer
from ..core.rates import DETECTOR_RATE_HZ
from ..core.records import Float32Array
from ..datasets.degrade.band import telephone
from ..datasets.degrade.codec import CODECS, round_trip
from ..datasets.degrade.noise import add_at_snr, coloured_noise
from ..datasets.degrade.playback import change_speed
from ..detect.policy import Policy
from ..generate.prompts import PromptList
from ..reports.demo_table import DemoRow
from .analysis import Methods
from .clip_check import reading_back
from .clip_folder import writing
from .crew import default_jobs
from .generate import GenerationPlan, open_generation
from .inputs import Source
from .mark_evidence import ChecksMarks
from .scan import scan

DEMO_SEED = 2026
KEPT_MIDDLE_S = 8.0
KEYS_NAME, DAMAGED_NAME = "keys", "damaged"
MARKED_TEXTS = (
    "Good morning. Our train from Paris was thirty minutes late, and the truck to Athens leaves at six fifteen. "
    "Turn left at the airport, then walk nine blocks west. Your order number is four eight five four.",
    "A dangerous storm is moving south toward Lisbon. Temperatures in India will fall below six degrees tonight. "
    "The wind near Houston reached ninety miles an hour. Police in Dublin are looking for a new car.",
    "Thank you for calling. Please press two for sales, or hold the line. One moment please, I will connect you to "
    "support. The total is fifty six dollars and thirty cents. Your ticket was sent on the seventh of May.",
)
UNMARKED_TEXTS = (
    "Susan bought twelve plates at the market on Monday. Her sister painted the garden orange and white. Victor flew "
    "from Toronto to London with nine bags. We usually have pasta and chocolate for dinner.",
    "In January, the court voted against the new farming plan. Scientists in Canada have found a quiet way to store "
    "timber. Room six zero nine is on the seventh floor. Flight nine two six departs from gate eight.",
)
_IGNORE_NAME = ".gitignore"
_OWN_NAMES = frozenset({KEYS_NAME, DAMAGED_NAME, "marked", "unmarked", _IGNORE_NAME})

Damage = Callable[[Float32Array, np.random.Generator], Float32Array]


def _middle(samples: Float32Array) -> Float32Array:
    kept = min(len(samples), round(KEPT_MIDDLE_S * DETECTOR_RATE_HZ))
    start = (len(samples) - kept) // 2
    return samples[start : start + kept]


DAMAGES: Mapping[str, Damage] = {
    "mp3 32k": lambda samples, rng: round_trip(samples, CODECS["mp3"], 32_000),
    "opus 16k": lambda samples, rng: round_trip(samples, CODECS["opus"], 16_000),
    "telephone": lambda samples, rng: round_trip(telephone(samples), CODECS["mu-law"]),
    "noise 20 dB": lambda samples, rng: add_at_snr(samples, coloured_noise(len(samples), 0.0, rng), 20.0),
    "speed +4 %": lambda samples, rng: change_speed(samples, 1.04),
    f"middle {KEPT_MIDDLE_S:.0f} s": lambda samples, rng: _middle(samples),
}


@dataclass(frozen=True)
class DemoFile:
    """A file of the demonstration and how it came about."""

    path: Path
    clip: str
    damage: str
    is_marked: bool


def prepare_demo(folder: Path) -> SecretKey:
    """The demonstration's own key, in its own folder: never one of the user's.

    Raises `UsageError` for a folder that holds anything else or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        foreign = sorted({entry.name for entry in folder.iterdir()} - _OWN_NAMES)
        if not foreign:
            (folder / _IGNORE_NAME).write_text("*\n", encoding="ascii")  # its key must not be committed by accident
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror}; choose another folder with -o") from error
    if foreign:
        raise UsageError(f"{folder}: holds other files ({foreign[0]!r}); choose a new folder with -o")
    # not KeyRing.open, which warns of work trees
    return KeyRing(folder / KEYS_NAME).default_or_new()


def make_clips(folder: Path, generator: Generator, key: SecretKey, progress: Progress = silent) -> list[DemoFile]:
    """The clips of the demonstration, those that are there already left as they are.

    Raises `CovoguardError` when one cannot be made, and as `open_generation`.
    """
    made: list[DemoFile] = []
    total = len(MARKED_TEXTS) + len(UNMARKED_TEXTS)
    plan = GenerationPlan(seed=DEMO_SEED)
    kinds: tuple[tuple[str, tuple[str, ...], SecretKey | None], ...] = (
        ("marked", MARKED_TEXTS, key),
        ("unmarked", UNMARKED_TEXTS, None),
    )
    for kind, texts, used_key in kinds:
        prompts = _prompts(texts, generator.voices)
        with (
            reading_back(generator, used_key) as read_back,
            open_generation(folder / kind, prompts, generator, plan, key=used_key, read_back=read_back) as generation,
        ):
            for done, _ in enumerate(generation.records(), start=len(made) + generation.earlier + 1):
                progress(done, total, "making clips")
            for record in generation.all_records():
                if record.path is None:
                    reason = record.error.message if record.error else "no reason given"
                    raise CovoguardError(f"{folder / kind}: a clip could not be made: {reason}; run it with -v")
                path = folder / kind / record.path
                made.append(DemoFile(path, f"{kind} {record.index + 1}", "none", used_key is not None))
    return made


def damage_clips(folder: Path, clips: list[DemoFile], progress: Progress = silent) -> list[DemoFile]:
    """Each clip with each of its damaged copies, which are written as 16 kHz FLAC into `damaged`."""
    files: list[DemoFile] = []
    with writing(folder), AudioReader(DecodeLimits()) as reader:
        (folder / DAMAGED_NAME).mkdir(exist_ok=True)
        for index, clip in enumerate(clips):
            with open_input(clip.path) as opened:
                samples = reader.read(opened).audio.samples
            files.append(clip)
            for number, (name, damage) in enumerate(DAMAGES.items()):
                damaged = damage(samples, np.random.default_rng([DEMO_SEED, index, number]))
                file_name = f"{clip.clip} {name}".replace(" %", "").replace(" ", "-")
                path = folder / DAMAGED_NAME / f"{file_name}.flac"
                write_audio(path, damaged, DETECTOR_RATE_HZ)
                files.append(DemoFile(path, clip.clip, name, clip.is_marked))
            progress(index + 1, len(clips), "damaging")
    return files


def examine(files: list[DemoFile], scorer: Scorer, policy: Policy, checker: ChecksMarks) -> Iterator[DemoRow]:
    """Scan each file and look for its mark, knowing nothing but the sound; rows in the order of the files."""
    records = scan(
        (Source(str(file.path)) for file in files),
        methods=Methods(scorer=scorer, token_marks=checker),
        policy=policy,
        limits=DecodeLimits(),
        jobs=default_jobs(),
    )
    for file, record in zip(files, records, strict=True):
        yield DemoRow(file.clip, file.damage, file.is_marked, record.marks.token, record.decision.verdict)


def _prompts(texts: tuple[str, ...], voices: tuple[str, ...]) -> PromptList:
    """The texts, in all voices by turns."""
    lines = (json.dumps({"text": text, "voice": voices[i % len(voices)]}) for i, text in enumerate(texts))
    return PromptList("demonstration", "jsonl", "\n".join(lines).encode("ascii"))
