"""Trains a recoverer for a generator from nothing but its decoder, and writes a versioned recoverer folder.

Tokens are decoded, the sound is damaged by the attack mix, a network learns to read the tokens back, its
probabilities are calibrated, and the mark's table is fitted to what it hears. Every finished step stays on the disk:
a run that was stopped goes on with the same command and ends with the same weights.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..core.errors import IntegrityError, UsageError
from ..core.keys import SecretKey
from ..core.modelcard import CARD_NAME, ModelFolder, seal_model
from ..core.records import Audio, Float32Array, Int32Array, Posteriors
from ..core.version import __version__
from ..datasets.degrade.chain import Sounds
from ..datasets.degrade.journey import travel
from ..watermark.sampling import SlotGumbel
from .fit_mark_table import FittedTable, fit_table
from .mark_evidence import TABLE_NAME
from .recoverer_card import Effort, Measured, recoverer_card
from .recoverer_pairs import PairMaker, PairSet, VoiceDecoder
from .token_sources import TokenSource
from .training_folder import TrainingFolder

if TYPE_CHECKING:
    from ..generate.pocket.recoverer_network import RecovererNetwork
    from ..generate.recovery.network import RecovererShape
    from ..generate.training.recoverer import Pair, RecovererTraining

CHECKPOINT = "checkpoint.safetensors"
REPORT_STEPS = 250
_HELD_OUT_PAIRS = (8, 256)
"""At least and at most; between them a tenth of the training pairs."""
_WATCHED_PAIRS = 24
"""Held-out pairs that are measured while training goes on."""
_FITTED_EDGES = (1 / 3, 2 / 3)
"""Quantiles of the estimated surprisal at which its classes meet."""
_LEAST_SPREAD_BITS = 0.5
"""Estimates that differ less than this are no estimates, and make one class."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class RecovererPlan:
    """How much is done, and where."""

    pairs: int = 6000
    steps: int = 8000
    seed: int = 1
    device: str = "cpu"
    """Of the recoverer's network, by torch's name."""
    jobs: int = 1
    """Threads that damage sound."""
    batch: int = 16
    """Crops of 2.56 s per step."""
    fitted_clips: int = 80
    """Marked clips per measurement of the mark table."""
    checkpoint_steps: int = 500
    """A run that is killed loses at most so many steps."""


class DecodingGenerator(Protocol):
    """What training needs of a generator."""

    name: str
    model: ModelFolder
    voices: tuple[str, ...]
    codebook_size: int
    decoder: VoiceDecoder


def check_decoder(generator: Any) -> DecodingGenerator:
    """The generator, known to have a decoder of its own. Raises `UsageError` for one that has none."""
    missing = [name for name in ("decoder", "codebook_size") if getattr(generator, name, None) is None]
    if missing:
        raise UsageError(
            f"{generator.name}: this generator gives no {' and no '.join(missing)} to make pairs with; "
            "a recoverer can be trained for a model whose decoder runs here"
        )
    checked: DecodingGenerator = generator
    return checked


def check_device(name: str) -> str:
    """The device, known to be usable. Raises `UsageError`."""
    import torch

    try:
        torch.zeros(1, device=torch.device(name))
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"the device {name!r} cannot be used ({reason}); give cpu, or cuda where there is one"
        ) from error
    return name


def train_recoverer_folder(
    generator: DecodingGenerator,
    source: TokenSource,
    place: Path,
    shape: "RecovererShape",
    plan: RecovererPlan,
    *,
    sounds: Sounds,
    report: Report,
) -> dict[str, Any]:
    """Make the recoverer folder `place`, or go on with what an earlier run of the same settings left; -> its card.

    Raises `UsageError` for a place that is taken, `CovoguardError` when the disk is full.
    """
    with TrainingFolder.open(place, _settings(generator, source, shape, plan, sounds)) as folder:
        maker = PairMaker(generator.decoder, source, generator.codebook_size, sounds, plan.seed, plan.jobs)
        return _Work(generator, maker, shape, plan, folder, report).done()


@dataclass(frozen=True)
class _Sets:
    """The pairs by set, and how long it took to make them."""

    train: "Sequence[Pair]"
    held_out: "Sequence[Pair]"
    clean: "Sequence[Pair]"
    seconds: float

    @property
    def hours(self) -> float:
        """Of sound in the training pairs."""
        return sum(len(pair.mel) for pair in self.train) / 100 / 3600


@dataclass(frozen=True)
class _Reading:
    """A network that is not in a folder yet, as a recoverer."""

    network: "RecovererNetwork"
    codebook_size: int
    logit_scale: float
    device: str

    def recover(self, audio: Audio, *, speed: float = 1.0) -> Posteriors:
        """As a `TokenRecoverer` does."""
        from ..generate.pocket.cell_reader import CellReader

        return CellReader(self.network, self.codebook_size, self.logit_scale, self.device).read(audio, speed)


@dataclass(frozen=True)
class _Work:
    """One training, step by step."""

    generator: DecodingGenerator
    maker: PairMaker
    shape: "RecovererShape"
    plan: RecovererPlan
    folder: TrainingFolder
    report: Report

    def done(self) -> dict[str, Any]:
        """Every step that is missing; -> the card."""
        sets = self._sets()
        network, training_s = self._trained(sets)
        started = time.perf_counter()
        measured, fitted = self._measured(network, sets)
        seconds = sets.seconds + training_s + time.perf_counter() - started
        card = recoverer_card(
            self.generator.model, self.maker.source.about, self.shape, measured, fitted,
            Effort(self.plan.steps, self.plan.batch, self.plan.device, seconds),
            sum(each.numel() for each in network.parameters()),
        )  # fmt: skip
        self.folder.publish(partial(_write, network=network, scale=measured.logit_scale, fitted=fitted, card=card))
        return card

    def _sets(self) -> _Sets:
        least, most = _HELD_OUT_PAIRS
        held_out = max(least, min(most, self.plan.pairs // 10))
        counts: dict[PairSet, int] = {"train": self.plan.pairs, "held-out": held_out, "clean": held_out}
        made: dict[PairSet, list[Pair]] = {kind: [] for kind in counts}
        seconds = 0.0
        for kind, count in counts.items():
            for shard, shard_s in self.maker.shards(self.folder, kind, count, self.report):
                made[kind] += shard
                seconds += shard_s
        return _Sets(made["train"], made["held-out"], made["clean"], seconds)

    def _trained(self, sets: _Sets) -> "tuple[RecovererNetwork, float]":
        """The network after all steps, from the last checkpoint on; and the seconds that training took in all."""
        import torch

        from ..generate.training.recoverer import RecovererTraining

        with torch.random.fork_rng():
            torch.manual_seed(self.plan.seed)
            network = self.shape.network()
        training = RecovererTraining(
            network, sets.train, self.plan.steps, self.plan.seed, batch=self.plan.batch, device=self.plan.device
        )
        before_s = self._restored(training)
        started = time.perf_counter()
        while not training.is_done:
            training.advance()
            seconds = before_s + time.perf_counter() - started
            if training.step % REPORT_STEPS == 0:
                self._tell(training, sets.held_out[:_WATCHED_PAIRS])
            if training.step % self.plan.checkpoint_steps == 0 or training.is_done:
                tensors, about = training.state()
                self.folder.save(CHECKPOINT, tensors, {**about, "seconds": seconds})
        return network.eval(), before_s + time.perf_counter() - started

    def _restored(self, training: "RecovererTraining") -> float:
        piece = self.folder.load(CHECKPOINT)
        if piece is None:
            return 0.0
        tensors, about = piece
        path = self.folder.path / CHECKPOINT
        try:
            training.restore(tensors, about)
        except ValueError as error:
            raise IntegrityError(f"{path}: {error}; remove it, and training begins anew") from error
        self.report(f"going on after step {training.step} of {self.plan.steps}")
        return float(about["seconds"])

    def _tell(self, training: "RecovererTraining", held_out: "Sequence[Pair]") -> None:
        from ..generate.training.recoverer_figures import accuracy

        found = accuracy(training.network, held_out, self.plan.device)
        self.report(
            f"step {training.step} of {self.plan.steps}: loss {training.running[0]:.3f}, held out {found.loss:.3f}, "
            f"top-1 {100 * found.top1:.1f} %, top-5 {100 * found.top5:.1f} %"
        )

    def _measured(self, network: "RecovererNetwork", sets: _Sets) -> tuple[Measured, FittedTable]:
        from ..generate.training import recoverer_figures as figures

        device = self.plan.device
        scale = figures.calibrated_scale(network, sets.held_out, device)
        mixed, clean = (figures.accuracy(network, pairs, device) for pairs in (sets.held_out, sets.clean))
        self.report(f"held out: top-1 {100 * clean.top1:.1f} % clean, {100 * mixed.top1:.1f} % under the attack mix")
        edges: tuple[float, ...] = ()
        if self.maker.source.knows_surprisal:
            edges = surprisal_edges(figures.estimated_surprisal_bits(network, sets.held_out, device))
        confusion = figures.confusion_of_pairs(network, [*sets.held_out, *sets.train], self.shape.codes, scale, device)
        reading = _Reading(network, self.shape.codes, scale, device)
        fitted = fit_table(
            self.generator.model.id, reading, _fitting_key(self.plan.seed), partial(self._say, damaged=True),
            partial(self._say, damaged=False), self.plan.fitted_clips, edges_bits=edges, confusion=confusion,
        )  # fmt: skip
        self.report(
            f"bits per token: {fitted.bits_per_token[1]:.3f} with one level, {fitted.bits_per_token[2]:.3f} with two"
        )
        return Measured(len(sets.train), sets.hours, scale, mixed, clean), fitted

    def _say(self, marks: Sequence[SlotGumbel], damaged: bool) -> list[tuple[Int32Array, Float32Array]]:
        """Marked clips and their sound, as `fit_table` wants them: start and pace stay."""
        clips = self.maker.source.marked(marks, self.plan.seed)
        said = []
        for number, sound in enumerate(self.maker.sounds_of(clips, list(range(len(clips))))):
            heard = sound
            if damaged:
                rng = np.random.default_rng([self.plan.seed, 11, number])
                heard = travel(sound, rng, self.maker.sounds, clean=0.2, paced=0).samples
            said.append((clips[number].ids, heard))
        return said


def surprisal_edges(estimates_bits: np.ndarray) -> tuple[float, ...]:
    """Where three surprisal classes of equal size meet; none when the estimates hardly differ."""
    if not len(estimates_bits):
        return ()
    low, high = np.quantile(estimates_bits, (0.1, 0.9))
    edges = sorted({round(float(edge), 2) for edge in np.quantile(estimates_bits, _FITTED_EDGES)})
    return tuple(edges) if high - low >= _LEAST_SPREAD_BITS else ()


def _fitting_key(seed: int) -> SecretKey:
    """Of the marked clips that the table is fitted to: it marks nothing else, and a run can be repeated."""
    digest = hashlib.sha256(f"covoguard recoverer {seed}".encode()).digest()
    return SecretKey(f"k{digest[:5].hex()}", 1, digest, created_utc="1970-01-01T00:00:00Z")


def _write(
    folder: Path, *, network: "RecovererNetwork", scale: float, fitted: FittedTable, card: dict[str, Any]
) -> None:
    from safetensors.torch import save

    from ..generate.recovery.frames import WEIGHTS, weights_of

    (folder / WEIGHTS).write_bytes(save(weights_of(network, scale)))
    (folder / TABLE_NAME).write_text(fitted.table.to_json(), encoding="utf-8")
    (folder / CARD_NAME).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    seal_model(folder)


def _settings(
    generator: DecodingGenerator, source: TokenSource, shape: "RecovererShape", plan: RecovererPlan, sounds: Sounds
) -> dict[str, Any]:
    """All that decides the result, but for device and threads: a run may go on elsewhere."""
    decides = {name: getattr(plan, name) for name in ("pairs", "steps", "seed", "batch", "fitted_clips")}
    return {
        "backend": generator.name,
        "model_sha256": generator.model.model_sha256,
        "tokens": source.about,
        "tokens_sha256": source.sha256,
        "network": shape.to_card(),
        "noise_sha256": _sha256_of_sounds(sounds.noises),
        "rooms_sha256": _sha256_of_sounds(sounds.rooms),
        "tool_version": __version__,
        **decides,
    }


def _sha256_of_sounds(sounds: Sequence[Float32Array]) -> str | None:
    if not sounds:
        return None
    digest = hashlib.sha256()
    for sound in sounds:
        digest.update(len(sound).to_bytes(8, "big") + np.ascontiguousarray(sound).tobytes())
    return digest.hexdigest()
