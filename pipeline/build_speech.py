"""Spoofs made of prompts by a generator, in any process, with the same code that `covoguard generate` runs."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from ..core.audio import resample
from ..core.errors import InputError, UsageError
from ..core.keyring import KeyRing
from ..core.protocols import BatchGenerator, Generator
from ..core.rates import DETECTOR_RATE_HZ
from ..core.records import Audio
from ..datasets.store import StoredClip, StoreRow
from .build_copies import FAULTS, damaged
from .build_damage import Damage
from .build_plan import GENERATE, Attempt, BuildPlan, SpeechOrder, failed
from .clip_check import marks_of
from .dataset_inputs import row_of_record
from .generate import load_generator, payload_of
from .marking import Marking, table_of
from .prompted_clips import MadeClip, Place, PromptedClips, places_of
from .speech_jobs import PromptSounds

_STEM_LENGTH = 16


@dataclass(frozen=True)
class SpeechHire:
    """A `Hire`: readies a generator for an order; a task is a place of it. The key comes from the user's key ring."""

    order: SpeechOrder
    plan: BuildPlan

    @contextmanager
    def __call__(self) -> Iterator[Callable[[Place], list[Attempt]]]:
        """Raises as `load_generator`."""
        generator = load_generator(self.order.backend, self.order.model, self.order.settings)
        with open_speech(self.order, self.plan, generator) as maker:
            yield lambda place: next(maker.attempts([place]))


class SpeechMaker:
    """Makes the clips of an order with one generator. Made by `open_speech`."""

    def __init__(self, order: SpeechOrder, plan: BuildPlan, generator: Generator, clips: PromptedClips) -> None:
        """Made by `open_speech`."""
        self.makes_many = isinstance(generator, BatchGenerator)
        self._order, self._plan, self._generator, self._clips = order, plan, generator, clips
        self._marks = None if order.key_id is None else table_of(marks_of(generator, order.recoverer)).sha256

    def attempts(self, places: Iterable[Place]) -> Iterator[list[Attempt]]:
        """All that is to be made of each place, in order: the clip, and its damaged copies."""
        waiting: list[Place] = []

        def noted() -> Iterator[Place]:
            for place in places:
                waiting.append(place)
                yield place

        for made in self._clips.made(noted()):
            yield self._attempts(waiting.pop(0), made)

    def places(self) -> list[Place]:
        """Of all clips that the order asks for."""
        return list(places_of(self._order.prompts, self._order.plan.takes))

    def clip_ids(self, place: Place) -> list[str]:
        """The ids of all clips of a place: hashes of all that decides them, so that they name no others."""
        record = self._clips.blank(place)
        decides = {
            "backend": record.generator, "model_sha256": record.model_sha256, "voice": record.speaker,
            "settings": self._order.settings.deciding(), "take": record.take, "seed": record.seed,
            "key": self._order.key_id, "mark_table_sha256": self._marks,
            "payload": None if self._order.plan.payload is None else dataclasses.asdict(self._order.plan.payload),
            "turns": [dataclasses.asdict(turn) for turn in place.entry.turns], "partner": place.entry.partner,
            "exchanges": place.entry.exchanges,
        }  # fmt: skip
        stem = hashlib.sha256(json.dumps(decides, sort_keys=True).encode("ascii")).hexdigest()[:_STEM_LENGTH]
        names = [None if damage is None else damage.name for damage in self._plan.damages]
        return [".".join([stem, GENERATE, *([] if name is None else [name])]) for name in names]

    def path(self, place: Place) -> str:
        """The prompt, for people."""
        return f"{self._order.prompts.name}:{place.entry.line}"

    def check_consent(self) -> None:
        """Raise `UsageError` where a recording of a voice is used, and nothing says that it may be."""
        if self._order.consent_ref and self._order.purpose:
            return
        recorded = getattr(self._generator, "reference_voices", ())
        for place in self.places():
            voice = self._clips.blank(place).speaker
            sound = next((turn.audio for turn in place.entry.turns if turn.audio is not None), None)
            if sound is not None or voice in recorded:
                what = f"the recording {sound}" if sound is not None else f"the voice {voice!r}, made of a recording"
                raise UsageError(
                    f"{self.path(place)}: uses {what}; say with --consent where the consent of its speaker can be "
                    "found, and with --purpose what it is for"
                )

    def _attempts(self, place: Place, made: MadeClip) -> list[Attempt]:
        path, error = self.path(place), made.record.error
        if made.clip is None:
            failure = InputError(error.message, code=error.code) if error else InputError(f"{path}: gave no clip")
            return [failed(path, GENERATE, failure)]
        clip, row = made.clip, self._row(made)
        ids = self.clip_ids(place)
        tokens = None if clip.tokens is None else clip.tokens.ids.astype(np.int32)
        attempts = [Attempt(path, GENERATE, StoredClip(dataclasses.replace(row, clip_id=ids[0]), clip.audio, tokens))]
        sound = Audio(resample(clip.audio.samples, clip.audio.rate_hz, DETECTOR_RATE_HZ), DETECTOR_RATE_HZ)
        for clip_id, damage in zip(ids[1:], self._plan.damages[1:], strict=True):
            try:
                copy = damaged(_damaged_row(row, clip_id, damage), sound, damage, self._plan.seed, ids[0])
            except FAULTS as fault:
                attempts.append(failed(path, GENERATE, fault))
            else:
                attempts.append(Attempt(path, GENERATE, copy))
        return attempts

    def _row(self, made: MadeClip) -> StoreRow:
        tokens = made.clip.tokens if made.clip is not None else None
        return dataclasses.replace(
            row_of_record(made.record),
            consent_ref=self._order.consent_ref,
            purpose=self._order.purpose,
            codebook_size=None if tokens is None else tokens.codebook_size,
        )


def _damaged_row(row: StoreRow, clip_id: str, damage: Damage | None) -> StoreRow:
    """The row of a damaged copy, which keeps no tokens: the chain may have changed the speed."""
    recipe = row.recipe
    if recipe is not None and damage is not None:
        recipe = dataclasses.replace(recipe, sampling=(*recipe.sampling, *damage.settings))
    return dataclasses.replace(row, clip_id=clip_id, recipe=recipe, token_rate_hz=None, codebook_size=None)


@contextmanager
def open_speech(order: SpeechOrder, plan: BuildPlan, generator: Generator) -> Iterator[SpeechMaker]:
    """Ready a generator for an order, with its key. Raises as `marks_of` and `KeyRing.get`."""
    if order.plan.payload is not None and order.plan.payload.day is None:
        raise UsageError("--payload: name the day too, as MODEL:TENANT:YYYY-MM-DD; else tomorrow gives other clips")
    key = None if order.key_id is None else KeyRing.open().get(order.key_id)
    payload = None if order.plan.payload is None else payload_of(order.plan.payload, {})
    marking = None if key is None else Marking(key, table_of(marks_of(generator, order.recoverer)), payload)
    with PromptSounds(order.prompts.folder, key) as sounds:
        clips = PromptedClips(generator, sounds, voice=order.plan.voice, marking=marking, seed=plan.seed)
        yield SpeechMaker(order, plan, generator, clips)
