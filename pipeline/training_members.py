"""The networks, or mixtures, that a detector is the mean of: which there are, and how each kind learns them."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch

from ..core.errors import UsageError
from ..core.modelcard import open_model
from ..core.progress import Progress
from ..core.records import Float32Array
from ..datasets.degrade.chain import Sounds
from ..detect.gmm import MixturePair
from ..detect.gmm_training import Example, MixtureTrainer
from ..detect.graph import GRAPH_NAME, STATE_NAME, MeanOfMembers, check_graph, export_graph
from ..detect.network import Detector, LogBandResNet
from ..detect.networks.weights import digest, to_safetensors
from ..detect.released import WEIGHTS_NAME
from ..detect.scorers.ssl import ENCODER_CONFIG_NAME
from ..detect.session import EMBEDDING_OUTPUT, SCORE_OUTPUT
from ..detect.training.loop import Fitted, fit
from ..detect.training.networks import NetworkStart, build_network
from ..detect.training.parallel import DeviceChoice, choose_device
from ..detect.windows import CROP_SAMPLES
from .training_batches import BatchPlan, ClipBatches, hold_out
from .training_config import TrainingConfig
from .training_sounds import TrainingSounds
from .training_tables import MIXTURES, SSL
from .training_trials import HearClip, HeardClip, hear_with

M = TypeVar("M")
_BANDS = "logband-resnet"
_CHECKED_LENGTHS = (8_000, 23_456, 64_000)


@dataclass(frozen=True)
class Member:
    """One model: what it is not trained on, and its seed."""

    name: str
    """Of its folder."""
    fold: str | None
    """The fold that is held out; None: trained on everything."""
    seed: int


@dataclass(frozen=True)
class Surroundings:
    """Where and with what the members learn."""

    work: Path
    jobs: int
    device: DeviceChoice
    world: int
    tensorboard: Path | None
    recorded: Sounds
    progress: Progress


class Learner(Protocol, Generic[M]):
    """How one kind of detector learns."""

    def fit(self, member: Member, sounds: TrainingSounds) -> M:
        """Train a member, or go on with it; in every process that `torchrun` started."""
        ...

    def hear(self, models: Sequence[M]) -> HearClip:
        """How the mean of the models hears a clip."""
        ...

    def save(self, models: Sequence[M], folder: Path) -> Mapping[str, Any]:
        """Write the mean of the models; -> what the card says of it, `weights` at least."""
        ...

    def describe(self, models: Sequence[M]) -> Mapping[str, Any]:
        """The recipe and its course, for the card."""
        ...


def fold_members(folds: Sequence[str], seeds: Sequence[int]) -> list[Member]:
    """One member per fold and seed."""
    return [Member(f"fold{place}-seed{seed}", fold, seed) for place, fold in enumerate(folds) for seed in seeds]


def final_members(seeds: Sequence[int]) -> list[Member]:
    """One member per seed, trained on everything."""
    return [Member(f"all-seed{seed}", None, seed) for seed in seeds]


def training_items(sounds: TrainingSounds, fold: str | None) -> list[int]:
    """What a member is trained on: nothing of its fold, no copy of it, and no method whose family is in that fold.

    Where utterances are known, none that its fold holds as well.
    """
    items = sounds.items
    if fold is None:
        return list(range(len(items)))
    away = {number for number, item in enumerate(items) if item.row.split == fold}
    heard = {sounds.utterances[number] for number in away if number < len(sounds.utterances)}
    away |= {number for number, utterance in enumerate(sounds.utterances) if utterance in heard}
    families = {str(item.family).casefold() for item in items if item.row.split == fold and not item.is_made}
    return [
        number
        for number, item in enumerate(items)
        if number not in away
        and item.original not in away
        and not (item.is_made and str(item.family).casefold() in families)
    ]


def learner_of(config: TrainingConfig, around: Surroundings) -> Learner[Any]:
    """The learner of the detector that is asked for."""
    return MixtureLearner(config) if config.detector.kind == MIXTURES else NetworkLearner(config, around)


class NetworkLearner(Learner[Fitted]):
    """Trains networks by `detect/training`."""

    def __init__(self, config: TrainingConfig, around: Surroundings) -> None:
        """The start of ssl must be made already, if there is one to make."""
        self._config, self._around = config, around
        self._start = NetworkStart(start_folder(config, around.work), config.detector.train_encoder)

    def fit(self, member: Member, sounds: TrainingSounds) -> Fitted:
        """See `Learner`."""
        config, around = self._config, self._around
        split = hold_out(sounds.items, training_items(sounds, member.fold), config.early_stop.share, member.seed)
        plan = BatchPlan(config.sampling.batch, config.augmentation.crop_s, config.sampling_recipe(), member.seed)
        batches = ClipBatches(sounds, split, plan, recorded=around.recorded, jobs=around.jobs, world=around.world)
        folder = around.work / member.name
        if around.tensorboard is not None:
            _link_tensorboard(folder, around.tensorboard / member.name)
        network = build_network(config.detector.kind, self._start, seed=member.seed)
        try:
            return fit(
                network,
                batches,
                config.recipe,
                folder,
                seed=member.seed,
                device=around.device,
                about={"fold": member.fold, "clips": len(split.inside), "held_out": len(split.held_out)},
                tensorboard=around.tensorboard is not None,
                progress=lambda done, total, note="": around.progress(done, total, f"{member.name} {note}"),
            )
        finally:
            batches.close()

    def hear(self, models: Sequence[Fitted]) -> HearClip:
        """See `Learner`."""
        device = choose_device(self._around.device)
        return hear_with(self._config.detector.kind, [each.network for each in models], device)

    def save(self, models: Sequence[Fitted], folder: Path) -> Mapping[str, Any]:
        """One graph and the weights beside it; for ssl the weights alone, with the encoder's configuration."""
        kind = self._config.detector.kind
        networks = [each.network.cpu().eval() for each in models]
        if kind == SSL:
            return self._save_ssl(networks[0].scorer_state(), folder)
        whole: torch.nn.Module = MeanOfMembers(networks)
        lengths: tuple[int, ...] = (CROP_SAMPLES,)
        outputs: tuple[str, ...] = (SCORE_OUTPUT,)
        if kind == _BANDS:  # one front end for all
            members = [LogBandResNet() for _ in networks]
            for member, network in zip(members, networks, strict=True):
                member.load_state_dict(network.scorer_state())
            whole, lengths, outputs = Detector(members), _CHECKED_LENGTHS, (SCORE_OUTPUT, EMBEDDING_OUTPUT)
        (folder / STATE_NAME).write_bytes(to_safetensors(whole.state_dict()))
        export_graph(whole, folder / GRAPH_NAME, samples=lengths[-1], any_length=kind == _BANDS, outputs=outputs)
        check_graph(whole, folder / GRAPH_NAME, lengths, self._config.seed)
        return {"weights": GRAPH_NAME}

    def describe(self, models: Sequence[Fitted]) -> Mapping[str, Any]:
        """See `Learner`."""
        config = self._config
        courses = [
            {
                "best_epoch": each.best_epoch,
                "epochs": len(each.history),
                "stopped_early": each.stopped_early,
                "held_out": None if (last := each.history[each.best_epoch].held_out) is None else asdict(last),
            }
            for each in models
        ]
        return {
            "recipe": {
                **config.recipe.identity(),
                **asdict(config.sampling),
                **asdict(config.augmentation),
                "copy_methods": [*config.copy_synthesis.methods, *map(_copier_name, config.copy_synthesis.copiers)],
                "paired": config.copy_synthesis.share,
                "held_out_families": config.early_stop.share,
                "seeds": list(config.members.seeds),
            },
            "chain": asdict(config.chain),
            "networks": courses,
        }

    def _save_ssl(self, state: Mapping[str, torch.Tensor], folder: Path) -> Mapping[str, Any]:
        start = open_model(start_folder(self._config, self._around.work) or Path())
        shutil.copyfile(start.path / ENCODER_CONFIG_NAME, folder / ENCODER_CONFIG_NAME)
        (folder / WEIGHTS_NAME).write_bytes(to_safetensors(state))
        return {
            "id": start.card["id"],
            "version": digest(state)[:12],
            "weights": WEIGHTS_NAME,
            "network": start.card["network"],
            "trained": True,
        }


class MixtureLearner(Learner[MixturePair]):
    """Trains `lfcc-gmm` on every clip as it is and on its damaged copies."""

    def __init__(self, config: TrainingConfig) -> None:
        """Its recipe has nothing to set."""
        self._config, self._trainer = config, MixtureTrainer()

    def fit(self, member: Member, sounds: TrainingSounds) -> MixturePair:
        """See `Learner`."""
        examples = []
        for number in training_items(sounds, member.fold):
            copies = [sounds.damaged_copy(number, copy) for copy in range(sounds.plan.copies)]
            features = [self._trainer.features(samples) for samples in (sounds.clean(number), *copies)]
            examples.append(Example(sounds.items[number].row.label == "spoof", features))
        return self._trainer.fit(examples, seed=member.seed)

    def hear(self, models: Sequence[MixturePair]) -> HearClip:
        """See `Learner`."""

        def hear(samples: Float32Array) -> HeardClip:
            features = self._trainer.features(samples)
            return HeardClip(sum(self._trainer.score(model, features) for model in models) / len(models))

        return hear

    def save(self, models: Sequence[MixturePair], folder: Path) -> Mapping[str, Any]:
        """See `Learner`."""
        return {"weights": self._trainer.save(models, folder)}

    def describe(self, models: Sequence[MixturePair]) -> Mapping[str, Any]:
        """See `Learner`."""
        recipe = {**self._trainer.describe(), "copies": self._config.augmentation.copies}
        return {"recipe": recipe, "chain": asdict(self._config.chain)}


def _copier_name(folder: Path) -> str:
    """What a copier is called wherever it lies."""
    model = open_model(folder)
    return f"{model.id} {model.model_sha256[:12]}"


def start_folder(config: TrainingConfig, work: Path) -> Path | None:
    """The model folder that the networks begin with: the one that was given, or the one made of an ssl checkpoint."""
    detector = config.detector
    return work / "start" if detector.checkpoint is not None else detector.start


def make_start(config: TrainingConfig, work: Path) -> None:
    """Make the start of ssl of its checkpoint, unless an earlier run did; look at a start that was given.

    Raises what `make_ssl_model` and `build_network` raise: before any work, all that is wrong with a checkpoint shows.
    """
    folder, detector = start_folder(config, work), config.detector
    if detector.checkpoint is not None and folder is not None and not folder.exists():
        from .make_ssl_detector import make_ssl_model

        make_ssl_model(detector.checkpoint, folder, head=detector.head, seed=config.seed)
    if detector.kind != MIXTURES:
        build_network(detector.kind, NetworkStart(folder, detector.train_encoder), seed=config.seed)


def _link_tensorboard(folder: Path, wanted: Path) -> None:
    """Let what the training writes for TensorBoard lie where it is wanted, and stay when the work is removed."""
    from ..detect.training.journal import TENSORBOARD_NAME

    link = folder / TENSORBOARD_NAME
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.symlink_to(wanted.resolve(), target_is_directory=True)
    except OSError as error:
        raise UsageError(f"{wanted}: cannot be written ({error.strerror}); name another folder") from error
