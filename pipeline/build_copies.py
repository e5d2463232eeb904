"""Spoofs made of genuine clips, one clip after the other, in any process: copies by each method, damaged alike."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import InputError, UsageError
from ..core.rates import DETECTOR_RATE_HZ
from ..core.records import Audio, Float32Array, Recipe
from ..datasets.copies import CopyMethod
from ..datasets.store import Store, StoredClip, StoreRow
from .build_damage import DEGRADING, Damage, stream
from .build_plan import Attempt, BuildPlan, failed
from .clip_sounds import SILENT_PEAK
from .genuine_clips import GenuineClip, open_genuine

_STEM_LENGTH = 16
FAULTS = (InputError, UsageError, ValueError, ArithmeticError, LookupError, RuntimeError, OSError)
"""What a sound alone can bring about in a vocoder or an encoder; the clip then fails, not the run."""


@dataclass(frozen=True)
class CopyHire:
    """A `Hire`: readies all that makes copies of the clips of a collection; a task is the place of a clip."""

    collection: Path
    folder: Path
    plan: BuildPlan

    @contextmanager
    def __call__(self) -> Iterator[Callable[[int], list[Attempt]]]:
        """Raises what the methods, the collection and the store raise."""
        methods = self.plan.open_methods()
        with open_genuine(self.collection) as clips:
            yield _CopyMaker(clips, methods, self.folder, self.plan).make


class _CopyMaker:
    def __init__(
        self, clips: Sequence[GenuineClip], methods: Sequence[CopyMethod], folder: Path, plan: BuildPlan
    ) -> None:
        self._clips, self._plan, self._folder = clips, plan, folder
        self._methods = (*([None] if plan.keep_bonafide else []), *methods)
        self._there: Mapping[str, StoreRow] = {}
        if folder.is_dir():
            with Store(folder) as earlier:
                self._there = {row.clip_id: row for row in earlier.rows()}

    def make(self, place: int) -> list[Attempt]:
        """All that is to be made of a clip, but for what an earlier run has left."""
        clip = self._clips[place]
        try:
            genuine, samples = clip.read()
            _check_audible(samples, clip.path)
        except (InputError, UsageError) as error:
            return [failed(clip.path, None, error)]
        return [attempt for method in self._methods for attempt in self._by(method, clip.path, genuine, samples)]

    def _by(self, method: CopyMethod | None, path: str, genuine: StoreRow, samples: Float32Array) -> list[Attempt]:
        """The clips of one method; None: the genuine one."""
        name = None if method is None else method.name
        rows = [(damage, _row_of(genuine, method, damage, self._plan.seed)) for damage in self._plan.damages]
        attempts = [Attempt(path, name, row=row) for _, row in rows if self._has(row)]
        missing = [(damage, row) for damage, row in rows if not self._has(row)]
        try:
            made = self._made(genuine, samples, method, missing, path) if missing else []
        except FAULTS as error:
            return [*attempts, failed(path, name, error)]
        return [*attempts, *(Attempt(path, name, clip=clip) for clip in made)]

    def _has(self, row: StoreRow) -> bool:
        return row.clip_id in self._there and is_same(self._folder, self._there[row.clip_id], row)

    def _made(
        self, genuine: StoreRow, samples: Float32Array, method: CopyMethod | None,
        missing: Sequence[tuple[Damage | None, StoreRow]], path: str,
    ) -> list[StoredClip]:  # fmt: skip
        stem, seed = _stem(genuine), self._plan.seed
        if method is not None:
            copied = method.copy(samples, stream(seed, stem, method.name))
            samples = _at_level_of(samples, copied, path, method.name)
        return [damaged(row, Audio(samples, DETECTOR_RATE_HZ), damage, seed, stem) for damage, row in missing]


def damaged(row: StoreRow, audio: Audio, damage: Damage | None, seed: int, stem: str) -> StoredClip:
    """The clip of `row`, damaged at 16 kHz, or as it is; `stem` is the same for clips that get the same draws."""
    if damage is None:
        return StoredClip(row, audio)
    sound, stages = damage.apply(audio.samples, stream(seed, stem, f"{DEGRADING} {damage.name}"))
    row = dataclasses.replace(row, degradations=(*row.degradations, *stages))
    return StoredClip(row, Audio(sound, DETECTOR_RATE_HZ))


def is_same(folder: Path, there: StoreRow, row: StoreRow) -> bool:
    """True for a clip that was made as `row` says. Raises `UsageError` where another clip has the id."""
    if _identity(there) != _identity(row):
        raise UsageError(
            f"{folder}: holds the clip {row.clip_id}, made in another way or with another seed; repeat the command "
            "that made it, or name a new store with -o"
        )
    return True


def _row_of(genuine: StoreRow, method: CopyMethod | None, damage: Damage | None, seed: int) -> StoreRow:
    """What is known of a clip before it is made; its degradations are those of the genuine clip."""
    if method is None and damage is None:
        return genuine
    stem = _stem(genuine)
    settings = () if method is None else method.settings
    origin = (("genuine_clip", genuine.clip_id), ("genuine_sha256", str(genuine.key)))
    recipe = Recipe(
        generator=DEGRADING if method is None else method.name,
        model_sha256=None if method is None else method.model_sha256,
        seed=seed,
        sampling=(*settings, *origin, *(() if damage is None else damage.settings)),
    )
    names = [stem, *([] if method is None else [method.name]), *([] if damage is None else [damage.name])]
    row = dataclasses.replace(
        genuine, clip_id=".".join(names), recipe=recipe, mark=None, file_sha256=None, samples_sha256=None,
        token_rate_hz=None, codebook_size=None,
    )  # fmt: skip
    if method is None:
        return row
    return dataclasses.replace(
        row, label="spoof", generator=method.name, generator_version=None, family=method.family, kind=method.kind
    )


def _identity(row: StoreRow) -> tuple[str, str | None, Recipe | None]:
    """What a clip that is there must have in common with the one that is to be made."""
    return row.label, row.file_sha256, row.recipe


def _stem(genuine: StoreRow) -> str:
    """What the ids of all that is made of a clip begin with: of its hash, since ids differ between collections."""
    return str(genuine.key)[:_STEM_LENGTH]


def _at_level_of(genuine: Float32Array, copied: Float32Array, path: str, method: str) -> Float32Array:
    """The copy at the level of the recording, so that loudness does not tell the label. Raises `InputError`."""
    power, genuine_power = (float(np.mean(np.square(each, dtype=np.float64))) for each in (copied, genuine))
    if not np.isfinite(power) or float(np.abs(copied).max()) < SILENT_PEAK:
        raise InputError(f"{path}: {method} makes no sound of it; give a longer clip of speech", code="no_speech")
    levelled = copied * np.sqrt(genuine_power / power)
    return np.asarray(levelled / max(1.0, float(np.abs(levelled).max())), np.float32)


def _check_audible(samples: Float32Array, path: str) -> None:
    if not len(samples):
        raise InputError(f"{path}: holds no sound; obtain it again", code="too_short")
    if float(np.abs(samples).max()) < SILENT_PEAK:
        raise InputError(f"{path}: is silent; a copy of silence is no spoof, so take it out", code="no_speech")
