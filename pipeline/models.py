"""The installed models: their cards, whether they are whole, and the scorer that a command asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import CovoguardError, IntegrityError, UsageError
from ..core.modelcard import ModelFolder, open_model
from ..core.protocols import Scorer
from ..detect.registry import SCORERS
from ..detect.scoring import bundled_folder
from ..reports.model_card import render_model_card

DEFAULT_DETECTOR = "logband-resnet"


@dataclass(frozen=True)
class InstalledModel:
    """A bundled model as it lies on disk: checked, or with what is wrong with it."""

    detector: str
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
    that belongs to another one, `ModelMissing` and `IntegrityError` for a folder that is not whole.
    """
    if folder is not None:
        made_for = str(open_model(folder).card["detector"])
        if detector not in (None, made_for):
            raise UsageError(f"{folder}: this model is for {made_for}, not {detector}; leave --detector out")
        detector = made_for
    return SCORERS.get(detector or DEFAULT_DETECTOR).load(folder)


def installed_models() -> list[InstalledModel]:
    """The bundled model of every detector, each checked against its checksums; the default first."""
    names = sorted(SCORERS.names(), key=lambda name: (name != DEFAULT_DETECTOR, name))
    return [_installed(name, bundled_folder(name)) for name in names]


def model_page(detector: str, folder: Path | None) -> str:
    """The card of the model in `folder`, or of the bundled model of `detector`, as Markdown.

    Raises `UsageError` for an unknown detector, `ModelMissing` and `IntegrityError` for a folder that is not whole.
    """
    if folder is None:
        SCORERS.get(detector)
        folder = bundled_folder(detector)
    model = open_model(folder)
    try:
        return render_model_card(model.card, model.model_sha256)
    except KeyError as error:
        raise IntegrityError(f"{folder}: the card does not say {error}; a page needs it") from error


def _installed(detector: str, path: Path) -> InstalledModel:
    try:
        return InstalledModel(detector, path, open_model(path), None)
    except CovoguardError as error:
        return InstalledModel(detector, path, None, error.message)
