"""The whole configuration of `covoguard train`: read from a TOML file and checked before any work."""

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import UsageError
from ..datasets.degrade.chain import ChainRecipe
from ..datasets.sampling import SamplingRecipe
from ..detect.training.recipe import TrainingRecipe
from .record_toml import TomlTable, example_of, names_of
from .training_tables import (
    MIXTURES,
    SSL,
    AboutConfig,
    AugmentationConfig,
    CopySynthesisConfig,
    DataConfig,
    DetectorConfig,
    EarlyStopConfig,
    MembersConfig,
    SamplingConfig,
    ValidationConfig,
)

_MAX_BYTES = 1 << 20
_HEAD = """\
# Training of a detector: covoguard train CONFIG.toml -o FOLDER
# Everything but [data] may be left out; what stands here are the defaults. Paths are relative to this file."""


@dataclass(frozen=True)
class TrainingConfig:
    """A whole configuration."""

    data: DataConfig
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    chain: ChainRecipe = field(default_factory=ChainRecipe)
    copy_synthesis: CopySynthesisConfig = field(default_factory=CopySynthesisConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    members: MembersConfig = field(default_factory=MembersConfig)
    recipe: TrainingRecipe = field(default_factory=TrainingRecipe)
    early_stop: EarlyStopConfig = field(default_factory=EarlyStopConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    about: AboutConfig = field(default_factory=AboutConfig)

    def __post_init__(self) -> None:
        """Raise `UsageError` for tables that contradict each other."""
        if self.detector.kind == SSL and (self.validation.mode == "folds" or len(self.members.seeds) > 1):
            raise UsageError(
                "an ssl detector is one network, too large for a mean of several; give [validation] mode final or "
                "none, and one of [training] seeds"
            )
        if self.recipe.pair_weight and not self.copy_synthesis.share:
            raise UsageError("[training] pair_weight needs pairs; give [copy_synthesis] a share")

    @property
    def seed(self) -> int:
        """What draws everything that members share."""
        return self.members.seeds[0]

    def sampling_recipe(self) -> SamplingRecipe:
        """What the sampler is told."""
        sampling = self.sampling
        return SamplingRecipe(
            sampling.family_exponent, sampling.source_exponent, sampling.source_matched, self.copy_synthesis.share
        )

    def identity(self) -> dict[str, Any]:
        """All that decides the trained networks, as JSON values, but the content of the files in [data]."""
        names = [each.name for each in dataclasses.fields(self) if each.name not in _WITHOUT_EFFECT_ON_NETWORKS]
        records = {name: getattr(self, name) for name in names}
        return {
            name: record.identity() if isinstance(record, TrainingRecipe) else _plain(dataclasses.asdict(record))
            for name, record in records.items()
        }


_TABLES: Mapping[str, tuple[str, ...]] = {
    "data": ("data",),
    "detector": ("detector",),
    "augmentation": ("augmentation", "chain"),
    "copy_synthesis": ("copy_synthesis",),
    "sampling": ("sampling",),
    "training": ("members", "recipe"),
    "early_stop": ("early_stop",),
    "validation": ("validation",),
    "about": ("about",),
}
"""Names of the file's tables, and of the fields of `TrainingConfig` that each one fills."""
_WITHOUT_EFFECT_ON_NETWORKS = ("data", "validation", "about")
_OF_NETWORKS = ("copy_synthesis", "sampling", "early_stop")
"""Tables that the mixtures have no use for."""


def read_training_config(path: Path) -> TrainingConfig:
    """Read a configuration; paths in it are relative to its folder.

    Raises `UsageError` that names file, table and key for whatever is unknown, missing, of the wrong type or out of
    range.
    """
    content = _parsed(path)
    unknown = sorted(set(content) - set(_TABLES))
    if unknown:
        raise UsageError(f"{path}: has the unknown table or key {unknown[0]!r}; allowed are {', '.join(_TABLES)}")
    types = {each.name: each.type for each in dataclasses.fields(TrainingConfig)}
    given: dict[str, Any] = {}
    for name, parts in _TABLES.items():
        if name in content or name == "data":
            records = [_record(types[part]) for part in parts]
            given |= dict(zip(parts, TomlTable(path, name, content.get(name, {})).read(*records), strict=True))
    try:
        config = TrainingConfig(**given)
    except UsageError as error:
        raise UsageError(f"{path}: {error.message}") from error
    if config.detector.kind == MIXTURES:
        _check_mixtures(path, content, config)
    return config


def example_config() -> str:
    """A configuration with every key, its default and what it means."""
    config = TrainingConfig(DataConfig(Path("corpus/manifest.csv")))
    tables = []
    for name, parts in _TABLES.items():
        records = [getattr(config, part) for part in parts]
        tables.append(example_of(name, str(type(records[0]).__doc__), *records))
    return "\n".join([f"{_HEAD}\n", *tables])


def _record(kind: Any) -> type[Any]:
    if not isinstance(kind, type):
        raise TypeError(f"{kind} is no record")
    return kind


def _check_mixtures(path: Path, content: Mapping[str, Any], config: TrainingConfig) -> None:
    """Refuse what would have no effect on the mixtures."""
    for name in _OF_NETWORKS:
        if name in content:
            raise UsageError(f"{path}: [{name}] has no effect on {MIXTURES}; leave it out")
    if "training" in content:
        TomlTable(path, "training", content["training"]).check_keys(names_of(MembersConfig), f"{MIXTURES} has only")
    if len(config.members.seeds) > 1:
        raise UsageError(f"{path}: [training] seeds has several, and {MIXTURES} is trained with one; give one")
    if not config.augmentation.copies:
        raise UsageError(
            f"{path}: [augmentation] copies is 0, but {MIXTURES} hears copies that are made once; give some"
        )


def _parsed(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path}: the configuration cannot be read ({reason}); check the path") from error
    if len(content) > _MAX_BYTES:
        raise UsageError(f"{path}: larger than {_MAX_BYTES} bytes, so no configuration; check the path")
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: not a TOML file ({error}); correct it, or see covoguard train --example") from error


def _plain(table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain_value(value) for name, value in table.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain_value(each) for each in value]
    return str(value) if isinstance(value, Path) else value
