"""Checks and divides labelled collections: can every clip be used, can labels and splits be trusted."""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..core.datasetrecord import DatasetCheck, ProbeReading, SplitReport
from ..core.errors import UsageError
from ..core.progress import Progress, silent
from ..datasets.groupkeys import GROUP_KEYS, check_keys
from ..datasets.leaks import count_leaks, find_leaks
from ..datasets.manifest import read_manifest, read_recording_columns, write_split
from ..datasets.near_duplicates import find_near_duplicates
from ..datasets.probe import probe_scores, recording_numbers
from ..datasets.splits import parts_of, split_rows
from ..datasets.store import Store
from ..datasets.store.reader import shard_paths
from ..datasets.utterances import same_utterances
from ..detect.metrics.eer import eer
from .clip_sounds import ClipSound, Comparing, look_at_files, look_at_store
from .dataset_findings import (
    ClipList,
    copy_findings,
    label_findings,
    leak_findings,
    probe_findings,
    sound_findings,
    utterance_findings,
)
from .inputs import InputWalk

MANIFEST_NAME = "manifest.csv"


@dataclass(frozen=True)
class CheckPlan:
    """What is looked for beside the clips themselves."""

    keys: tuple[str, ...] = GROUP_KEYS
    spread: tuple[str, ...] = ()
    """Values (`speaker=LJ`) that stand in several parts on purpose."""
    near_duplicates: bool = False
    utterances: bool = False
    seed: int = 2026
    jobs: int = 1


def check_dataset(path: Path, plan: CheckPlan = CheckPlan(), *, progress: Progress = silent) -> DatasetCheck:
    """Check a manifest, a folder with one (`manifest.csv`), a store, or the sound files of a folder without labels.

    Every clip is decoded. Raises `UsageError` or `InputError` for a manifest that cannot be read and for a folder
    without any sound file, `IntegrityError` for a damaged store; what is wrong with clips, labels and splits is a
    finding.
    """
    check_keys(plan.keys, plan.spread)
    clips, sounds = _looked_at(path, plan, progress)
    near = _near_pairs(sounds) if plan.near_duplicates else []
    same = _utterance_pairs(sounds, set(near)) if plan.utterances else []
    contents = [sound.content for sound in sounds]
    rows = clips.rows
    leaks = (
        find_leaks(rows, keys=plan.keys, spread=plan.spread, contents=contents, near=near, utterances=same)
        if rows
        else []
    )
    probe = tuple(_probe(clips, sounds, plan.seed)) if rows else ()
    findings = [
        *sound_findings(clips, sounds),
        *copy_findings(clips, contents, near),
        *utterance_findings(clips, same),
        *label_findings(rows),
        *leak_findings(leaks),
        *probe_findings(probe),
    ]
    rates = Counter(sound.rate_hz for sound in sounds if sound.rate_hz is not None)
    return DatasetCheck(
        path=str(path),
        clips=len(sounds),
        usable=sum(sound.fault is None for sound in sounds),
        has_labels=bool(rows),
        parts=tuple(parts_of(rows, [row.split or "" for row in rows])),
        rates_hz=tuple(sorted(rates.items())),
        findings=tuple(findings),
        leak_counts=tuple(count_leaks(leaks)),
        leaks=tuple(leaks),
        probe=probe,
    )


def split_dataset(
    manifest: Path,
    new: Path,
    *,
    by: Sequence[str],
    shares: Mapping[str, float],
    seed: int,
    spread: Collection[str] = (),
) -> SplitReport:
    """Divide a manifest's clips and write it as `new` with their folds; the old one stays as it is.

    Raises as `read_manifest`, `split_rows` and `write_split` do.
    """
    if new.exists():
        raise UsageError(f"{new}: there already; name a new file, since no manifest is changed")
    rows = read_manifest(manifest, needs_folds=False)
    split = split_rows(rows, by, shares, seed=seed, spread=spread)
    write_split(manifest, new, split.parts)
    return split.report


def _looked_at(path: Path, plan: CheckPlan, progress: Progress) -> tuple[ClipList, list[ClipSound]]:
    """The clips of a manifest, a store or a bare folder, and what each holds."""
    if path.is_dir() and not (path / MANIFEST_NAME).exists():
        if shard_paths(path):
            return _looked_at_store(path, plan, progress)
        names = tuple(source.path for source in InputWalk([str(path)], literal=True))
        if not names:
            raise UsageError(f"{path}: no {MANIFEST_NAME}, no shard and no sound file here; name another folder")
        clips = ClipList(None, (), names)
        paths = list(map(Path, names))
    else:
        manifest = path / MANIFEST_NAME if path.is_dir() else path
        rows = tuple(read_manifest(manifest, needs_folds=False))
        clips = ClipList(manifest, rows, tuple(row.clip_id for row in rows))
        paths = [manifest.parent / row.path for row in rows]
    return clips, look_at_files(paths, jobs=plan.jobs, comparing=_comparing(plan), progress=progress)


def _looked_at_store(folder: Path, plan: CheckPlan, progress: Progress) -> tuple[ClipList, list[ClipSound]]:
    with Store(folder) as store:
        rows = tuple(
            replace(record, text=row.text_sha256, duration_s=row.duration_s)
            for record, row in zip(store.records(), store.rows(), strict=True)
        )
        clips = ClipList(None, rows, tuple(row.clip_id for row in rows))
        return clips, look_at_store(store, comparing=_comparing(plan), progress=progress)


def _comparing(plan: CheckPlan) -> Comparing:
    return Comparing(plan.near_duplicates, plan.utterances)


def _near_pairs(sounds: Sequence[ClipSound]) -> list[tuple[int, int]]:
    places = [index for index, sound in enumerate(sounds) if sound.fingerprint is not None]
    prints = [sound.fingerprint for sound in sounds if sound.fingerprint is not None]
    return [(places[pair.first], places[pair.second]) for pair in find_near_duplicates(prints)]


def _utterance_pairs(sounds: Sequence[ClipSound], known: Collection[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pairs beyond those that are known, and beyond equal sounds."""
    places = [index for index, sound in enumerate(sounds) if sound.spectrum is not None]
    spectra = [sound.spectrum for sound in sounds if sound.spectrum is not None]
    pairs = [(places[one], places[other]) for one, other in same_utterances(spectra)]
    return [
        (one, other)
        for one, other in pairs
        if (one, other) not in known and sounds[one].content != sounds[other].content
    ]


def _probe(clips: ClipList, sounds: Sequence[ClipSound], seed: int) -> Iterator[ProbeReading]:
    """The metadata-only probe on the usable clips that have a fold; nothing where a fold's others lack a class."""
    places = [i for i, sound in enumerate(sounds) if sound.fault is None and clips.rows[i].split]
    is_spoof = np.array([clips.rows[i].label == "spoof" for i in places], dtype=np.bool_)
    folds = [str(clips.rows[i].split) for i in places]
    margin = 0.49 * math.sqrt(sum(1 / max(int(n), 1) for n in (is_spoof.sum(), (~is_spoof).sum())))
    by_chance = (max(0.0, round(0.5 - margin, 4)), min(1.0, round(0.5 + margin, 4)))
    for name, numbers in _probed_numbers(clips, sounds, places).items():
        value = None
        if numbers.shape[1] and _both_classes_elsewhere(is_spoof, folds):
            value = eer(probe_scores(numbers, is_spoof, folds, seed=seed), is_spoof)
        if numbers.shape[1]:
            yield ProbeReading(name, None if value is None else round(value, 4), by_chance)


def _probed_numbers(
    clips: ClipList, sounds: Sequence[ClipSound], places: Sequence[int]
) -> dict[str, npt.NDArray[np.float64]]:
    numbers = {
        "file_format": recording_numbers([sounds[i].file_format for i in places]),
        "simple_statistics": np.array([sounds[i].statistics or () for i in places], dtype=np.float64, ndmin=2),
    }
    if clips.manifest is not None:
        recorded = read_recording_columns(clips.manifest)
        numbers["recording_metadata"] = recording_numbers([recorded[i] for i in places])
    return numbers


def _both_classes_elsewhere(is_spoof: npt.NDArray[np.bool_], folds: Sequence[str]) -> bool:
    """Every fold's other folds hold both classes, so that the probe can learn."""
    fold_of = np.array(folds)
    return len(set(folds)) > 1 and all(len(set(is_spoof[fold_of != fold])) == 2 for fold in set(folds))
