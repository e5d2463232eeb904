"""The recoverer folder and the recoverer in it, for any token model with a decoder.

A folder holds `card.json` (part "recoverer", network "frames"), `recoverer.safetensors`, `mark_table.json` and
`SHA256SUMS`. Its card names the generator whose tokens it reads, by id and by the hash of its weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ...core.errors import IntegrityError
from ...core.jsonrecord import from_json
from ...core.modelcard import ModelFolder, open_model
from ...core.records import Audio, Posteriors
from ..pocket.cell_reader import CellReader
from .network import RecovererShape

if TYPE_CHECKING:
    from torch import Tensor

    from ..pocket.recoverer_network import RecovererNetwork

FRAMES = "frames"
"""The name of this kind of recoverer in a card."""
WEIGHTS = "recoverer.safetensors"
_NETWORK = "recoverer."
_LOGIT_SCALE = "posteriors.logit_scale"


@dataclass(frozen=True)
class ForModel:
    """The generator that a recoverer was trained on."""

    id: str
    model_sha256: str


class FrameRecoverer:
    """A `TokenRecoverer`: 50 rows of calibrated posteriors per second, and an estimate of each token's surprisal."""

    def __init__(self, model: ModelFolder, *, device: str = "cpu") -> None:
        """`device` is torch's name of where the network runs.

        Raises `IntegrityError` for a folder of another kind, a card without its sizes, or other weights.
        """
        model.check_part("recoverer", FRAMES)
        self.model = model
        self.shape = _shape_of(model)
        self.codebook_size = self.shape.codes
        self.for_model = _for_model(model)
        tensors = _tensors(model)
        network = self.shape.network()
        _fill(network, tensors, model)
        self._reader = CellReader(network, self.codebook_size, _logit_scale(tensors, model), device)

    @classmethod
    def load(cls, folder: Path, *, device: str = "cpu") -> Self:
        """Read a recoverer folder. Raises `ModelMissing` or `IntegrityError`."""
        return cls(open_model(folder), device=device)

    def recover(self, audio: Audio, *, speed: float = 1.0) -> Posteriors:
        """One row per 20 ms of sound that is first slowed down by `speed` (1.05: it was played 5 % too fast)."""
        return self._reader.read(audio, speed)


def weights_of(network: "RecovererNetwork", logit_scale: float) -> "dict[str, Tensor]":
    """What `recoverer.safetensors` holds: the network in half precision and the scale that calibrates it."""
    import torch

    state = {f"{_NETWORK}{name}": value.half().cpu().contiguous() for name, value in network.state_dict().items()}
    return {**state, _LOGIT_SCALE: torch.tensor(logit_scale)}


def _shape_of(model: ModelFolder) -> RecovererShape:
    try:
        shape = RecovererShape.from_card(model.card.get("settings"))
    except ValueError as error:
        raise IntegrityError(f"{model.path}: card.json: settings: {error}; train the recoverer again") from error
    if model.card.get("codebook_size") != shape.codes:
        raise IntegrityError(f"{model.path}: card.json: codebook_size and settings differ; train the recoverer again")
    return shape


def _for_model(model: ModelFolder) -> ForModel:
    try:
        return from_json(ForModel, model.card.get("for_model"))
    except ValueError as error:
        raise IntegrityError(f"{model.path}: card.json: for_model: {error}; train the recoverer again") from error


def _tensors(model: ModelFolder) -> "Mapping[str, Tensor]":
    from safetensors import SafetensorError
    from safetensors.torch import load

    name = str(model.card["weights"])
    try:
        tensors: dict[str, Tensor] = load(model.read_bytes(name))
    except SafetensorError as error:
        raise IntegrityError(f"{model.path / name}: not a safetensors file ({error}); install it again") from error
    for key, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise IntegrityError(f"{model.path / name}: {key} holds what is no number; train the recoverer again")
    return {key: tensor.float() for key, tensor in tensors.items()}


def _fill(network: "RecovererNetwork", tensors: "Mapping[str, Tensor]", model: ModelFolder) -> None:
    state = {name.removeprefix(_NETWORK): value for name, value in tensors.items() if name.startswith(_NETWORK)}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise IntegrityError(
            f"{model.path / WEIGHTS}: not weights of the sizes in card.json ({reason}); train the recoverer again"
        ) from error


def _logit_scale(tensors: "Mapping[str, Tensor]", model: ModelFolder) -> float:
    scale = tensors.get(_LOGIT_SCALE)
    if scale is None or scale.shape != () or not 0 < float(scale) < 1e3:
        raise IntegrityError(f"{model.path / WEIGHTS}: holds no {_LOGIT_SCALE} above 0; train the recoverer again")
    return float(scale)
