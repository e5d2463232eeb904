"""`covoguard train`: from a configuration to a finished detector, in steps that a kill does not undo.

Sounds first, then the members, fold by fold and seed by seed, then the scores of the clips that each fold's members
never heard; each is kept in the work folder as soon as it is finished. The model folder appears at the end, whole.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from ..core.errors import UsageError
from ..core.modelcard import open_model, seal_model
from ..core.progress import Progress, silent
from ..core.version import __version__
from ..datasets.probe import probe_scores, recording_numbers, simple_statistics, warn_of_shortcuts
from ..detect.domain import DOMAIN_NAME, Domain
from ..detect.metrics.eer import eer
from ..detect.training.parallel import DeviceChoice, choose_device, is_first_process
from .measured_model import write_model
from .new_model_folder import write_card
from .recorded_sounds import load_sounds
from .training_clips import TrainingClips, open_clips
from .training_config import TrainingConfig
from .training_domain import Distances, fit_gate, fold_distances
from .training_folder import TrainingFolder
from .training_members import (
    Learner,
    Member,
    Surroundings,
    final_members,
    fold_members,
    learner_of,
    make_start,
    training_items,
)
from .training_side_by_side import fit_side_by_side
from .training_sounds import SoundPlan, TrainingSounds, hash_of_sounds, prepare_sounds
from .training_trials import Scores, hear_clips, trials_of
from .training_utterances import utterances_of

_SOUNDS_NAME = "sounds"
_DISTANCES = "distances"


@dataclass(frozen=True)
class RunOptions:
    """What does not decide the result."""

    jobs: int = 1
    device: DeviceChoice = "auto"
    tensorboard: Path | None = None
    """Folder for the course of each member, in a folder of its own."""


def train_detector(
    config: TrainingConfig, place: Path, options: RunOptions, *, progress: Progress = silent
) -> Mapping[str, Any] | None:
    """Train what `config` asks for and put the model into the new folder `place`; -> its card.

    The same call goes on where an earlier one was stopped. Every process that `torchrun` started makes it; the first
    one writes, and the others get None. Raises what is wrong with the clips or the start before any work, `UsageError`
    for a place that is taken or holds other work, and `CovoguardError` (`output_error`) for a disk that takes no more.
    """
    choose_device(options.device)  # one that is not there is told now
    world = _world()
    measured = config.validation.mode != "none"
    clips = open_clips(config.data.collection, needs_folds=measured)
    recorded = load_sounds(config.data.noise, config.data.rooms)
    with _work_folder(place, _settings(config, clips, hash_of_sounds(recorded))) as folder:
        around = Surroundings(folder.path, options.jobs, options.device, world, options.tensorboard, recorded, progress)
        if is_first_process():
            make_start(config, folder.path)
        plan = SoundPlan(config.copy_synthesis.names, config.augmentation.copies, config.chain, config.seed)
        where = config.data.cache or folder.path / _SOUNDS_NAME
        sounds = prepare_sounds(clips, plan, recorded, where, jobs=options.jobs, progress=progress)
        if measured and config.validation.utterances_apart:
            sounds = replace(sounds, utterances=utterances_of(sounds.clips, clips.originals, progress))
        run = _Run(config, clips, sounds, learner_of(config, around), around)
        if is_first_process():
            return run.finish(folder)
        run.follow()
        return None


@dataclass(frozen=True)
class _Run:
    """The work after the sounds are there."""

    config: TrainingConfig
    clips: TrainingClips
    sounds: TrainingSounds
    learner: Learner[Any]
    around: Surroundings

    def finish(self, folder: TrainingFolder) -> Mapping[str, Any]:
        """All of it."""
        mode, seeds = self.config.validation.mode, self.config.members.seeds
        probe = self._probe() if mode != "none" else {}
        warn_of_shortcuts(probe)
        every = [member for members in self._folds().values() for member in members]
        every += final_members(seeds) if mode != "folds" else []
        fit_side_by_side(self.config, self.around, every, self.sounds)
        models: list[Any] = []
        scores: dict[int, Scores] = {}
        distances: list[Distances] = []
        for fold, members in self._folds().items():
            fitted = self._fit(members)
            measured = self._measure_fold(folder, fold, fitted)
            scores |= measured.scores
            distances += [] if measured.distances is None else [measured.distances]
            if mode == "folds":
                models += fitted
        if mode != "folds":
            models = self._fit(final_members(seeds))
        gate = fit_gate(self.learner.hear(models), self.sounds, training_items(self.sounds, None), distances)
        about = {**_words(self.config), "training": self._training(models), "shortcut_probe_eer": probe}
        folder.publish(lambda draft: self._write(draft, models, scores, gate, about))
        return open_model(folder.place).card

    def follow(self) -> None:
        """What the other processes do: train each member together with the first one."""
        for members in self._folds().values():
            self._fit(members)
        if self.config.validation.mode != "folds":
            self._fit(final_members(self.config.members.seeds))

    def _folds(self) -> dict[str, list[Member]]:
        if self.config.validation.mode == "none":
            return {}
        members = fold_members(self.clips.folds, self.config.members.seeds)
        return {fold: [each for each in members if each.fold == fold] for fold in self.clips.folds}

    def _fit(self, members: Sequence[Member]) -> list[Any]:
        return [self.learner.fit(member, self.sounds) for member in members]

    def _measure_fold(self, folder: TrainingFolder, fold: str, models: Sequence[Any]) -> "_MeasuredFold":
        """The clips of a fold as the mean of its members hears them; made once."""
        name = f"scores-{self.clips.folds.index(fold)}.safetensors"
        kept = folder.load(name)
        if kept is not None:
            return _MeasuredFold.read(*kept)
        hear = self.learner.hear(models)
        scores, embeddings = hear_clips(
            self.sounds.clips,
            [number for number, row in enumerate(self.clips.rows) if row.split == fold],
            hear,
            seed=self.config.seed,
            jobs=self.around.jobs,
            progress=self.around.progress,
        )
        distances = fold_distances(hear, self.sounds, training_items(self.sounds, fold), embeddings)
        measured = _MeasuredFold(scores, distances)
        folder.save(name, *measured.pieces())
        return measured

    def _probe(self) -> dict[str, float | None]:
        """How far the labels can be told without listening; see `datasets/probe.py`."""
        rows, recordings = self.clips.rows, self.sounds.clips
        is_spoof = np.array([row.label == "spoof" for row in rows])
        numbers = {
            "recording_metadata": recording_numbers(self.clips.recording_columns),
            "simple_statistics": np.array([simple_statistics(recordings.read(number)) for number in range(len(rows))]),
        }
        folds = [str(row.split) for row in rows]
        return {
            name: eer(probe_scores(values, is_spoof, folds, seed=self.config.seed), is_spoof)
            if values.shape[1]
            else None
            for name, values in numbers.items()
        }

    def _training(self, models: Sequence[Any]) -> dict[str, Any]:
        """What the model was trained on, and how, for its card."""
        rows, mode = self.clips.rows, self.config.validation.mode
        what = "trained without one fold each" if mode == "folds" else "trained on all clips"
        return {
            "manifest_sha256": self.clips.sha256,
            "clips": {label: sum(row.label == label for row in rows) for label in ("bonafide", "spoof")},
            "families": len({row.family for row in rows if row.family}),
            "bonafide_sources": len({row.source for row in rows if row.label == "bonafide"}),
            "folds": self.clips.folds,
            "members": f"the detector is the mean of {len(models)} models, {what}",
            "left_out_of_folds": self._left_out(),
            **self.learner.describe(models),
        }

    def _left_out(self) -> dict[str, int]:
        """Of each fold's training: clips of other folds that hold an utterance of it."""
        rows, utterances = self.clips.rows, self.sounds.utterances
        held = {
            fold: {utterances[n] for n, row in enumerate(rows) if row.split == fold}
            for fold in self.clips.folds
            if utterances
        }
        return {
            fold: sum(row.split != fold and utterances[n] in numbers for n, row in enumerate(rows))
            for fold, numbers in held.items()
        }

    def _write(
        self,
        draft: Path,
        models: Sequence[Any],
        scores: Mapping[int, Scores],
        gate: Domain | None,
        about: Mapping[str, Any],
    ) -> None:
        saved = dict(self.learner.save(models, draft))
        if gate is not None:
            (draft / DOMAIN_NAME).write_bytes(gate.to_bytes())
            saved["domain"] = gate.describe()
        kind = self.config.detector.kind
        if scores:
            trials, shorter = trials_of(self.clips.rows, scores)
            weights = str(saved.pop("weights"))
            write_model(draft, kind, weights, trials, {**about, **saved}, self.config.seed, shorter)
            return
        identity = {"id": kind, "detector": kind, "version": __version__}
        write_card(draft, {**identity, **about, **saved, "figures": {}})
        seal_model(draft)


@dataclass(frozen=True)
class _MeasuredFold:
    """What was measured on the clips of one fold."""

    scores: Mapping[int, Scores]
    distances: Distances | None
    """(clips x conditions,): how far they lie from what was trained on; None: no gate for this detector."""

    def pieces(self) -> tuple[dict[str, torch.Tensor], Mapping[str, Any]]:
        """For the work folder."""
        tensors = {} if self.distances is None else {_DISTANCES: torch.from_numpy(self.distances)}
        return tensors, {"scores": [[number, list(scores.items())] for number, scores in self.scores.items()]}

    @classmethod
    def read(cls, tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any]) -> Self:
        """Read `pieces`."""
        scores = {number: {speech_s: dict(under) for speech_s, under in lengths} for number, lengths in about["scores"]}
        return cls(scores, tensors[_DISTANCES].numpy() if _DISTANCES in tensors else None)


def _words(config: TrainingConfig) -> dict[str, Any]:
    about = asdict(config.about)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in about.items()}


def _settings(config: TrainingConfig, clips: TrainingClips, recorded_sha256: str) -> dict[str, Any]:
    """All that decides the members, for the work folder."""
    start = config.detector.start
    return {
        **config.identity(),
        "collection_sha256": clips.sha256,
        "noise_and_rooms_sha256": recorded_sha256,
        "utterances_apart": config.validation.utterances_apart,
        "copiers_sha256": [open_model(folder).model_sha256 for folder in config.copy_synthesis.copiers],
        "start_sha256": None if start is None else open_model(start).model_sha256,
    }


@contextlib.contextmanager
def _work_folder(place: Path, settings: Mapping[str, Any]) -> Iterator[TrainingFolder]:
    """The work folder, held by the first process alone."""
    if is_first_process():
        with TrainingFolder.open(place, settings) as folder:
            yield folder
    else:
        yield TrainingFolder(place)


def _world() -> int:
    text = os.environ.get("WORLD_SIZE", "1")
    if not text.isascii() or not text.isdigit() or not int(text):
        raise UsageError(f"WORLD_SIZE is {text!r} in the environment, not a number of processes; start with torchrun")
    return int(text)
