"""The tables of a training's configuration: each record checks its own values, and its words explain them to the user.

They are read and written as TOML by `training_config.py`, which puts the words into the example.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..core.errors import UsageError
from ..core.version import __version__
from ..datasets.copies import COPIES
from ..detect.training.networks import TRAINABLE
from .neural_copies import PREFIX
from .token_resynthesis import PocketResynthesis

MIXTURES = "lfcc-gmm"
"""The one detector that is no network; its recipe has nothing to set."""
SSL = "ssl"
Validation = Literal["folds", "final", "none"]


def trainable_names() -> list[str]:
    """The detectors that can be trained."""
    return sorted([*TRAINABLE.names(), MIXTURES])


def copy_names() -> list[str]:
    """The methods of copy-synthesis that need no model from elsewhere."""
    return sorted([*COPIES.names(), PocketResynthesis.name])


@dataclass(frozen=True)
class DataConfig:
    """What is trained on."""

    collection: Path
    """A CSV manifest (clip, file, label, fold; where known generator, family, source, voice_pool, speaker, copy_of) or
    the folder of a store. copy_of names the genuine clip that a spoof was made of, voice_pool the sources that share
    voices; without it each source is a pool."""
    noise: Path | None = None
    """Folder of recorded noises to mix in."""
    rooms: Path | None = None
    """Folder of recorded room responses."""
    cache: Path | None = None
    """Folder where decoded, copied and damaged sounds stay for other trainings on the same clips; without one they go
    with the training's own work."""


@dataclass(frozen=True)
class DetectorConfig:
    """What is trained."""

    kind: str = "logband-resnet"
    """aasist, aasist-l, lcnn, logband-resnet, rawnet2, ssl, or lfcc-gmm, which is no network and takes [data],
    [augmentation], [validation] and [about] alone."""
    start: Path | None = None
    """Model folder of the same detector to begin with, in place of random weights."""
    checkpoint: Path | None = None
    """For ssl: folder of a wav2vec2, WavLM, HuBERT or XLS-R checkpoint for transformers."""
    head: str = "attentive"
    """For ssl with a checkpoint: attentive, mean or aasist."""
    train_encoder: bool = False
    """For ssl: whether the encoder is trained too, or only the head on it."""

    def __post_init__(self) -> None:
        """Raise `UsageError` for a detector that cannot be trained, or a setting that another one has."""
        known = trainable_names()
        if self.kind not in known:
            raise UsageError(f"kind is {self.kind!r}; it must be one of {', '.join(known)}")
        if self.kind == SSL and (self.start is None) == (self.checkpoint is None):
            raise UsageError(
                "an ssl detector begins with a checkpoint or with a model folder; give checkpoint or start"
            )
        if self.kind != SSL and (self.checkpoint is not None or self.train_encoder):
            raise UsageError(f"checkpoint and train_encoder are settings of ssl; leave them out for {self.kind}")


@dataclass(frozen=True)
class AugmentationConfig:
    """How sounds are cut and damaged."""

    copies: int = 12
    """Degraded copies of each clip, made once: right where damage costs more than training. 0: damaged anew each time
    that a clip is drawn, right where a GPU waits."""
    crop_s: float = 3.0
    """Length of what the network hears in training; shorter clips are repeated."""

    def __post_init__(self) -> None:
        """Raise `UsageError` for numbers out of range."""
        if not 0 <= self.copies <= 1000:
            raise UsageError(f"copies is {self.copies}; give a number from 0 to 1000")
        if not 0.5 <= self.crop_s <= 60.0:
            raise UsageError(f"crop_s is {self.crop_s:g}; give seconds from 0.5 to 60")


@dataclass(frozen=True)
class CopySynthesisConfig:
    """Spoofs made of the genuine clips of the collection, which differ from them in nothing but the synthesis."""

    methods: tuple[str, ...] = ()
    """Of those in `covoguard dataset build --spoof` that make copies of speech with what is installed here; each
    genuine clip is copied by each of them once."""
    copiers: tuple[Path, ...] = ()
    """Folders of networks from `covoguard dataset train-copier`, which copy each genuine clip as well."""
    share: float = 0.0
    """Share of each batch that comes as a genuine clip and a copy of it, made here or named by copy_of, under the same
    damage and crop."""

    def __post_init__(self) -> None:
        """Raise `UsageError` for unknown methods, and for copies that nothing would use."""
        known = copy_names()
        for name in self.methods:
            if name not in known:
                raise UsageError(f"methods has {name!r}; known are {', '.join(known)}")
        for key, named in (("methods", self.methods), ("copiers", self.copiers)):
            if len(set(named)) < len(named):
                raise UsageError(f"{key} names one twice; name each once")
        if not 0.0 <= self.share <= 1.0:
            raise UsageError(f"share is {self.share:g}; give a share of the batch from 0 to 1")
        if self.names and not self.share:
            raise UsageError("share is 0, so nothing would use the copies; give a share, or no methods and copiers")

    @property
    def names(self) -> tuple[str, ...]:
        """Methods and networks, as `training_sounds.copy_method` knows them."""
        return (*self.methods, *(f"{PREFIX}{folder}" for folder in self.copiers))


@dataclass(frozen=True)
class SamplingConfig:
    """Which clips make a batch."""

    batch: int = 48
    """Clips in a batch, per process."""
    family_exponent: float = 0.5
    """Families of generators: 0 draws clips alike, 1 families alike, 0.5 lies between."""
    source_exponent: float = 0.5
    """The same for the sources (corpora, voice pools) of genuine speech."""
    source_matched: float = 0.0
    """How far genuine speech of a source is drawn as often as generated speech of it: 1, as often; 0, as it comes. A
    voice with many fakes and few recordings is otherwise a cue."""

    def __post_init__(self) -> None:
        """Raise `UsageError` for numbers out of range."""
        if not 2 <= self.batch <= 65_536:
            raise UsageError(f"batch is {self.batch}; give a number from 2 to 65536")
        for name in ("family_exponent", "source_exponent", "source_matched"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise UsageError(f"{name} is {getattr(self, name):g}; give a number from 0 to 1")


@dataclass(frozen=True)
class MembersConfig:
    """Which networks the detector is the mean of."""

    seeds: tuple[int, ...] = (1,)
    """One network each (per fold): a seed draws weights, batches and damage. The first one draws everything else."""

    def __post_init__(self) -> None:
        """Raise `UsageError` without a seed, for a negative one, and for one given twice."""
        if not self.seeds or min(self.seeds) < 0 or len(set(self.seeds)) < len(self.seeds):
            raise UsageError(f"seeds is {list(self.seeds)}; give different whole numbers from 0, one at least")


@dataclass(frozen=True)
class EarlyStopConfig:
    """What is held out of training to tell when to stop."""

    share: float = 0.1
    """Share of the generator families, and of the genuine speakers, of each training set; whole ones, drawn by seed.
    0: none, and the last epoch is kept."""

    def __post_init__(self) -> None:
        """Raise `UsageError` for a share out of range."""
        if not 0.0 <= self.share <= 0.5:
            raise UsageError(f"share is {self.share:g}; give a share from 0 to 0.5")


@dataclass(frozen=True)
class ValidationConfig:
    """How it is measured, and what is shipped."""

    mode: Validation = "folds"
    """folds: a model per fold, figures of the clips that it never heard, and the mean of these models is shipped.
    final: the same figures, and the mean of models of all clips is shipped. none: models of all clips, without figures
    or calibration."""
    utterances_apart: bool = True
    """Leave out of a fold's training every clip that holds an utterance of that fold: the original of a vocoder's copy,
    the same sentence in another voice. Otherwise the figures are in part memory of the sentences."""


@dataclass(frozen=True)
class AboutConfig:
    """What the card says in words."""

    version: str = __version__
    """Of the model; scores of another version are not comparable."""
    summary: str = ""
    licence: str = "not stated"
    not_for: tuple[str, ...] = ()
    """What the detector must not be used for."""
    limits: tuple[str, ...] = ()
