"""Generates clips into a folder: each prompt and take once, marked, read back, recorded, whatever interrupts it."""

import datetime
import hashlib
import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from ..core.audio import AudioReader, DecodeLimits, write_audio
from ..core.cliprecord import CLIP_SCHEMA_VERSION, ClipCheck, ClipFailure, ClipPrompt, ClipRecord
from ..core.errors import CovoguardError, InputError, UsageError
from ..core.keys import SecretKey
from ..core.modelcard import open_model, sha256_of_file
from ..core.protocols import Generator, TokenMark
from ..core.records import Clip, Prompt, Tokens
from ..core.version import __version__
from ..generate.prompts import PromptEntry, PromptList
from ..generate.registry import GENERATORS
from ..reports.clip_csv import spreadsheet
from ..reports.clip_summary import ClipTally
from ..watermark.payload import Payload
from .clip_folder import CLIPS_NAME, ClipFolder, RunSettings, writing
from .mark_evidence import WrittenClip, check_written, load_mark_checker
from .marking import Marking, table_of

log = logging.getLogger(__name__)

DEFAULT_BACKEND = "pocket"
SURE_S = 10.0
"""From this length on a mark that was put on is found again, unless something is wrong."""
WEAK_LOG10_P = -3.0
"""Evidence as strong as this shows that the mark is on, even where it is too little to be certain."""
LENGTH_TOLERANCE_S = 1e-3
_SEED_BITS = 53
"""A whole number of JSON that every reader keeps exact."""

ReadBack = Callable[[Path], WrittenClip]
"""Reads a written clip from the disk; raises `InputError` when it cannot."""


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


def load_generator(backend: str | None, folder: Path | None) -> Generator:
    """The generator called `backend` with the model in `folder`; None each: the default, the bundled model.

    With a folder alone, its card names the generator. Raises `UsageError` for an unknown generator or a model
    that belongs to another one or to a detector, `ModelMissing` and `IntegrityError` for a folder that is not whole.
    """
    if folder is not None:
        kind, made_for = open_model(folder).part
        if kind != "generator":
            raise UsageError(f"{folder}: a model of the {kind} {made_for}; to generate, give the folder of a generator")
        if backend not in (None, made_for):
            raise UsageError(f"{folder}: this model is for {made_for}, not {backend}; leave --backend out")
        backend = made_for
    return GENERATORS.get(backend or DEFAULT_BACKEND).load(folder)


def check_plan(plan: GenerationPlan, generator: Generator) -> None:
    """Raise `UsageError` for a voice that the generator has not, and for a payload that cannot be carried."""
    if plan.voice is not None and plan.voice not in generator.voices:
        raise UsageError(f"{generator.name} has no voice {plan.voice!r}; it has {', '.join(generator.voices)}")
    if plan.payload is not None:
        _payload(plan.payload, {})


@contextmanager
def reading_back(generator: Generator, key: SecretKey | None, *, payload: bool = False) -> Iterator[ReadBack]:
    """The check of written clips: decoded as any file would be, and tested for the mark of `key` (None: for none).

    `payload`: the clips carry one, so presence is looked for in the other half of the slots.
    """
    checker = load_mark_checker([key], generator.model.path, payload=payload) if key else None
    with AudioReader(DecodeLimits()) as reader:
        yield partial(check_written, reader=reader, checker=checker)


@contextmanager
def open_generation(
    folder: Path,
    prompts: PromptList,
    generator: Generator,
    plan: GenerationPlan,
    *,
    key: SecretKey | None,
    read_back: ReadBack,
) -> Iterator["Generation"]:
    """Begin a run in `folder`, or go on with the one that the same choices began there; `key` None: no marks.

    Raises `UsageError` for a voice that the generator has not, a folder that cannot be written or holds anything
    else; `IntegrityError` for one that is damaged.
    """
    check_plan(plan, generator)
    with ClipFolder.open(folder) as clips:
        begun = clips.settings or {}
        seed = plan.seed if plan.seed is not None else begun.get("seed", secrets.randbits(_SEED_BITS))
        payload = _payload(plan.payload, begun) if plan.payload else None
        marking = Marking(key, table_of(generator.model), payload) if key else None
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
        index = 0
        for entry in self._prompts:
            for take in range(self._plan.takes):
                if index >= self.earlier:
                    record = self._made(index, entry, take)
                    self._clips.add(record)
                    self.tally.add(record)
                    yield record
                index += 1
        self._clips.write_spreadsheet(spreadsheet(self._clips.earlier()))

    def all_records(self) -> list[ClipRecord]:
        """All that the manifest holds now."""
        return list(self._clips.earlier())

    def _made(self, index: int, entry: PromptEntry, take: int) -> ClipRecord:
        record = self._blank(index, entry, take)
        if entry.problem is not None:
            return _failed(record, "bad_prompt", entry.problem)
        if record.speaker not in self._generator.voices:
            known = ", ".join(self._generator.voices)
            return _failed(record, "bad_prompt", f"no voice {record.speaker!r}; {self._generator.name} has {known}")
        mark = self._marking.mark_for(record.seed) if self._marking else None
        try:
            prompt = Prompt(text=entry.text, voice=record.speaker)
            clip = self._generator.generate(prompt, mark=mark, seed=record.seed)
            tokens = _checked(clip)
        except (UsageError, InputError) as error:
            return _failed(record, "bad_prompt", error.message)
        except CovoguardError:
            raise  # a model or a key: it concerns every clip
        except Exception as error:
            log.warning("clip %d: the generator failed", index, exc_info=log.isEnabledFor(logging.INFO))
            return _failed(record, "internal_error", f"{type(error).__name__}: {error}")
        return self._written(record, clip, tokens, mark)

    def _blank(self, index: int, entry: PromptEntry, take: int) -> ClipRecord:
        """The record as far as it is known before anything is made."""
        card = self._generator.model.card
        voice = entry.voice or self._plan.voice or self._generator.voices[0]
        return ClipRecord(
            schema_version=CLIP_SCHEMA_VERSION, index=index, clip_id=f"{index:06d}", path=None, sha256=None,
            label="spoof", generator=self._generator.name, model_id=self._generator.model.id,
            model_sha256=self._generator.model.model_sha256, family=str(card.get("family", self._generator.name)),
            kind="speech-lm", speaker=voice, source="covoguard generate", licence=card.get("licence"),
            prompt=ClipPrompt(entry.text, entry.prompt_id, entry.line), take=take, seed=clip_seed(self.seed, index),
            sampling=(), mark=None, tokens=None, token_rate_hz=None, sample_rate_hz=None, duration_s=None,
            check=None, error=None, tool_version=__version__,
        )  # fmt: skip

    def _written(self, record: ClipRecord, clip: Clip, tokens: Tokens, mark: TokenMark | None) -> ClipRecord:
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
            tokens=tuple(tokens.ids.tolist()),
            token_rate_hz=tokens.rate_hz,
            sample_rate_hz=clip.audio.rate_hz,
            duration_s=clip.audio.duration_s,
            check=self._checked_on_disk(path, sha256, len(tokens.ids) / tokens.rate_hz),
        )

    def _checked_on_disk(self, path: Path, sha256: str, expected_s: float) -> ClipCheck:
        try:
            written = self._read_back(path)
        except InputError as error:
            return ClipCheck("unreadable", detail=error.message)
        if written.sha256 != sha256:
            return ClipCheck("unreadable", detail="the file changed while it was read")
        if abs(written.duration_s - expected_s) > LENGTH_TOLERANCE_S:
            detail = f"{written.duration_s:.4f} s were read back, the tokens are {expected_s:.4f} s"
            return ClipCheck("wrong_length", detail=detail)
        return _judged(written, expected_s)


def _judged(written: WrittenClip, expected_s: float) -> ClipCheck:
    reading = written.token_mark
    if reading is None:
        return ClipCheck("not_marked")
    if reading.status == "present":
        return ClipCheck("mark_found", reading.log10_p, reading.seconds_used, reading.seconds_needed)
    is_weak = reading.log10_p is not None and reading.log10_p <= WEAK_LOG10_P
    status: Literal["too_short", "mark_not_found"] = "too_short" if is_weak or expected_s < SURE_S else "mark_not_found"
    return ClipCheck(status, reading.log10_p, reading.seconds_used, reading.seconds_needed, reading.reason)


def _checked(clip: Clip) -> Tokens:
    """The clip's tokens. Raises `ValueError` for a clip that no generator may return."""
    if clip.tokens is None or not len(clip.tokens.ids) or not len(clip.audio.samples):
        raise ValueError("the generator gave no tokens or no sound")
    if not np.isfinite(clip.audio.samples).all():
        raise ValueError("the generator's sound is not finite")
    return clip.tokens


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
        "voice": plan.voice,
        "takes": plan.takes,
        "seed": seed,
        "format": plan.suffix.removeprefix("."),
        "key": marking.key.key_id if marking else None,
        "mark_table_sha256": marking.table.sha256 if marking else None,
        "payload": asdict(marking.payload) if marking and marking.payload else None,
    }
