"""The labelled clips that a detector is trained on, of a CSV manifest or a store: looked through before any work."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..core.audio import AudioReader, resample
from ..core.errors import InputError, UsageError
from ..core.modelcard import sha256_of_file
from ..core.progress import Progress, silent
from ..core.rates import DETECTOR_RATE_HZ
from ..core.records import Float32Array, Row
from ..datasets.manifest import read_columns, read_manifest
from ..datasets.store import Store
from ..detect.windows import MIN_WINDOW_S
from .clip_sounds import SILENT_PEAK
from .crew import Crew, MakeRecord
from .inputs import Source, open_source
from .sound_file import SoundWriter

COPY_OF = "copy_of"
"""Column of a manifest: id of the genuine clip that a spoof was made of."""
_STORE_COPY_OF = "genuine_clip"
"""The same in the recipes of `dataset build`."""
VOICE_POOL = "voice_pool"
"""Column of a manifest: one name for sources that share voices."""
_NAMED = 5
"""Offenders that a message names before it counts the rest."""


@dataclass(frozen=True)
class TrainingClips:
    """What is known of all clips; their sounds are read by `decode_clips`."""

    collection: Path
    sha256: str
    """Of the manifest's bytes, or of a store's rows."""
    rows: tuple[Row, ...]
    originals: tuple[int | None, ...]
    """For each clip the place of the genuine one that it was copied of."""
    pools: tuple[str | None, ...]
    """For each clip the voices that it speaks with: its voice pool, or its source."""
    recording_columns: tuple[Mapping[str, str], ...] = field(repr=False, compare=False)
    """What the collection says of the original files, for the probe; empty mappings: nothing."""

    @property
    def folds(self) -> list[str]:
        """The folds, sorted."""
        return sorted({str(row.split) for row in self.rows if row.split is not None})


def open_clips(collection: Path, *, needs_folds: bool) -> TrainingClips:
    """Read a manifest or the rows of a store, and make sure that a training on them makes sense.

    Raises `InputError` for files that are missing, named; `UsageError` for a wrong manifest, clips of one class alone,
    and, with `needs_folds`, clips without a fold, fewer than two folds, and a fold that lacks a class or holds all of
    it.
    """
    clips = _of_manifest(collection, needs_folds) if collection.suffix == ".csv" else _of_store(collection)
    _check_classes(clips)
    if needs_folds:
        _check_folds(clips)
    return clips


def decode_clips(clips: TrainingClips, writer: SoundWriter, *, jobs: int, progress: Progress = silent) -> None:
    """Add the sound of every clip at 16 kHz to `writer`, after those that are in it already, in order.

    Raises `InputError` that names the first clip that is damaged, changed, silent, shorter than 0.5 s, or holds values
    that are no numbers; `OSError` when nothing more can be written.
    """
    total, begun = len(clips.rows), writer.count
    sounds = _of_files(clips, begun, jobs) if clips.collection.suffix == ".csv" else _of_places(clips.collection, begun)
    for number, (name, samples) in enumerate(sounds, start=begun + 1):
        _check_sound(name, samples)
        writer.add(samples)
        progress(number, total, "decoding")


def _of_manifest(path: Path, needs_folds: bool) -> TrainingClips:
    rows = read_manifest(path, needs_folds=needs_folds)
    missing = [row.path for row in rows if not (path.parent / row.path).is_file()]
    if missing:
        raise InputError(
            f"{path}: {len(missing)} of {len(rows)} files are missing: {_named(missing)}; put them back, or take their "
            "lines out",
            code="not_found",
        )
    _, lines = read_columns(path)
    origins = tuple({name: value for name, value in line.items() if name.startswith("orig_")} for line in lines)
    originals = _originals(path, rows, [line.get(COPY_OF) or None for line in lines])
    pools = tuple(line.get(VOICE_POOL) or row.source for row, line in zip(rows, lines, strict=True))
    return TrainingClips(path, sha256_of_file(path), tuple(rows), originals, pools, origins)


def _of_store(folder: Path) -> TrainingClips:
    with Store.existing(folder) as store:
        rows = list(store.records())
    digest = hashlib.sha256()
    names = []
    for row in rows:
        recipe = dict(row.recipe.sampling) if row.recipe is not None else {}
        degraded = int(recipe.get("degraded_copy", 0))  # a damaged copy is no longer beside its recording
        names.append(None if degraded or row.label == "bonafide" else recipe.get(_STORE_COPY_OF))
        about = [row.clip_id, row.label, row.family, row.source, row.speaker, row.split, row.sha256, names[-1]]
        digest.update(json.dumps(about).encode() + b"\n")
    known = {row.clip_id for row in rows}
    originals = _originals(folder, rows, [str(name) if name in known else None for name in names])
    pools = tuple(row.source for row in rows)
    return TrainingClips(folder, digest.hexdigest(), tuple(rows), originals, pools, tuple({} for _ in rows))


def _originals(where: Path, rows: Sequence[Row], names: Sequence[str | None]) -> tuple[int | None, ...]:
    """Places of the clips with these ids. Raises `UsageError` for a copy of what is not there, or not genuine."""
    places = {row.clip_id: place for place, row in enumerate(rows)}
    for row, name in zip(rows, names, strict=True):
        if name is None:
            continue
        original = places.get(name)
        if row.label != "spoof" or original is None or rows[original].label != "bonafide":
            raise UsageError(
                f"{where}: {row.clip_id} is said to be a copy of {name}; only a spoof is a copy, and only of a genuine "
                "clip that is listed too"
            )
    return tuple(None if name is None else places[name] for name in names)


def _check_classes(clips: TrainingClips) -> None:
    labels = {row.label for row in clips.rows}
    if len(labels) < 2:
        raise UsageError(
            f"{clips.collection}: all {len(clips.rows)} clips have the label {', '.join(labels)}; a detector is "
            "trained on both bonafide and spoof"
        )


def _check_folds(clips: TrainingClips) -> None:
    unsplit = [row.clip_id for row in clips.rows if row.split is None]
    advice = "split it with `covoguard dataset split`, or set [validation] mode to none"
    if unsplit:
        raise UsageError(f"{clips.collection}: {len(unsplit)} clips have no fold ({_named(unsplit)}); {advice}")
    if len(clips.folds) < 2:
        raise UsageError(f"{clips.collection}: all clips are in one fold; at least two are needed: {advice}")
    for fold in clips.folds:
        for label in ("bonafide", "spoof"):
            inside = sum(row.label == label and row.split == fold for row in clips.rows)
            if not inside:
                raise UsageError(f"{clips.collection}: the fold {fold} has no {label} clip, so nothing can be measured")
            if inside == sum(row.label == label for row in clips.rows):
                raise UsageError(
                    f"{clips.collection}: the fold {fold} has all {label} clips, and none are left to train on"
                )


def _of_files(clips: TrainingClips, begun: int, jobs: int) -> Iterator[tuple[str, Float32Array]]:
    folder, rows = clips.collection.parent, clips.rows[begun:]

    @contextmanager
    def reading() -> Iterator[MakeRecord[tuple[str, Float32Array]]]:
        with AudioReader() as reader:
            yield lambda seq, source: (source.path, _decoded(reader, source, rows[seq]))

    with Crew((Source(str(folder / row.path)) for row in rows), jobs, reading) as crew:
        yield from crew.records()


def _decoded(reader: AudioReader, source: Source, row: Row) -> Float32Array:
    with open_source(source) as opened:
        if row.sha256 not in (None, opened.sha256):
            changed = f"{source.path}: its bytes are not those that its manifest lists; put the original back"
            raise InputError(changed, code="integrity")
        decoded = reader.read(opened)
    if decoded.facts.partial or decoded.facts.too_long:
        raise InputError(
            f"{source.path}: damaged, cut off, too long, or with samples that are no numbers; obtain it again, or take "
            "its line out",
            code="partial",
        )
    return resample(decoded.audio.samples, decoded.audio.rate_hz, DETECTOR_RATE_HZ)


def _of_places(folder: Path, begun: int) -> Iterator[tuple[str, Float32Array]]:
    with Store.existing(folder) as store:
        for place in range(begun, len(store)):
            name = f"{folder / store.path(place)} ({store.row(place).clip_id})"
            if not store.is_whole(place):
                raise InputError(f"{name}: damaged; put a copy of the shard in its place", code="integrity")
            audio = store.audio(place)
            yield name, resample(audio.samples, audio.rate_hz, DETECTOR_RATE_HZ)


def _check_sound(name: str, samples: Float32Array) -> None:
    duration_s = len(samples) / DETECTOR_RATE_HZ
    if not np.isfinite(samples).all():
        raise InputError(f"{name}: has samples that are no numbers; take it out", code="partial")
    if duration_s < MIN_WINDOW_S:
        raise InputError(
            f"{name}: {duration_s:.2f} s are too short, {MIN_WINDOW_S:g} s are needed; take it out", code="too_short"
        )
    if float(np.abs(samples).max()) < SILENT_PEAK:
        raise InputError(f"{name}: is silent, which tells nothing of a class; take it out", code="no_speech")


def _named(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
