"""Clips of prompts as a generator makes them, one after the other, whatever is then done with them."""

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..core.cliprecord import CLIP_SCHEMA_VERSION, ClipFailure, ClipPrompt, ClipRecord, ClipReply
from ..core.errors import InputError, UsageError
from ..core.protocols import Generator, SpeechRequest, TokenMark
from ..core.records import Clip
from ..core.version import __version__
from ..generate.prompts import PromptEntry, PromptList
from .clip_check import SERVER
from .marking import Marking
from .speech_jobs import PromptSounds, outcomes_of

SEED_BITS = 53
"""A whole number of JSON that every reader keeps exact."""
_VOICES_SHOWN = 40


@dataclass(frozen=True)
class Place:
    """A clip that a run is to have: its number from 0, its prompt, and which take of that prompt it is."""

    index: int
    entry: PromptEntry
    take: int


@dataclass(frozen=True)
class MadeClip:
    """What came of a place. `record` has all but what only a file has; with an error there is no clip."""

    record: ClipRecord
    clip: Clip | None


@dataclass(frozen=True)
class _Job:
    """A clip on its way: its record as far as it is known, and its mark."""

    record: ClipRecord
    mark: TokenMark | None


def places_of(prompts: PromptList, takes: int) -> Iterator[Place]:
    """All places of a run: prompts in their order, the takes of each one after another."""
    each = ((entry, take) for entry in prompts for take in range(takes))
    return (Place(index, *entry_and_take) for index, entry_and_take in enumerate(each))


def clip_seed(seed: int, index: int) -> int:
    """The seed of clip `index` in a run with `seed`: SHA-256 of both, so that no two runs share one by design."""
    digest = hashlib.sha256(f"covoguard clip {seed} {index}".encode("ascii")).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - SEED_BITS)


class PromptedClips:
    """Has a generator say prompts, under one choice of voice, marking and seed."""

    def __init__(
        self, generator: Generator, sounds: PromptSounds, *, voice: str | None, marking: Marking | None, seed: int
    ) -> None:
        """`voice`: of prompts that name none (None: the generator's first); `marking` None: no marks."""
        self._generator, self._sounds = generator, sounds
        self._voice, self._marking, self._seed = voice, marking, seed

    def made(self, places: Iterable[Place]) -> Iterator[MadeClip]:
        """One for each place, in order; many are under way at once where the generator can.

        A prompt that cannot be said is a record with an error. Raises what concerns every clip.
        """
        waiting: deque[_Job] = deque()
        for outcome in outcomes_of(self._generator, self._requests(places, waiting)):
            yield from _refused(waiting)
            yield self._finished(waiting.popleft(), outcome)
        yield from _refused(waiting)

    def blank(self, place: Place) -> ClipRecord:
        """The record as far as it is known before anything is made."""
        card, entry = self._generator.model.card, place.entry
        voice = entry.voice or self._voice or self._generator.voices[0]
        return ClipRecord(
            schema_version=CLIP_SCHEMA_VERSION, index=place.index, clip_id=f"{place.index:06d}", path=None,
            sha256=None, label="spoof", generator=self._generator.name, model_id=self._generator.model.id,
            model_sha256=self._generator.model.model_sha256, family=str(card.get("family", self._generator.name)),
            kind=self._generator.kind, speaker=voice, source="covoguard generate", licence=card.get("licence"),
            prompt=ClipPrompt(entry.text, entry.prompt_id, entry.line), take=place.take,
            seed=clip_seed(self._seed, place.index), sampling=(), mark=None, tokens=None, token_rate_hz=None,
            sample_rate_hz=None, duration_s=None, replies=(), check=None, error=None, tool_version=__version__,
        )  # fmt: skip

    def _requests(self, places: Iterable[Place], waiting: deque[_Job]) -> Iterator[SpeechRequest]:
        """What is to be said; each job is put down in `waiting` first, also one that is refused at once."""
        for place in places:
            record = self.blank(place)
            mark = self._mark_for(record.seed)
            try:
                if place.entry.problem is not None:
                    raise UsageError(place.entry.problem)
                self._check_voice(record)
                prompt = self._sounds.prompt_of(place.entry, str(record.speaker), record.seed)
            except (UsageError, InputError) as error:
                waiting.append(_Job(_failed(record, "bad_prompt", error.message), None))
                continue
            waiting.append(_Job(record, mark))
            yield SpeechRequest(prompt, mark, record.seed)

    def _mark_for(self, seed: int) -> TokenMark | None:
        if self._marking is None:
            return None
        if self._generator.name != SERVER:
            return self._marking.mark_for(seed)
        from .serving import remote_mark  # loads torch, which processes that make no speech do without

        return remote_mark(self._marking)

    def _check_voice(self, record: ClipRecord) -> None:
        if record.speaker not in self._generator.voices:
            known = listed_voices(self._generator.voices)
            raise UsageError(f"no voice {record.speaker!r}; {self._generator.name} has {known}")

    def _finished(self, job: _Job, outcome: Clip | Exception) -> MadeClip:
        if isinstance(outcome, UsageError | InputError):
            return MadeClip(_failed(job.record, "bad_prompt", outcome.message), None)
        try:
            clip = _checked(outcome, has_tokens=self._generator.has_tokens)
        except Exception as error:
            return MadeClip(_failed(job.record, "internal_error", f"{type(error).__name__}: {error}"), None)
        record = replace(
            job.record,
            sampling=clip.recipe.sampling,
            mark=self._marking.describe(job.mark) if self._marking and job.mark else None,
            tokens=tuple(clip.tokens.ids.tolist()) if clip.tokens else None,
            token_rate_hz=clip.tokens.rate_hz if clip.tokens else None,
            sample_rate_hz=clip.audio.rate_hz,
            duration_s=clip.audio.duration_s,
            replies=tuple(ClipReply(each.text, each.start_s, each.end_s, each.speaker) for each in clip.replies),
        )
        return MadeClip(record, clip)


def listed_voices(voices: tuple[str, ...]) -> str:
    """The voices for a message: all, or of many the first."""
    shown = ", ".join(voices[:_VOICES_SHOWN])
    return shown if len(voices) <= _VOICES_SHOWN else f"{shown} … {voices[-1]} ({len(voices)} in all)"


def _refused(waiting: deque[_Job]) -> Iterator[MadeClip]:
    """The jobs at the head of the line that never went to the generator."""
    while waiting and waiting[0].record.error is not None:
        yield MadeClip(waiting.popleft().record, None)


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


def _failed(record: ClipRecord, code: str, message: str) -> ClipRecord:
    return replace(record, error=ClipFailure(code, message))
