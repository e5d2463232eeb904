"""Generates clips into a folder: each prompt and take once, marked, read back, recorded, whatever interrupts it."""

import datetime
import hashlib
import secrets
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from ..core.audio import write_audio
from ..core.cliprecord import CLIP_SCHEMA_VERSION, ClipFailure, ClipPrompt, ClipRecord, ClipReply
from ..core.errors import InputError, UsageError
from ..core.generatorsettings import DEFAULTS, GeneratorSettings
from ..core.keys import SecretKey
from ..core.modelcard import open_model, sha256_of_file
from ..core.protocols import Generator, SpeechRequest, TokenMark
from ..core.records import HEARD, Clip
from ..core.version import __version__
from ..generate.prompts import PromptEntry, PromptList
from ..generate.registry import GENERATORS
from ..reports.clip_csv import spreadsheet
from ..reports.clip_summary import ClipTally
from ..watermark.payload import Payload
from .clip_check import SERVER, ReadBack, check_on_disk, marks_of
from .clip_folder import CLIPS_NAME, ClipFolder, RunSettings, writing
from .marking import Marking, table_of
from .serving import remote_mark
from .speech_jobs import PromptSounds, outcomes_of

DEFAULT_BACKEND = "pocket"
FOREIGN_FOLDERS = (SERVER, "transformers")
"""Backends that check their folder themselves: it is not, or need not be, that of a generator of ours."""
_VOICES_SHOWN = 40
_SEED_BITS = 53
"""A whole number of JSON that every reader keeps exact."""


@dataclass(frozen=True)
class _Job:
    """A clip on its way: its record as far as it is known, and its mark."""

    record: ClipRecord
    mark: TokenMark | None


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
        raise UsageError(f"{generator.name} has no voice {plan.voice!r}; it has {_listed(generator.voices)}")
    if plan.payload is not None:
        _payload(plan.payload, {})


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
) -> Iterator["Generation"]:
    """Begin a run in `folder`, or go on with the one that the same choices began there; `key` None: no marks.

    `recoverer` as in `marks_of`.

    Raises `UsageError` for a voice that the generator has not, a folder that cannot be written or holds anything
    else; `IntegrityError` for one that is damaged.
    """
    check_plan(plan, generator)
    with ClipFolder.open(folder) as clips:
        begun = clips.settings or {}
        seed = plan.seed if plan.seed is not None else begun.get("seed", secrets.randbits(_SEED_BITS))
        payload = _payload(plan.payload, begun) if plan.payload else None
        marking = Marking(key, table_of(marks_of(generator, recoverer)), payload) if key else None
        clips.begin(_settings(prompts, generator, plan, marking, seed))
        yield Generation(clips, prompts, generator, plan, marking, seed, read_back)


def clip_seed(seed: int, index: int) -> int:
    """The seed of clip `index` in a run with `seed`: SHA-256 of both, so that no two runs share one by design."""
    digest = hashlib.sha256(f"covoguard clip {seed} {index}".encode("ascii")).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - _SEED_BITS)


class Generation:
    """A run in its folder. `tally` counts all clips of the run, also those that an earlier run has made."""

    def __init__(
        self, clips: ClipFolder, prompts: PromptList, generator: Generator, plan: GenerationPlan,
        marking: Marking | None, seed: int, read_back: ReadBack,
    ) -> None:  # fmt: skip
        """Made by `open_generation`. Counts what is there already; raises `IntegrityError` where it is damaged."""
        self.seed = seed
        self.folder = clips.path
        self.tally = ClipTally()
        self._clips = clips
        self._prompts = prompts
        self._generator = generator
        self._plan = plan
        self._marking = marking
        self._read_back = read_back
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
        waiting: deque[_Job] = deque()
        for outcome in outcomes_of(self._generator, self._requests(waiting)):
            yield from self._refused(waiting)
            job = waiting.popleft()
            yield self._kept(self._finished(job, outcome))
        yield from self._refused(waiting)
        self._clips.write_spreadsheet(spreadsheet(self._clips.earlier()))

    def all_records(self) -> list[ClipRecord]:
        """All that the manifest holds now."""
        return list(self._clips.earlier())

    def _requests(self, waiting: "deque[_Job]") -> Iterator[SpeechRequest]:
        """What is still to be said; each job is put down in `waiting` first, also one that is refused at once."""
        places = ((entry, take) for entry in self._prompts for take in range(self._plan.takes))
        with PromptSounds(self._prompts.folder, self._marking.key if self._marking else None) as sounds:
            for index, (entry, take) in enumerate(places):
                if index < self.earlier:
                    continue
                record = self._blank(index, entry, take)
                mark = self._mark_for(record.seed)
                try:
                    if entry.problem is not None:
                        raise UsageError(entry.problem)
                    self._check_voice(record)
                    prompt = sounds.prompt_of(entry, str(record.speaker), record.seed)
                except (UsageError, InputError) as error:
                    waiting.append(_Job(_failed(record, "bad_prompt", error.message), None))
                    continue
                waiting.append(_Job(record, mark))
                yield SpeechRequest(prompt, mark, record.seed)

    def _mark_for(self, seed: int) -> TokenMark | None:
        if self._marking is None:
            return None
        return remote_mark(self._marking) if self._generator.name == SERVER else self._marking.mark_for(seed)

    def _refused(self, waiting: "deque[_Job]") -> Iterator[ClipRecord]:
        """The records of jobs at the head of the line that never went to the generator."""
        while waiting and waiting[0].record.error is not None:
            yield self._kept(waiting.popleft().record)

    def _kept(self, record: ClipRecord) -> ClipRecord:
        self._clips.add(record)
        self.tally.add(record)
        return record

    def _check_voice(self, record: ClipRecord) -> None:
        if record.speaker not in self._generator.voices:
            known = _listed(self._generator.voices)
            raise UsageError(f"no voice {record.speaker!r}; {self._generator.name} has {known}")

    def _finished(self, job: "_Job", outcome: Clip | Exception) -> ClipRecord:
        if isinstance(outcome, UsageError | InputError):
            return _failed(job.record, "bad_prompt", outcome.message)
        try:
            clip = _checked(outcome, has_tokens=self._generator.has_tokens)
        except Exception as error:
            return _failed(job.record, "internal_error", f"{type(error).__name__}: {error}")
        return self._written(job.record, clip, job.mark)

    def _blank(self, index: int, entry: PromptEntry, take: int) -> ClipRecord:
        """The record as far as it is known before anything is made."""
        card = self._generator.model.card
        voice = entry.voice or self._plan.voice or self._generator.voices[0]
        return ClipRecord(
            schema_version=CLIP_SCHEMA_VERSION, index=index, clip_id=f"{index:06d}", path=None, sha256=None,
            label="spoof", generator=self._generator.name, model_id=self._generator.model.id,
            model_sha256=self._generator.model.model_sha256, family=str(card.get("family", self._generator.name)),
            kind=self._generator.kind, speaker=voice, source="covoguard generate", licence=card.get("licence"),
            prompt=ClipPrompt(entry.text, entry.prompt_id, entry.line), take=take, seed=clip_seed(self.seed, index),
            sampling=(), mark=None, tokens=None, token_rate_hz=None, sample_rate_hz=None, duration_s=None,
            replies=(), check=None, error=None, tool_version=__version__,
        )  # fmt: skip

    def _written(self, record: ClipRecord, clip: Clip, mark: TokenMark | None) -> ClipRecord:
        path = self._clips.clip_path(record.index, self._plan.suffix)
        with writing(path):
            write_audio(path, clip.audio.samples, clip.audio.rate_hz)
            sha256 = sha256_of_file(path)
        return replace(
            record,
            path=f"{CLIPS_NAME}/{path.name}",
            sha256=sha256,
            sampling=clip.recipe.sampling,
            mark=self._marking.describe(mark) if self._marking and mark else None,
            tokens=tuple(clip.tokens.ids.tolist()) if clip.tokens else None,
            token_rate_hz=clip.tokens.rate_hz if clip.tokens else None,
            sample_rate_hz=clip.audio.rate_hz,
            duration_s=clip.audio.duration_s,
            replies=tuple(ClipReply(each.text, each.start_s, each.end_s, each.speaker) for each in clip.replies),
            check=check_on_disk(path, sha256, _expected_s(clip), self._read_back),
        )


def _checked(clip: Clip | Exception, *, has_tokens: bool) -> Clip:
    """The clip. Raises what the generator failed with, `ValueError` for a clip that none may return."""
    if isinstance(clip, Exception):
        raise clip
    if has_tokens != (clip.tokens is not None and len(clip.tokens.ids) > 0):
        raise ValueError("the generator gave no tokens" if has_tokens else "tokens of a generator that has none")
    if not len(clip.audio.samples):
        raise ValueError("the generator gave no sound")
    if not np.isfinite(clip.audio.samples).all():
        raise ValueError("the generator's sound is not finite")
    return clip


def _expected_s(clip: Clip) -> float:
    """Seconds of the tokens, or of the sound without any; and in a two-sided call of what the generator heard."""
    if clip.tokens is None:
        return clip.audio.duration_s
    heard_s = sum(reply.end_s - reply.start_s for reply in clip.replies if reply.speaker == HEARD)
    return len(clip.tokens.ids) / clip.tokens.rate_hz + heard_s


def _listed(voices: tuple[str, ...]) -> str:
    """The voices for a message: all, or of many the first."""
    shown = ", ".join(voices[:_VOICES_SHOWN])
    return shown if len(voices) <= _VOICES_SHOWN else f"{shown} … {voices[-1]} ({len(voices)} in all)"


def _failed(record: ClipRecord, code: str, message: str) -> ClipRecord:
    return replace(record, error=ClipFailure(code, message))


def _payload(plan: PayloadPlan, begun: RunSettings) -> Payload:
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
