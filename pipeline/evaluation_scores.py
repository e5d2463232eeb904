"""The labelled clips of an evaluation with their scores: from a detector, a scan's records, or anyone's CSV file."""

import csv
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.audio import DecodeLimits
from ..core.errors import InputError, UsageError
from ..core.evaluationrecord import System
from ..core.modelcard import sha256_of_file
from ..core.protocols import Scorer
from ..core.records import Row
from ..core.scanrecord import ScanRecord
from ..datasets.manifest import read_manifest
from ..detect.policy import Policy
from .analysis import Methods
from .inputs import Source
from .models import installed_models
from .scan import scan

SHOWN = 3
"""How many offenders a message names."""


@dataclass(frozen=True)
class LabelledClip:
    """A line of the manifest, with all its columns."""

    row: Row
    columns: Mapping[str, str]

    @property
    def is_spoof(self) -> bool:
        """Whether it is generated speech."""
        return self.row.label == "spoof"


@dataclass(frozen=True)
class ScoredClip(LabelledClip):
    """A clip with what a system says of it. `score` None: the system gave none."""

    score: float | None
    record: ScanRecord | None = None


@dataclass(frozen=True)
class ScoreSet:
    """Every clip of a manifest, and the one system that scored them; higher is more synthetic."""

    clips: tuple[ScoredClip, ...]
    system: System

    @property
    def is_log10_lr(self) -> bool:
        """Whether the scores are log10 likelihood ratios."""
        return self.system.scale == "log10_lr"

    @property
    def has_records(self) -> bool:
        """Whether the scores come from scan records, which know windows, codec and quality."""
        return any(clip.record is not None for clip in self.clips)

    @property
    def scored(self) -> tuple[ScoredClip, ...]:
        """The clips with a score."""
        return tuple(clip for clip in self.clips if clip.score is not None)


def arrays(clips: Sequence[ScoredClip]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """-> (scores (n,), is_spoof (n,)) of clips that all have a score."""
    return np.array([clip.score for clip in clips], np.float64), np.array([clip.is_spoof for clip in clips], np.bool_)


def read_labelled(manifest: Path) -> list[LabelledClip]:
    """The clips of a CSV manifest; raises as `read_manifest`, and `UsageError` unless ids are unique and labels two."""
    rows = read_manifest(manifest)
    with manifest.open(newline="", encoding="utf-8") as file:
        lines = [{name: text for name, text in line.items() if name and text} for line in csv.DictReader(file)]
    _refuse(manifest, "the same clip stands there more than once", _repeated(row.clip_id for row in rows))
    labels = {row.label for row in rows}
    if len(labels) < 2:
        raise UsageError(f"{manifest}: all clips are {labels.pop()}; an evaluation needs bonafide and spoof clips")
    return [LabelledClip(row, columns) for row, columns in zip(rows, lines, strict=True)]


def scan_clips(
    manifest: Path, clips: Sequence[LabelledClip], scorer: Scorer, policy: Policy, limits: DecodeLimits, jobs: int
) -> Iterator[ScanRecord]:
    """One record per clip, in order, made as `covoguard scan` makes them, with no marks looked for."""
    sources = (Source(str(manifest.parent / clip.row.path)) for clip in clips)
    return scan(sources, methods=Methods(scorer=scorer), policy=policy, limits=limits, jobs=jobs)


def trained_on_sha256(card: Mapping[str, Any]) -> str | None:
    """Hash of the manifest that a model was trained on, as its card says; None where it does not."""
    training = card.get("training")
    stated = training.get("manifest_sha256") if isinstance(training, Mapping) else None
    return str(stated) if stated else None


def bundled_trained_on_sha256(model_sha256: str | None) -> str | None:
    """The same of whichever bundled detector has these weights, for scores that were made before."""
    for installed in installed_models():
        if installed.model is not None and installed.model.model_sha256 == model_sha256:
            return trained_on_sha256(installed.card)
    return None


def is_csv(path: Path) -> bool:
    """Whether a file of scores is a CSV by its name; all others are results of a scan."""
    return path.suffix.lower() == ".csv"


def scores_from_records(manifest: Path, clips: Sequence[LabelledClip], records: Iterable[ScanRecord]) -> ScoreSet:
    """Records of `covoguard scan`, each put to the clip whose `file` its path is or ends with.

    Raises `UsageError` for records of several detectors or models, without a clip, or twice of one clip, and for clips
    without a record.
    """
    finder = _ClipFinder(manifest, clips)
    found: dict[str, ScanRecord] = {}
    unknown, twice = [], []
    for record in records:
        clip_id = finder.clip_of(record.input.path)
        if clip_id is None:
            unknown.append(record.input.path)
        elif clip_id in found:
            twice.append(clip_id)
        else:
            found[clip_id] = record
    _refuse(manifest, "records of files that the manifest does not list", unknown)
    _refuse(manifest, "more than one record of a clip", twice)
    return with_records(manifest, clips, found)


def with_records(manifest: Path, clips: Sequence[LabelledClip], found: Mapping[str, ScanRecord]) -> ScoreSet:
    """The clips with their records, by clip id; raises `UsageError` as `scores_from_records`."""
    _refuse(manifest, "clips without a record", [clip.row.clip_id for clip in clips if clip.row.clip_id not in found])
    detectors = {(result.id, result.model_sha256) for record in found.values() for result in record.detectors}
    if len(detectors) > 1:
        names = ", ".join(sorted(f"{name} ({str(sha256)[:8]})" for name, sha256 in detectors))
        raise UsageError(f"the records are of more than one model: {names}; evaluate one at a time")
    if not detectors:
        raise InputError(f"{manifest}: not one clip was scored; see the errors in the records", code="read_error")
    ((name, sha256),) = detectors
    scored = tuple(
        ScoredClip(clip.row, clip.columns, _ratio(found[clip.row.clip_id]), found[clip.row.clip_id]) for clip in clips
    )
    return _checked(manifest, ScoreSet(scored, System(name, sha256, "log10_lr")))


def scores_from_csv(
    manifest: Path, clips: Sequence[LabelledClip], path: Path, *, higher_is_bonafide: bool = False
) -> ScoreSet:
    """Scores of any system from a CSV with the columns `clip` and `log10_lr`, or `clip` and `score`.

    An empty score: the system gave none. `higher_is_bonafide` turns all signs. Raises `UsageError` for scores that are
    no finite numbers, clips that the manifest does not list, and clips without a line.
    """
    scale, listed = _read_scores(path)
    _refuse(path, "the same clip stands there more than once", _repeated(clip_id for clip_id, _ in listed))
    known = {clip.row.clip_id for clip in clips}
    _refuse(path, f"clips that {manifest} does not list", [clip_id for clip_id, _ in listed if clip_id not in known])
    scores = dict(listed)
    _refuse(path, "no line for clips of the manifest", [each for each in known if each not in scores])
    sign = -1.0 if higher_is_bonafide else 1.0
    scored = tuple(
        ScoredClip(clip.row, clip.columns, None if score is None else sign * score)
        for clip, score in ((clip, scores[clip.row.clip_id]) for clip in clips)
    )
    system = System(path.stem, sha256_of_file(path), "log10_lr" if scale == "log10_lr" else "raw")
    return _checked(manifest, ScoreSet(scored, system))


class _ClipFinder:
    """Finds the clip of a path: the one that the path leads to, or else the one whose `file` ends it."""

    def __init__(self, manifest: Path, clips: Sequence[LabelledClip]) -> None:
        files = [os.path.normpath(clip.row.path) for clip in clips]
        _refuse(manifest, "more than one clip has the same file", _repeated(files))
        ids = [clip.row.clip_id for clip in clips]
        places = [os.path.realpath(manifest.parent / file) for file in files]
        self._by_place = dict(zip(places, ids, strict=True))
        self._by_ending = {
            tuple(part for part in PurePath(file).parts if part != os.pardir): clip_id
            for file, clip_id in zip(files, ids, strict=True)
        }

    def clip_of(self, path: str) -> str | None:
        there = self._by_place.get(os.path.realpath(path))
        if there is not None:
            return there
        parts = PurePath(os.path.normpath(path)).parts
        endings = (parts[start:] for start in range(len(parts)))  # the longest first
        return next((self._by_ending[ending] for ending in endings if ending in self._by_ending), None)


def _read_scores(path: Path) -> tuple[str, list[tuple[str, float | None]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            lines = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a CSV file of scores ({error})", code="read_error") from error
    columns = reader.fieldnames or []
    scale = next((name for name in ("log10_lr", "score") if name in columns), None)
    if "clip" not in columns or scale is None:
        raise UsageError(f"{path}: needs the columns clip and score (or log10_lr); it has {', '.join(columns)}")
    return scale, [
        (line["clip"], _number(line[scale], f"{path}, line {number}")) for number, line in enumerate(lines, start=2)
    ]


def _number(text: str | None, where: str) -> float | None:
    if not (text or "").strip():
        return None
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"{where}: the score {text!r} is no finite number; leave it empty where there is none")
    return value


def _ratio(record: ScanRecord) -> float | None:
    return next((result.log10_lr for result in record.detectors), None)


def _checked(manifest: Path, scores: ScoreSet) -> ScoreSet:
    labels = {clip.row.label for clip in scores.scored}
    for label in ("bonafide", "spoof"):
        if label not in labels:
            raise InputError(f"{manifest}: no {label} clip has a score, so nothing can be measured", code="read_error")
    return scores


def _repeated(names: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield name
        seen.add(name)


def _refuse(path: Path, complaint: str, offenders: Iterable[str]) -> None:
    """Raise `UsageError` that counts the offenders and names the first few, when there are any."""
    listed = sorted(set(offenders))
    if listed:
        more = ", …" if len(listed) > SHOWN else ""
        raise UsageError(f"{path}: {complaint} ({len(listed)}): {', '.join(listed[:SHOWN])}{more}; correct the file")
