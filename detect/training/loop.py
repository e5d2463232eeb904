"""The training itself: one network, from a stream of batches, until the held-out figures no longer get better."""

import contextlib
import itertools
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...core.errors import UsageError
from ...core.progress import Progress, silent
from ..networks.weights import digest
from .batch import Batch, BatchSource
from .checkpoint import CheckpointFolder
from .draws import draw_mixture, own_random_numbers, seed_of
from .journal import Journal
from .losses import Losses, TrainingObjective
from .networks import DetectorNetwork
from .parallel import DeviceChoice, Processes, joined_processes
from .recipe import TrainingRecipe
from .state import TrainingState
from .stopping import EpochRecord, best_epoch, is_stalled, measure_held_out

SKIPPED_STEPS = {"float32": 3, "bfloat16": 3, "float16": 20}
"""Steps in a row that may lack a finite gradient; float16 needs some until its scale is found."""
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Fitted:
    """A trained network."""

    network: DetectorNetwork
    """The averaged weights of the best epoch, on the CPU, ready to score."""
    best_epoch: int
    """From 0; the last one where nothing was held out."""
    stopped_early: bool
    history: tuple[EpochRecord, ...]


def fit(
    network: DetectorNetwork,
    source: BatchSource,
    recipe: TrainingRecipe,
    folder: Path,
    *,
    seed: int,
    device: DeviceChoice = "auto",
    about: Mapping[str, Any] | None = None,
    tensorboard: bool = False,
    progress: Progress = silent,
) -> Fitted:
    """Train `network`, or go on with it at the last checkpoint in `folder`; its own weights are overwritten.

    `about` names what else decides the result, the data above all, as JSON values; with another one in the folder the
    training is refused. On the CPU, with one thread and in float32, the same arguments give the same bits, however
    often it was killed. Every process that `torchrun` started calls this with the same arguments, and all of them
    need to see `folder`.

    Raises `UsageError` for a folder with another training, a device that is not there, a precision that the device
    lacks, or a loss that is no longer finite; `IntegrityError` for a damaged checkpoint; `CovoguardError`
    (`output_error`) when the folder cannot be written.
    """
    with joined_processes(device) as processes, own_random_numbers(processes.device):
        _check(source, recipe, processes)
        identity = _identity(network, source, recipe, seed, processes.world, about)
        torch.manual_seed(seed_of(seed))
        objective = TrainingObjective(network, recipe, n_families=source.n_families, n_sources=source.n_sources)
        state = TrainingState(objective, recipe, processes)
        checkpoints = CheckpointFolder(folder, identity)
        with contextlib.ExitStack() as held:
            if processes.is_first:
                held.enter_context(checkpoints.held())
            processes.wait()
            checkpoint = checkpoints.load()
            if checkpoint is not None:
                state.restore(checkpoint)
            journal = None
            if processes.is_first:
                journal = held.enter_context(Journal(folder, step=state.course.step, tensorboard=tensorboard))
            training = _Training(state, source, recipe, processes, checkpoints, journal, seed, progress)
            if not state.course.ended:
                training.run()
        history = state.course.history
        best = best_epoch(history, recipe.criterion)
        return Fitted(
            network=state.result(),
            best_epoch=history[-1].epoch if best is None else best,
            stopped_early=len(history) < recipe.epochs,
            history=history,
        )


@dataclass
class _Training:
    """One call of `fit`, from the checkpoint it found to the end."""

    state: TrainingState
    source: BatchSource
    recipe: TrainingRecipe
    processes: Processes
    checkpoints: CheckpointFolder
    journal: Journal | None
    seed: int
    progress: Progress

    _noted: list[list[float]] = field(default_factory=list, init=False)
    """Parts of the loss of each step since the journal's last line."""
    _clips: int = field(default=0, init=False)
    """Recordings of all processes since then."""
    _noted_at: float = field(default_factory=time.monotonic, init=False)
    _saved_at: float = field(default_factory=time.monotonic, init=False)

    def run(self) -> None:
        """Every epoch that is left, or fewer."""
        per_epoch = self.source.steps_per_epoch
        while not self.state.course.ended:
            epoch, done = divmod(self.state.course.step, per_epoch)
            batches = self.source.epoch(epoch, rank=self.processes.rank, world=self.processes.world)
            for batch in itertools.islice(batches, done, per_epoch):
                self._step(batch)
                if self.state.course.step == (epoch + 1) * per_epoch:
                    self._end_epoch(epoch)
                self._save_if_due()
            if self.state.course.step != (epoch + 1) * per_epoch:
                raise ValueError(f"epoch {epoch} gave fewer batches than its {per_epoch} steps")

    def _step(self, batch: Batch) -> None:
        state, course = self.state, self.state.course
        steps = self.recipe.epochs * self.source.steps_per_epoch
        learning_rate = self.recipe.learning_rate_at(course.step, steps)
        for group in state.optimiser.param_groups:
            group["lr"] = learning_rate * group["haste"]
        step_seed = seed_of(self.seed, course.step, self.processes.rank)
        torch.manual_seed(step_seed)
        parts = self._parts(batch, step_seed, course.step / steps)
        means = self.processes.mean(parts)
        finite = self._descend(parts, means)
        total = float(means @ state.objective.part_weights)
        state.course = replace(course, step=course.step + 1)
        if finite:
            state.average_in()
            state.course = replace(
                state.course, epoch_loss=course.epoch_loss + total, epoch_losses=course.epoch_losses + 1, skipped=0
            )
            self._note(means.tolist(), learning_rate, len(batch.is_spoof))
        else:
            self._skip(batch, learning_rate)
        self.progress(state.course.step, steps, f"loss {total:.3f}")

    def _parts(self, batch: Batch, seed: int, done: float) -> Tensor:
        """The parts of the loss (parts,): sums over the rows here, divided as the mean over all processes asks."""
        device, precision = self.processes.device, self.recipe.precision
        self.state.objective.train()
        mixture = draw_mixture(batch, self.recipe, seed)
        with torch.autocast(device.type, _DTYPES[precision], enabled=precision != "float32"):
            losses: Losses = self.state.model(batch.to(device), mixture, done)
        counts = self.processes.mean(losses.counts)
        return losses.sums / torch.where(counts > 0, counts, torch.ones_like(counts))

    def _descend(self, parts: Tensor, means: Tensor) -> bool:
        """One step of the optimiser; nothing is changed and False comes back where loss or gradient is not finite."""
        state = self.state
        state.optimiser.zero_grad(set_to_none=True)
        state.scaler.scale(parts @ state.objective.part_weights).backward()  # type: ignore[no-untyped-call]
        state.scaler.unscale_(state.optimiser)
        norm = nn.utils.clip_grad_norm_(state.objective.parameters(), self.recipe.gradient_clip)
        finite = bool(norm.isfinite() & means.isfinite().all())  # both are the same in every process
        if finite:
            state.scaler.step(state.optimiser)
        state.scaler.update()
        return finite

    def _skip(self, batch: Batch, learning_rate: float) -> None:
        course = self.state.course
        self.state.course = replace(course, skipped=course.skipped + 1)
        if course.skipped < SKIPPED_STEPS[self.recipe.precision]:
            return
        advice = f"lower learning_rate (now {self.recipe.learning_rate:g}) or gradient_clip"
        if self.recipe.precision == "float16":
            advice += ", or take precision bfloat16 or float32"
        if not batch.samples.isfinite().all():
            advice = "there are samples that are not finite in the batch: find the damaged recording and leave it out"
        raise UsageError(
            f"step {course.step}: the loss or its gradient was not finite for {course.skipped + 1} steps in a row, at "
            f"a learning rate of {learning_rate:.3g}; {advice}, and train in another folder"
        )

    def _end_epoch(self, epoch: int) -> None:
        state, course = self.state, self.state.course
        figures = measure_held_out(state.average, self.source.held_out(), self.processes)
        loss = course.epoch_loss / course.epoch_losses if course.epoch_losses else None
        history = (*course.history, EpochRecord(epoch, course.step, loss, figures))
        if best_epoch(history, self.recipe.criterion) == epoch:
            state.keep_best()
        stalled = is_stalled(history, self.recipe.criterion, self.recipe.patience)
        ended = stalled or epoch + 1 == self.recipe.epochs
        state.course = replace(course, epoch_loss=0.0, epoch_losses=0, history=history, ended=ended)
        if self.journal is not None:
            held_out = None if figures is None else asdict(figures)
            self.journal.add({"step": course.step, "epoch": epoch, "loss": loss, "held_out": held_out})

    def _note(self, means: list[float], learning_rate: float, clips: int) -> None:
        """Collect a step's figures; write a line with their means when it is time."""
        if self.journal is None:
            return
        self._noted.append(means)
        self._clips += clips * self.processes.world
        step, now = self.state.course.step, time.monotonic()
        if step % self.recipe.journal_interval_steps:
            return
        losses = dict(zip(self.state.objective.parts, np.mean(self._noted, axis=0).tolist(), strict=True))
        self.journal.add(
            {
                "step": step,
                "epoch": (step - 1) // self.source.steps_per_epoch,
                "losses": losses,
                "learning_rate": learning_rate,
                "clips_per_s": round(self._clips / max(now - self._noted_at, 1e-9), 1),
            }
        )
        self._noted, self._clips, self._noted_at = [], 0, now

    def _save_if_due(self) -> None:
        now = time.monotonic()
        due = self.state.course.ended or now - self._saved_at >= self.recipe.checkpoint_interval_s
        if due and self.processes.is_first:
            self.checkpoints.save(self.state.checkpoint())
            self._saved_at = time.monotonic()


def _check(source: BatchSource, recipe: TrainingRecipe, processes: Processes) -> None:
    if source.steps_per_epoch < 1:
        raise UsageError("the data gives no batch in an epoch; add clips, or lower the size of a batch")
    if recipe.precision == "float16" and processes.device.type != "cuda":
        raise UsageError("precision float16 needs a CUDA device; take bfloat16 or float32 here")


def _identity(
    network: DetectorNetwork,
    source: BatchSource,
    recipe: TrainingRecipe,
    seed: int,
    world: int,
    about: Mapping[str, Any] | None,
) -> dict[str, Any]:
    return {
        "recipe": recipe.identity(),
        "network": {"type": type(network).__name__, "weights_sha256": digest(network.state_dict())},
        "data": {
            "families": source.n_families,
            "sources": source.n_sources,
            "steps_per_epoch": source.steps_per_epoch,
        },
        "seed": seed,
        "processes": world,
        "about": dict(about or {}),
    }
