"""The installed models: their cards, whether they are whole, and the scorer that a command asks for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from .. import generate
from ..core.errors import CovoguardError, IntegrityError, UsageError
from ..core.modelcard import ModelFolder, PartKind, open_model
from ..core.protocols import Scorer
from ..detect.registry import SCORERS
from ..detect.scoring import bundled_folder
from ..generate.registry import GENERATORS
from ..reports.copier_card import render_copier_card
from ..reports.fusion_card import render_fusion_card
from ..reports.generator_card import render_generator_card
from ..reports.model_card import render_model_card
from ..reports.recoverer_card import render_recoverer_card
from ..reports.released_card import render_released_card

DEFAULT_DETECTOR = "logband-resnet"

_PAGES: Mapping[PartKind, Callable[[Mapping[str, Any], str], str]] = {
    "detector": render_model_card,
    "generator": render_generator_card,
    "recoverer": render_recoverer_card,
    "copier": render_copier_card,
}
_SPECIAL_PAGES: Mapping[str, Callable[[Mapping[str, Any], str], str]] = {
    "released": render_released_card,
    "members": render_fusion_card,
}
"""By the key that only such cards have."""
_Bundled = tuple[PartKind, str, Path]
"""Kind, name and folder of a model that comes with the package."""


@dataclass(frozen=True)
class InstalledModel:
    """A bundled model as it lies on disk: checked, or with what is wrong with it."""

    kind: PartKind
    name: str
    """Of the detector or generator, as registered."""
    path: Path
    model: ModelFolder | None
    problem: str | None

    @property
    def card(self) -> Mapping[str, Any]:
        """The model card; empty when the folder was refused."""
        return self.model.card if self.model else {}


def load_scorer(detector: str | None, folder: Path | None) -> Scorer:
    """The scorer called `detector` with the model in `folder`; None each: the default, the bundled model.

    With a folder alone, its card names the detector. Raises `UsageError` for an unknown detector or a model
    that belongs to another one or to a generator, `ModelMissing` and `IntegrityError` for a folder that is not whole.
    """
    if folder is not None:
        kind, made_for = open_model(folder).part
        if kind != "detector":
            raise UsageError(f"{folder}: a model of the {kind} {made_for}; to scan, give the folder of a detector")
        if detector not in (None, made_for):
            raise UsageError(f"{folder}: this model is for {made_for}, not {detector}; leave --detector out")
        detector = made_for
    scorer_class = SCORERS.get(detector or DEFAULT_DETECTOR)
    if scorer_class.how_to_get is not None:
        import torch

        torch.set_num_threads(1)  # --jobs is the parallelism, and the bits of a score must not depend on the machine
    return scorer_class.load(folder)


def installed_models() -> list[InstalledModel]:
    """The bundled model of every detector, the default first, then that of every generator, each one checked."""
    return [_installed(*each) for each in _bundled()]


@dataclass(frozen=True)
class ModelToGet:
    """A detector or generator whose model does not come with the package, and what to do to have one."""

    kind: PartKind
    name: str
    how_to_get: str


def models_to_get() -> list[ModelToGet]:
    """The detectors, then the generators, that have no bundled model."""
    ways: list[tuple[PartKind, str, str | None]] = [
        *(("detector", name, SCORERS.get(name).how_to_get) for name in SCORERS.names()),
        *(("generator", name, GENERATORS.get(name).how_to_get) for name in GENERATORS.names()),
    ]
    return [ModelToGet(kind, name, way) for kind, name, way in ways if way is not None]


def model_page(name: str | None, folder: Path | None) -> str:
    """The card of the model in `folder`, or of the bundled model of detector or generator `name`, as Markdown.

    With neither, that of the default detector. Raises `UsageError` for a name that is unknown or not that of the
    model in `folder`, `ModelMissing` and `IntegrityError` for a folder that is not whole.
    """
    if folder is None:
        return _page(_open_bundled(*_find_bundled(name or DEFAULT_DETECTOR)))
    model = open_model(folder)
    kind, made_for = model.part
    if name not in (None, made_for):
        raise UsageError(f"{folder}: a model of the {kind} {made_for}, not of {name}; leave {name} out")
    return _page(model)


def _page(model: ModelFolder) -> str:
    kind, _ = model.part
    try:
        special = [page for key, page in _SPECIAL_PAGES.items() if key in model.card]
        render = special[0] if special else _PAGES[kind]
        return render(model.card, model.model_sha256)
    except KeyError as error:
        raise IntegrityError(f"{model.path}: the card does not say {error}; a page needs it") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise IntegrityError(f"{model.path}: the card is not in the form that a page needs ({error})") from error


def _bundled() -> list[_Bundled]:
    """Detectors, the default first, then generators; a generator keeps its model in its own package."""
    detectors = sorted(SCORERS.names(), key=lambda name: (name != DEFAULT_DETECTOR, name))
    generators = Path(str(files(generate)))
    return [
        *(("detector", name, bundled_folder(name)) for name in detectors if SCORERS.get(name).how_to_get is None),
        *(
            ("generator", name, generators / name / "model")
            for name in GENERATORS.names()
            if GENERATORS.get(name).how_to_get is None
        ),
    ]


def _find_bundled(name: str) -> _Bundled:
    bundled = {each[1]: each for each in _bundled()}
    for other in models_to_get():
        if name == other.name:
            raise UsageError(f"no model of {name} comes with covoguard; {other.how_to_get}; show it with --model")
    if name not in bundled:
        raise UsageError(f"there is no detector or generator {name!r}; known: {', '.join(bundled)}")
    return bundled[name]


def _open_bundled(kind: PartKind, name: str, path: Path) -> ModelFolder:
    model = open_model(path)
    model.check_part(kind, name)
    return model


def _installed(kind: PartKind, name: str, path: Path) -> InstalledModel:
    try:
        return InstalledModel(kind, name, path, _open_bundled(kind, name, path), None)
    except CovoguardError as error:
        return InstalledModel(kind, name, path, None, error.message)
