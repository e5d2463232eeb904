"""Spoofs made of the genuine clips of a collection, into a store: copy-synthesis, and damage to both classes alike."""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import CovoguardError, InputError, UsageError
from ..core.rates import DETECTOR_RATE_HZ
from ..core.records import Audio, Float32Array, Recipe
from ..datasets.copies import COPIES, CopyMethod
from ..datasets.degrade.chain import ChainRecipe, Sounds, degrade
from ..datasets.degrade.packets import lose_packets
from ..datasets.store import Store, StoredClip, StoreRow, StoreWriter
from .clip_sounds import SILENT_PEAK
from .dataset_files import AddFailure, AddStatus
from .genuine_clips import GenuineClip, open_genuine
from .token_resynthesis import PocketResynthesis

DEGRADING = "degrade"
"""The generator in the recipe of a genuine clip that was degraded; its label stays bonafide."""
_PACKET_LOSS_CHANCE = 0.1
_PACKET_LOSS_SHARE = (0.01, 0.2)
_STEM_LENGTH = 16
_FAULTS = (InputError, UsageError, ValueError, ArithmeticError, LookupError, RuntimeError, OSError)
"""What a sound alone can bring about in a vocoder or an encoder; the clip then fails, not the run."""


@dataclass(frozen=True)
class BuildPlan:
    """What is made of each genuine clip."""

    methods: tuple[str, ...]
    """Names as in `method_names`: one spoof each."""
    keep_bonafide: bool = False
    """Whether the genuine clip goes into the new store too."""
    degraded: int = 0
    """Degraded copies of each clip of both classes."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise `UsageError` for what would give no data set that can be trusted."""
        if not self.methods:
            raise UsageError(f"name a method with --spoof; known: {', '.join(method_names())}")
        if len(set(self.methods)) < len(self.methods):
            raise UsageError(f"--spoof {' '.join(self.methods)}: name each method once")
        if self.degraded and not self.keep_bonafide:
            raise UsageError(
                "--degrade without --keep-bonafide would damage spoofs alone, and then the damage tells the label; add "
                "--keep-bonafide"
            )


@dataclass(frozen=True)
class BuildRecord:
    """What became of one clip that was to be made. The attribute names are the keys of the JSON form."""

    path: str
    """Of the genuine clip."""
    status: AddStatus
    clip_id: str | None
    """None when it failed."""
    method: str | None
    """None: the genuine clip itself, or nothing came of it at all."""
    degradations: tuple[str, ...]
    duration_s: float | None
    """None unless it was added now."""
    error: AddFailure | None


def method_names() -> list[str]:
    """The methods that make spoofs of genuine speech."""
    return sorted([*COPIES.names(), PocketResynthesis.name])


def build_spoofs(collection: Path, folder: Path, plan: BuildPlan) -> Iterator[BuildRecord]:
    """Make spoofs of the genuine clips of a store or CSV manifest into the store in `folder`; a record for each clip.

    All that one genuine clip gives is committed at once. What is there already is not made again, so the same command
    goes on where it was stopped; what cannot be made is a record with an error. Sound is mono at 16 kHz. Raises
    `UsageError` for an unknown method, for a collection without genuine clips, and for a store that holds these clips
    made otherwise; and what `StoreWriter` raises.
    """
    if folder.resolve() == collection.resolve():
        raise UsageError(f"{folder}: is the collection itself; name a new store with -o")
    methods = [_method(name) for name in plan.methods]
    with open_genuine(collection) as clips, StoreWriter.open(folder) as writer:
        builder = _Builder(writer, methods, plan)
        for clip in clips:
            yield from builder.build(clip)


def _method(name: str) -> CopyMethod:
    if name not in method_names():
        raise UsageError(f"there is no method {name!r} to make spoofs; known: {', '.join(method_names())}")
    return PocketResynthesis() if name == PocketResynthesis.name else COPIES.get(name)()


class _Builder:
    """Makes what a plan says of one genuine clip after the other."""

    def __init__(self, writer: StoreWriter, methods: Sequence[CopyMethod], plan: BuildPlan) -> None:
        self._writer, self._methods, self._plan = writer, methods, plan
        with Store(writer.folder) as earlier:
            self._there = {row.clip_id: row for row in earlier.rows()}

    def build(self, clip: GenuineClip) -> list[BuildRecord]:
        """The records of all that was to be made of a clip; what was made is safe on the disk."""
        try:
            genuine, samples = clip.read()
            _check_audible(samples, clip.path)
        except (InputError, UsageError) as error:
            return [_failed(clip, None, error)]
        made: list[StoredClip] = []
        records: list[BuildRecord] = []
        for method in (*([None] if self._plan.keep_bonafide else []), *self._methods):
            rows = [_row_of(genuine, method, number, self._plan.seed) for number in range(self._plan.degraded + 1)]
            there = [self._there[row.clip_id] for row in rows if self._has(row)]
            records += [_record(clip, row, method, "already") for row in there]
            missing = [(number, row) for number, row in enumerate(rows) if not self._has(row)]
            try:
                new = self._made(genuine, samples, method, missing, clip.path) if missing else []
            except _FAULTS as error:
                records.append(_failed(clip, method, error))
                continue
            made += new
            records += [_record(clip, each.row, method, "added", each.audio.duration_s) for each in new]
        try:
            stored = self._writer.add_all(made)
        except UsageError as error:  # a split or an id that no store takes
            return [_failed(clip, None, error)]
        self._there |= {row.clip_id: row for row in stored}
        return records

    def _has(self, row: StoreRow) -> bool:
        """Raises `UsageError` where another clip has the id."""
        there = self._there.get(row.clip_id)
        if there is not None and _identity(there) != _identity(row):
            raise UsageError(
                f"{self._writer.folder}: holds the clip {row.clip_id}, made in another way or with another seed; "
                "repeat the command that made it, or name a new store with -o"
            )
        return there is not None

    def _made(
        self, genuine: StoreRow, samples: Float32Array, method: CopyMethod | None,
        missing: Sequence[tuple[int, StoreRow]], path: str,
    ) -> list[StoredClip]:  # fmt: skip
        """The clips of one method (None: the genuine one), of which number 0 is not degraded."""
        stem, seed = _stem(genuine), self._plan.seed
        if method is not None:
            copied = method.copy(samples, _rng(seed, stem, method.name))
            samples = _at_level_of(samples, copied, path, method.name)
        clips = []
        for number, row in missing:
            if number:
                sound, stages = _degraded(samples, _rng(seed, stem, f"{DEGRADING} {number}"))
                damaged = dataclasses.replace(row, degradations=(*row.degradations, *stages))
                clips.append(StoredClip(damaged, Audio(sound, DETECTOR_RATE_HZ)))
            else:
                clips.append(StoredClip(row, Audio(samples, DETECTOR_RATE_HZ)))
        return clips


def _row_of(genuine: StoreRow, method: CopyMethod | None, number: int, seed: int) -> StoreRow:
    """What is known of a clip before it is made; its degradations are those of the genuine clip."""
    if method is None and not number:
        return genuine
    stem = _stem(genuine)
    settings = () if method is None else method.settings
    origin = (("genuine_clip", genuine.clip_id), ("genuine_sha256", str(genuine.key)), ("degraded_copy", number))
    recipe = Recipe(
        generator=DEGRADING if method is None else method.name,
        model_sha256=None if method is None else method.model_sha256,
        seed=seed,
        sampling=(*settings, *origin),
    )
    names = [stem, *([] if method is None else [method.name]), *([f"d{number}"] if number else [])]
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


def _rng(seed: int, stem: str, what: str) -> np.random.Generator:
    """One stream for each clip and thing to be done with it, whatever else is asked for, in whatever order."""
    return np.random.default_rng(list(hashlib.sha256(f"{seed} {stem} {what}".encode()).digest()))


def _degraded(samples: Float32Array, rng: np.random.Generator) -> tuple[Float32Array, tuple[str, ...]]:
    """Damaged samples, and what was done. All draws depend on the generator and the length alone, not on the class."""
    samples, stages = degrade(samples, ChainRecipe(), Sounds(), rng)
    stages = (*stages, "level")  # the last stage of the chain, which no clip is spared
    if rng.random() < _PACKET_LOSS_CHANCE:
        share = float(rng.uniform(*_PACKET_LOSS_SHARE))
        samples, stages = lose_packets(samples, share, rng), (*stages, f"packet_loss:{share:.3f}")
    return samples, stages


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


def _record(
    clip: GenuineClip, row: StoreRow, method: CopyMethod | None, status: AddStatus, duration_s: float | None = None
) -> BuildRecord:
    name = None if method is None else method.name
    return BuildRecord(clip.path, status, row.clip_id, name, row.degradations, duration_s, None)


def _failed(clip: GenuineClip, method: CopyMethod | None, error: Exception) -> BuildRecord:
    name = None if method is None else method.name
    if isinstance(error, CovoguardError):
        failure = AddFailure(error.code, error.message)
    else:
        advice = f"{name or 'degrading'} failed on it; leave the clip or the method out"
        failure = AddFailure(CovoguardError.default_code, f"{clip.path}: {advice} ({type(error).__name__}: {error})")
    return BuildRecord(clip.path, "failed", None, name, (), None, failure)
