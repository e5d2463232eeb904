"""Generates clips into a folder: each prompt and take once, marked, read back, recorded, whatever interrupts it."""

import datetime
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

from ..core.audio import write_audio
from ..core.cliprecord import ClipRecord
from ..core.errors import UsageError
from ..core.generatorsettings import DEFAULTS, GeneratorSettings
from ..core.keys import SecretKey
from ..core.modelcard import open_model, sha256_of_file
from ..core.protocols import Generator
from ..core.records import HEARD, Clip
from ..generate.prompts import PromptList
from ..generate.registry import GENERATORS
from ..reports.clip_csv import spreadsheet
from ..reports.clip_summary import ClipTally
from ..watermark.payload import Payload
from .clip_check import SERVER, ReadBack, check_on_disk, marks_of
from .clip_credentials import ClipSigning
from .clip_folder import CLIPS_NAME, ClipFolder, RunSettings, writing
from .marking import Marking, table_of
from .prompted_clips import SEED_BITS, PromptedClips, listed_voices, places_of
from .speech_jobs import PromptSounds

DEFAULT_BACKEND = "pocket"
FOREIGN_FOLDERS = (SERVER, "transformers")
"""Backends that check their folder themselves: it is not, or need not be, that of a generator of ours."""


@dataclass(frozen=True)
class PayloadPlan:
    """The payload that all clips carry; `day` None: the day on which the run began, UTC."""

    model: int
    tenant: int
    day: int | None = None


@dataclass(frozen=True)
class GenerationPlan:
    """What the user chose beside prompts, generator and key."""

    voice: str | None = None
    """Of prompts that name none; None: the generator's first."""
    takes: int = 1
    """Clips per prompt."""
    seed: int | None = None
    """None: that of the run which began in the folder, else drawn at random."""
    suffix: Literal[".flac", ".wav"] = ".flac"
    payload: PayloadPlan | None = None
    settings: GeneratorSettings = DEFAULTS
    """Those that the generator was loaded with."""


def load_generator(backend: str | None, folder: Path | None, settings: GeneratorSettings = DEFAULTS) -> Generator:
    """The generator called `backend` with the model in `folder`; None each: the default, the bundled model.

    With a folder alone, its card names the generator; a server's folder may be that of a recoverer, and one for
    transformers is a checkpoint as that library saves it. Raises
    `UsageError` for an unknown generator, a setting that it has not, or a model that belongs to another one or to a
    detector; `ModelMissing` and `IntegrityError` for a folder that is not whole.
    """
    if folder is not None and backend not in FOREIGN_FOLDERS:
        kind, made_for = open_model(folder).part
        if kind != "generator":
            raise UsageError(f"{folder}: a model of the {kind} {made_for}; to generate, give the folder of a generator")
        if backend not in (None, made_for):
            raise UsageError(f"{folder}: this model is for {made_for}, not {backend}; leave --backend out")
        backend = made_for
    return GENERATORS.get(backend or DEFAULT_BACKEND).load(folder, settings)


def check_plan(plan: GenerationPlan, generator: Generator) -> None:
    """Raise `UsageError` for a voice that the generator has not, and for a payload that cannot be carried."""
    if plan.voice is not None and plan.voice not in generator.voices:
        raise UsageError(f"{generator.name} has no voice {plan.voice!r}; it has {listed_voices(generator.voices)}")
    if plan.payload is not None:
        payload_of(plan.payload, {})


@contextmanager
def open_generation(
    folder: Path,
    prompts: PromptList,
    generator: Generator,
    plan: GenerationPlan,
    *,
    key: SecretKey | None,
    read_back: ReadBack,
    recoverer: Path | None = None,
    signing: ClipSigning | None = None,
) -> Iterator["Generation"]:
    """Begin a run in `folder`, or go on with the one that the same choices began there; `key` None: no marks.

    `recoverer` as in `marks_of`; `signing` None: clips get no credentials. Signed or not, it is the same run.

    Raises `UsageError` for a voice that the generator has not, a folder that cannot be written or holds anything
    else; `IntegrityError` for one that is damaged.
    """
    check_plan(plan, generator)
    with ClipFolder.open(folder) as clips:
        begun = clips.settings or {}
        seed = plan.seed if plan.seed is not None else begun.get("seed", secrets.randbits(SEED_BITS))
        payload = payload_of(plan.payload, begun) if plan.payload else None
        marking = Marking(key, table_of(marks_of(generator, recoverer)), payload) if key else None
        clips.begin(_settings(prompts, generator, plan, marking, seed))
        with PromptSounds(prompts.folder, key) as sounds:
            said = PromptedClips(generator, sounds, voice=plan.voice, marking=marking, seed=seed)
            yield Generation(clips, prompts, said, plan, seed, read_back, signing)


class Generation:
    """A run in its folder. `tally` counts all clips of the run, also those that an earlier run has made."""

    def __init__(
        self, clips: ClipFolder, prompts: PromptList, said: PromptedClips, plan: GenerationPlan, seed: int,
        read_back: ReadBack, signing: ClipSigning | None = None,
    ) -> None:  # fmt: skip
        """Made by `open_generation`. Counts what is there already; raises `IntegrityError` where it is damaged."""
        self.seed = seed
        self.folder = clips.path
        self.tally = ClipTally()
        self._clips = clips
        self._prompts = prompts
        self._said = said
        self._plan = plan
        self._read_back = read_back
        self._signing = signing
        for record in clips.earlier():
            self.tally.add(record)
        self.earlier = self.tally.records

    @property
    def total(self) -> int:
        """Clips that the whole run is to have."""
        return self._prompts.count() * self._plan.takes

    def records(self) -> Iterator[ClipRecord]:
        """Make what is missing, in order; each record comes when its clip and its line are safe on the disk.

        A prompt that cannot be said is a record with an error. Raises `CovoguardError` (`output_error`) when the
        disk is full, and what concerns every clip. At the end `manifest.csv` is written.
        """
        missing = islice(places_of(self._prompts, self._plan.takes), self.earlier, None)
        for made in self._said.made(missing):
            yield self._kept(made.record if made.clip is None else self._written(made.record, made.clip))
        self._clips.write_spreadsheet(spreadsheet(self._clips.earlier()))

    def all_records(self) -> list[ClipRecord]:
        """All that the manifest holds now."""
        return list(self._clips.earlier())

    def _kept(self, record: ClipRecord) -> ClipRecord:
        self._clips.add(record)
        self.tally.add(record)
        return record

    def _written(self, record: ClipRecord, clip: Clip) -> ClipRecord:
        path = self._clips.clip_path(record.index, self._plan.suffix)
        with writing(path):
            write_audio(path, clip.audio.samples, clip.audio.rate_hz)
            credentials = self._signing.sign(path, record) if self._signing else None
            sha256 = sha256_of_file(path)
        check = check_on_disk(path, sha256, _expected_s(clip), self._read_back)
        return replace(record, path=f"{CLIPS_NAME}/{path.name}", sha256=sha256, check=check, credentials=credentials)


def _expected_s(clip: Clip) -> float:
    """Seconds of the tokens, or of the sound without any; and in a two-sided call of what the generator heard."""
    if clip.tokens is None:
        return clip.audio.duration_s
    heard_s = sum(reply.end_s - reply.start_s for reply in clip.replies if reply.speaker == HEARD)
    return len(clip.tokens.ids) / clip.tokens.rate_hz + heard_s


def payload_of(plan: PayloadPlan, begun: RunSettings) -> Payload:
    """The payload, on the day of the run that `begun` tells of where the plan names none. Raises `UsageError`."""
    begun_day = (begun.get("payload") or {}).get("day")
    today = (datetime.datetime.now(datetime.UTC).date() - datetime.date(1970, 1, 1)).days
    day = plan.day if plan.day is not None else begun_day
    try:
        return Payload(plan.model, plan.tenant, today if day is None else day)
    except ValueError as error:
        raise UsageError(f"{error}; choose another payload") from error


def _settings(
    prompts: PromptList, generator: Generator, plan: GenerationPlan, marking: Marking | None, seed: int
) -> RunSettings:
    """All that decides the clips. The key's epoch is in each record: a key may be rotated in the middle of a run."""
    return {
        "prompts_sha256": prompts.sha256,
        "backend": generator.name,
        "model_sha256": generator.model.model_sha256,
        "settings": plan.settings.deciding(),
        "voice": plan.voice,
        "takes": plan.takes,
        "seed": seed,
        "format": plan.suffix.removeprefix("."),
        "key": marking.key.key_id if marking else None,
        "mark_table_sha256": marking.table.sha256 if marking else None,
        "payload": asdict(marking.payload) if marking and marking.payload else None,
    }
