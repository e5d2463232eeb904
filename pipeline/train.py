"""Train a detector on a manifest: degraded copies, one model per fold, held-out figures, calibration, card.

The saved detector is the mean of the fold models. Calibration and every figure come from clips of a fold that the
model which scored them was not trained on; what the folds keep apart is the manifest's doing.
"""

import json
import logging
import tomllib
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..core.audio import AudioReader, VoiceActivity, open_input
from ..core.errors import InputError, UsageError
from ..core.modelcard import seal_model, sha256_of_file
from ..core.progress import Progress, silent
from ..core.rates import DETECTOR_RATE_HZ
from ..core.records import Audio, Float32Array, Row, Segment
from ..core.version import __version__
from ..datasets.degrade.chain import ChainRecipe, Sounds, degrade
from ..datasets.degrade.conditions import CONDITIONS
from ..datasets.manifest import read_manifest, read_recording_columns
from ..datasets.probe import CHANCE_EER, probe_scores, recording_numbers, simple_statistics
from ..detect.examples import Example
from ..detect.metrics.eer import eer
from ..detect.scoring import CALIBRATION_NAME
from ..detect.trainers import TRAINERS, Features, Trainer
from ..detect.windows import MIN_WINDOW_S, cut_to_speech
from .held_out import fit_final_calibration, held_out_figures
from .trials import CUT_SPEECH_S, SINGLE_SPEECH_S, Trials

log = logging.getLogger(__name__)

ConditionFeatures = dict[float, dict[str, Features]]
"""Of one clip, by nominal seconds of speech and by condition."""
HELD_OUT_NAME = "held_out.csv"
ABOUT_KEYS = ("summary", "licence", "not_for", "limits")


@dataclass(frozen=True)
class TrainingPlan:
    """What the trainer does not decide: copies, degradations, seed, processes."""

    copies: int = 12
    """Degraded copies per clip, beside the clip as it is."""
    chain: ChainRecipe = field(default_factory=lambda: ChainRecipe(clean=0.15))
    seed: int = 2026
    jobs: int = 1


def train(
    manifest: Path,
    folder: Path,
    detector: str,
    plan: TrainingPlan,
    *,
    sounds: Sounds | None = None,
    about: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> Mapping[str, Any]:
    """Train `detector` on `manifest` and write a sealed model folder; -> its card.

    `about` goes into the card as it is (licence, intended use, limits). Raises `UsageError` for an unknown
    detector, a manifest with fewer than two folds, or a folder that holds files already.
    """
    rows = read_manifest(manifest)
    if detector not in TRAINERS:
        raise UsageError(f"{detector!r} cannot be trained; known: {', '.join(sorted(TRAINERS))}")
    if len({row.split for row in rows}) < 2:
        raise UsageError(f"{manifest}: all clips are in one fold; at least two are needed")
    _claim(folder)
    trainer = TRAINERS[detector]()
    clips = load_clips([manifest.parent / row.path for row in rows], min_duration_s=MIN_WINDOW_S)
    progress(1, 4, "degrading")
    copies = degraded_features(trainer, clips, plan, sounds or Sounds())
    conditions = condition_features(trainer, clips, plan)
    progress(2, 4, "training")
    models, trials, shorter = cross_validate(trainer, rows, copies, conditions, plan, progress)
    progress(3, 4, "measuring")
    about = dict(about or {}) | {"training": describe_training(manifest, rows, trainer, plan)}
    about["shortcut_probe_eer"] = shortcut_probe(manifest, rows, clips, plan.seed)
    warn_of_shortcuts(about["shortcut_probe_eer"])
    card = write_model(folder, detector, trainer.save(models, folder), trials, about, plan.seed, shorter)
    progress(4, 4, "done")
    return card


def write_model(
    folder: Path,
    detector: str,
    weights_name: str,
    trials: Trials,
    about: Mapping[str, Any],
    seed: int,
    shorter: Sequence[Trials] = (),
) -> Mapping[str, Any]:
    """Put calibration, held-out scores, card and checksums beside the weights; -> the card."""
    trials.write(folder / HELD_OUT_NAME, shorter)
    (folder / CALIBRATION_NAME).write_text(fit_final_calibration(trials, shorter).to_json(), encoding="utf-8")
    identity = {"id": detector, "detector": detector, "version": __version__, "weights": weights_name}
    card = {**identity, **about, "figures": held_out_figures(trials, seed=seed, shorter=shorter)}
    (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    seal_model(folder)
    return card


def describe_training(manifest: Path, rows: Sequence[Row], trainer: Trainer[Any], plan: TrainingPlan) -> dict[str, Any]:
    """What a model was trained on, and how, for its card."""
    return {
        "manifest_sha256": sha256_of_file(manifest),
        "clips": {label: sum(row.label == label for row in rows) for label in ("bonafide", "spoof")},
        "families": len({row.family for row in rows if row.family}),
        "bonafide_sources": len({row.source for row in rows if row.label == "bonafide"}),
        "folds": sorted({str(row.split) for row in rows}),
        "plan": asdict(plan),
        "recipe": dict(trainer.describe()),
    }


def load_clips(paths: Sequence[Path], *, min_duration_s: float = 0.0) -> list[Float32Array]:
    """Decode through the reader, mix and resampler that scanning uses.

    Raises `InputError` on the first file that cannot be read or is shorter than `min_duration_s`.
    """
    clips = []
    with AudioReader() as reader:
        for path in paths:
            with open_input(path) as opened:
                audio = reader.read(opened).audio
            if audio.duration_s < min_duration_s:
                raise InputError(f"{path}: {audio.duration_s:.2f} s are too short; leave it out", code="too_short")
            clips.append(audio.samples)
    return clips


def load_sounds(noise_folder: Path | None, rooms_folder: Path | None) -> Sounds:
    """Every sound file in the two folders, in order of name; raises `UsageError` for a folder without any."""
    return Sounds(noises=_load_folder(noise_folder), rooms=_load_folder(rooms_folder))


def read_about(path: Path | None) -> Mapping[str, Any]:
    """The words of a card from a TOML file; raises `UsageError` when it cannot be read or holds other keys."""
    if path is None:
        return {}
    try:
        about = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as TOML ({error})") from error
    unknown = sorted(set(about) - set(ABOUT_KEYS))
    if unknown:
        raise UsageError(f"{path}: unknown key {unknown[0]!r}; known: {', '.join(ABOUT_KEYS)}")
    return about


def degraded_features(
    trainer: Trainer[Any], clips: Sequence[Float32Array], plan: TrainingPlan, sounds: Sounds
) -> list[list[Features]]:
    """Features of every clip as it is and of its degraded copies: [clip][copy]."""
    work = partial(_copies_of, trainer, plan, sounds)
    return _in_processes(work, list(enumerate(clips)), plan.jobs)


def condition_features(
    trainer: Trainer[Any], clips: Sequence[Float32Array], plan: TrainingPlan
) -> list[ConditionFeatures]:
    """Features of every clip under each fixed test condition, whole and cut short: [clip][cut][condition]."""
    voice_activity = VoiceActivity()
    cuts = [speech_cuts(clip, voice_activity) for clip in clips]
    work = partial(_conditions_of, trainer, plan)
    return _in_processes(work, list(enumerate(zip(clips, cuts, strict=True))), plan.jobs)


def speech_cuts(clip: Float32Array, voice_activity: VoiceActivity) -> dict[float, Segment]:
    """Where 16 kHz `clip` holds 1 and 2 s of speech, by seconds of speech; without those that it has too little for."""
    regions = voice_activity.segments(Audio(clip, DETECTOR_RATE_HZ))
    cuts = {speech_s: cut_to_speech(regions, speech_s, len(clip) / DETECTOR_RATE_HZ) for speech_s in CUT_SPEECH_S}
    return {speech_s: cut for speech_s, cut in cuts.items() if cut is not None}


def cross_validate(
    trainer: Trainer[Any],
    rows: Sequence[Row],
    copies: Sequence[Sequence[Features]],
    conditions: Sequence[ConditionFeatures],
    plan: TrainingPlan,
    progress: Progress,
) -> tuple[list[Any], Trials, list[Trials]]:
    """One model per fold, trained on the other folds; -> (models, scores of the held-out clips, of cuts of them)."""
    examples = [Example(row.label == "spoof", _group(row), spectra) for row, spectra in zip(rows, copies, strict=True)]
    scores: dict[int, dict[float, dict[str, float]]] = {}
    models = []
    for number, fold in enumerate(sorted({str(row.split) for row in rows})):
        log.info("fold %s", fold)
        inside = [example for example, row in zip(examples, rows, strict=True) if row.split != fold]
        model = trainer.fit(inside, seed=plan.seed + number, progress=progress)
        for index, row in enumerate(rows):
            if row.split == fold:
                scores[index] = {
                    speech_s: {name: trainer.score(model, features) for name, features in under.items()}
                    for speech_s, under in conditions[index].items()
                }
        models.append(model)
    whole, *shorter = (_trials_of(rows, scores, speech_s) for speech_s in (SINGLE_SPEECH_S, *CUT_SPEECH_S))
    return models, whole, shorter


def shortcut_probe(
    manifest: Path, rows: Sequence[Row], clips: Sequence[Float32Array], seed: int
) -> dict[str, float | None]:
    """EER of boosting on what the files say (columns `orig_*`) and on eight simple statistics of the sound."""
    is_spoof = np.array([row.label == "spoof" for row in rows])
    folds = [str(row.split) for row in rows]
    sources = {
        "recording_metadata": recording_numbers(read_recording_columns(manifest)),
        "simple_statistics": np.array([simple_statistics(clip) for clip in clips]),
    }
    return {
        name: eer(probe_scores(numbers, is_spoof, folds, seed=seed), is_spoof) if numbers.shape[1] else None
        for name, numbers in sources.items()
    }


def warn_of_shortcuts(probe: Mapping[str, float | None]) -> None:
    """Log a warning for each probe that is not near chance: the detector may have learned what the probe did."""
    for name, value in probe.items():
        if value is not None and not CHANCE_EER[0] <= value <= CHANCE_EER[1]:
            log.warning("%s alone tell the labels with an EER of %.1f %%; 50 %% is chance", name, 100 * value)


def _claim(folder: Path) -> None:
    """Make sure before the work that its result will have a place."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        occupied = any(folder.iterdir())
    except OSError as error:
        raise UsageError(f"{folder}: cannot be used for the model ({error.strerror}); give another folder") from error
    if occupied:
        raise UsageError(f"{folder}: not empty; give a new folder for the model")


def _load_folder(folder: Path | None) -> list[Float32Array]:
    if folder is None:
        return []
    paths = sorted(path for path in folder.glob("*") if path.is_file() and not path.name.startswith("."))
    if not paths:
        raise UsageError(f"{folder}: no sound files here")
    return load_clips(paths)


def _group(row: Row) -> str:
    return str((row.family if row.label == "spoof" else row.source) or row.generator or row.speaker)


def _copies_of(
    trainer: Trainer[Any], plan: TrainingPlan, sounds: Sounds, numbered: tuple[int, Float32Array]
) -> list[Features]:
    index, samples = numbered
    degraded = (
        degrade(samples, plan.chain, sounds, np.random.default_rng([plan.seed, copy, index]))[0]
        for copy in range(plan.copies)
    )
    return [trainer.features(samples), *(trainer.features(copy) for copy in degraded)]


def _conditions_of(
    trainer: Trainer[Any], plan: TrainingPlan, numbered: tuple[int, tuple[Float32Array, Mapping[float, Segment]]]
) -> ConditionFeatures:
    index, (samples, cuts) = numbered
    spans = {SINGLE_SPEECH_S: Segment(0.0, len(samples) / DETECTOR_RATE_HZ), **cuts}
    features: ConditionFeatures = {speech_s: {} for speech_s in spans}
    for name, condition in CONDITIONS.items():
        heard = condition(samples, np.random.default_rng([plan.seed, 1_000_000 + index]))
        for speech_s, span in spans.items():
            part = heard[round(span.start_s * DETECTOR_RATE_HZ) : round(span.end_s * DETECTOR_RATE_HZ)]
            features[speech_s][name] = trainer.features(part)
    return features


def _trials_of(
    rows: Sequence[Row], scores: Mapping[int, Mapping[float, Mapping[str, float]]], speech_s: float
) -> Trials:
    """Trials of one length: of the clips that have it."""
    there = [index for index in range(len(rows)) if speech_s in scores[index]]
    return Trials(
        tuple(rows[index] for index in there),
        {name: np.array([scores[index][speech_s][name] for index in there]) for name in CONDITIONS},
        speech_s,
    )


def _in_processes(work: Any, items: Sequence[Any], jobs: int) -> list[Any]:
    if jobs <= 1:
        return [work(item) for item in items]
    with ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        return list(pool.map(work, items, chunksize=16))
