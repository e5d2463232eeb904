"""All sounds that a training draws from, made once and kept: clips as they are, copies of genuine ones, damaged ones.

Each kind is one file of samples whose name holds a hash of all that decides it, so a file is never taken for another
and several trainings may share it. A run that was killed goes on after the last sound that it finished.
"""

import contextlib
import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..core.errors import CovoguardError, InputError
from ..core.progress import Progress, silent
from ..core.records import Float32Array, Row
from ..datasets.copies import COPIES, CopyMethod
from ..datasets.degrade.chain import ChainRecipe, Sounds, degrade
from .clip_sounds import SILENT_PEAK
from .neural_copies import is_neural, open_neural
from .sound_file import SoundFile, SoundWriter
from .token_resynthesis import PocketResynthesis
from .training_clips import TrainingClips, decode_clips

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

log = logging.getLogger(__name__)

FAULTS = (CovoguardError, ValueError, ArithmeticError, LookupError, RuntimeError, OSError)
"""What a sound alone can bring about in a vocoder or an encoder."""
_KEY_DIGITS = 16
_COPYING, _DAMAGING = 1, 2
"""Keep the random numbers of both apart."""


@dataclass(frozen=True)
class SoundPlan:
    """What is made of the clips."""

    methods: tuple[str, ...]
    """Of copy-synthesis, for every genuine clip."""
    copies: int
    """Damaged copies of each clip and each copy-synthesised one; 0: damage is done while training."""
    chain: ChainRecipe
    seed: int


@dataclass(frozen=True)
class Item:
    """A sound that can be drawn: a clip of the collection, or a copy that was made of one."""

    row: Row
    """Of a made copy: that of its recording, as a spoof of the method."""
    original: int | None
    """Number of the genuine item that this spoof was made of."""
    is_made: bool
    pool: str | None = None
    """The voices that it speaks with."""

    @property
    def family(self) -> str | None:
        """What early stop and sampling keep together among spoofs; None: genuine, or not known."""
        return (self.row.family or self.row.generator) if self.row.label == "spoof" else None


@dataclass(frozen=True)
class TrainingSounds:
    """The finished sounds, by number of item; cheap to send to another process."""

    items: tuple[Item, ...]
    plan: SoundPlan
    clips: SoundFile
    made: SoundFile
    damaged: SoundFile
    utterances: tuple[int, ...] = ()
    """A number for each clip, equal for clips that hold one utterance; empty: not asked."""

    def clean(self, number: int) -> Float32Array:
        """An item as it is (n,)."""
        count = len(self.clips)
        return self.clips.read(number) if number < count else self.made.read(number - count)

    def length(self, number: int) -> int:
        """Samples of an item as it is; 0 for a copy that could not be made."""
        count = len(self.clips)
        return self.clips.length(number) if number < count else self.made.length(number - count)

    def damaged_copy(self, number: int, copy: int) -> Float32Array:
        """One of the `plan.copies` damaged copies (n,) of an item."""
        return self.damaged.read(number * self.plan.copies + copy)


def prepare_sounds(
    clips: TrainingClips, plan: SoundPlan, sounds: Sounds, folder: Path, *, jobs: int, progress: Progress = silent
) -> TrainingSounds:
    """Make in `folder` whatever is not there yet.

    A copy that a method cannot make is left out and told in the log. Raises `InputError` for a clip that cannot be
    used, and `CovoguardError` (`output_error`) when the folder takes no more.
    """
    methods = [copy_method(name) for name in plan.methods]
    items = items_of(clips, methods)
    paths = _paths(folder, clips, plan, methods, sounds)
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with SoundWriter(paths[0]) as writer:
            decode_clips(clips, writer, jobs=jobs, progress=progress)
        recordings = SoundFile(paths[0])
        made = [item for item in items if item.is_made]
        copier = _Copier(recordings, methods, made, plan)
        _make(copier, paths[1], len(made), jobs, progress, "copying")
        damager = _Damager(recordings, SoundFile(paths[1]), items, plan, sounds)
        _make(damager, paths[2], len(items) * plan.copies, jobs, progress, "damaging")
        whole = TrainingSounds(tuple(items), plan, recordings, SoundFile(paths[1]), SoundFile(paths[2]))
    lost = sum(not whole.length(number) for number in range(len(items)))
    if lost:
        log.warning("%d of %d copies could not be made and are left out", lost, len(made))
    return whole


def items_of(clips: TrainingClips, methods: Sequence[CopyMethod]) -> list[Item]:
    """Every clip, then every copy that is made: all methods for the first genuine clip, and so on."""
    items = [
        Item(row, original, False, pool)
        for row, original, pool in zip(clips.rows, clips.originals, clips.pools, strict=True)
    ]
    for number, row in enumerate(clips.rows):
        if row.label == "bonafide":
            for method in methods:
                copied = replace(row, label="spoof", clip_id=f"{row.clip_id}.{method.name}", kind=method.kind)
                made = replace(copied, generator=method.name, family=method.family)
                items.append(Item(made, number, True, clips.pools[number]))
    return items


def copy_method(name: str) -> CopyMethod:
    """The method of copy-synthesis, ready to work. Raises `UsageError` or `ModelMissing` for what it lacks."""
    if is_neural(name):
        return open_neural(name)
    return PocketResynthesis() if name == PocketResynthesis.name else COPIES.get(name)()


class Worked(Protocol):
    """What work on numbered things is asked for; it is sent to other processes."""

    def __getitem__(self, number: Any, /) -> Any:
        """The result for one number, or other name of a piece of work."""
        ...


def worked_ahead(work: Worked, numbers: Iterable[Any], jobs: int) -> "DataLoader[Any]":
    """Gives `work[number]` for each, in order, each time it is gone through; `jobs` processes work ahead.

    With 1 the work is done in this process. What comes does not depend on `jobs`.
    """
    import torch
    from torch.utils.data import DataLoader

    several = jobs > 1
    return DataLoader(
        work,  # type: ignore[arg-type]  # any object with `__getitem__` is a map-style dataset
        sampler=numbers,
        batch_size=None,
        num_workers=jobs if several else 0,
        collate_fn=_as_it_is,
        persistent_workers=several,
        multiprocessing_context="spawn" if several else None,
        prefetch_factor=4 if several else None,
        generator=torch.Generator(),  # otherwise a number is taken from everybody's
    )


class _Copier:
    """Copies that are made, by their number among these; text in place of one that cannot be made."""

    def __init__(self, clips: SoundFile, methods: Sequence[CopyMethod], made: Sequence[Item], plan: SoundPlan) -> None:
        self._clips, self._made, self._plan = clips, made, plan
        self._methods: Sequence[CopyMethod] | None = methods

    def __getstate__(self) -> dict[str, Any]:
        """Without the methods, whose models each process loads for itself."""
        return {**self.__dict__, "_methods": None}

    def __getitem__(self, number: int) -> Float32Array | str:
        if self._methods is None:
            self._methods = [copy_method(name) for name in self._plan.methods]
        place, original = number % len(self._methods), self._made[number].original
        samples = self._clips.read(int(original or 0))
        rng = np.random.default_rng([self._plan.seed, _COPYING, number])
        try:
            copied = self._methods[place].copy(samples, rng)
        except FAULTS as error:
            return f"{type(error).__name__}: {error}"
        if not np.isfinite(copied).all() or float(np.abs(copied).max(initial=0.0)) < SILENT_PEAK:
            return "makes no sound of it"
        return copied / np.float32(max(1.0, float(np.abs(copied).max())))


class _Damager:
    """Damaged copies of all items, by item and number of copy; a copy hears the same damage as its recording."""

    def __init__(
        self, clips: SoundFile, made: SoundFile, items: Sequence[Item], plan: SoundPlan, sounds: Sounds
    ) -> None:
        self._clips, self._made, self._items, self._plan, self._sounds = clips, made, items, plan, sounds

    def __getitem__(self, number: int) -> Float32Array | str:
        item, copy = divmod(number, self._plan.copies)
        count = len(self._clips)
        samples = self._clips.read(item) if item < count else self._made.read(item - count)
        original = self._items[item].original
        recording = item if original is None else original
        rng = np.random.default_rng([self._plan.seed, _DAMAGING, recording, copy])
        try:
            return degrade(samples, self._plan.chain, self._sounds, rng)[0] if len(samples) else samples
        except FAULTS as error:
            clip_id = self._items[item].row.clip_id
            raise InputError(f"{clip_id}: cannot be damaged ({error}); take it out", code="partial") from error


def _make(work: "_Copier | _Damager", path: Path, total: int, jobs: int, progress: Progress, note: str) -> None:
    with SoundWriter(path) as writer:
        left = range(writer.count, total)
        for number, made in zip(left, worked_ahead(work, left, min(jobs, len(left))), strict=True):
            if isinstance(made, str):
                log.warning("%s: sound %d is left out: %s", note, number, made)
            writer.add(np.zeros(0, np.float32) if isinstance(made, str) else made)
            progress(number + 1, total, note)


def _paths(
    folder: Path, clips: TrainingClips, plan: SoundPlan, methods: Sequence[CopyMethod], sounds: Sounds
) -> tuple[Path, Path, Path]:
    """Files of the three kinds, named by what decides them."""
    made = [clips.sha256, plan.seed, *([each.name, each.model_sha256, *each.settings] for each in methods)]
    damaged = [made, plan.copies, asdict(plan.chain), hash_of_sounds(sounds)]
    keyed: list[tuple[str, Any]] = [("clips", clips.sha256), ("copies", made), ("damaged", damaged)]
    names = (f"{kind}-{_sha256(json.dumps(key).encode())[:_KEY_DIGITS]}.i16" for kind, key in keyed)
    first, second, third = (folder / name for name in names)
    return first, second, third


def hash_of_sounds(sounds: Sounds) -> str:
    """SHA-256 over recorded noises and rooms."""
    parts = [[_sha256(np.ascontiguousarray(each).tobytes()) for each in kind] for kind in (sounds.noises, sounds.rooms)]
    return _sha256(json.dumps(parts).encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _as_it_is(made: Any) -> Any:
    return made


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CovoguardError(
            f"{error.filename or folder}: cannot be written: {error.strerror or error}; make room or grant it, and run "
            "the same command again: what is finished is kept",
            code="output_error",
        ) from error
