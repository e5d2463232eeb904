"""The pocket model's folder: one file of half-precision weights for all three networks, beside card and tables."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ...core.errors import IntegrityError
from ...core.modelcard import ModelFolder, open_model

if TYPE_CHECKING:
    from torch import Tensor, nn

BUNDLED = Path(__file__).parent / "model"
WEIGHTS = "pocket.safetensors"
LETTERS = "letter_to_sound.safetensors"
MARK_TABLE = "mark_table.json"


@dataclass(frozen=True)
class PocketWeights:
    """The checked folder and its tensors in float32, named `part.parameter`."""

    folder: ModelFolder
    tensors: "dict[str, Tensor]"

    def part(self, name: str) -> "dict[str, Tensor]":
        """Tensors of one network: those under `name.`."""
        return {key[len(name) + 1 :]: value for key, value in self.tensors.items() if key.startswith(f"{name}.")}

    def fill(self, network: "nn.Module", name: str) -> None:
        """Load part `name` into `network`, strictly. Raises `IntegrityError` that names the first wrong tensor."""
        try:
            network.load_state_dict(self.part(name))
        except RuntimeError as error:
            reason = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
            raise IntegrityError(
                f"{self.folder.path / WEIGHTS}: not weights of the pocket {name} ({reason}); install the model again"
            ) from error
        network.eval()

    def tensor(self, name: str, shape: tuple[int, ...]) -> "Tensor":
        """One tensor by its full name. Raises `IntegrityError` when the file lacks it or holds another shape."""
        if name not in self.tensors:
            raise IntegrityError(f"{self.folder.path / WEIGHTS}: holds no {name}; install the model again")
        tensor = self.tensors[name]
        if tensor.shape != shape:
            found = tuple(tensor.shape)
            raise IntegrityError(
                f"{self.folder.path / WEIGHTS}: {name} has the shape {found}, not {shape}; install the model again"
            )
        return tensor


@lru_cache(maxsize=2)
def open_pocket(folder: Path | None = None) -> PocketWeights:
    """Read a pocket model folder (None: the bundled one); raises `ModelMissing` or `IntegrityError`."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    model = open_model(folder or BUNDLED)
    model.check_part("generator", "pocket")
    try:
        tensors = load(model.read_bytes(WEIGHTS))
    except SafetensorError as error:
        raise IntegrityError(f"{model.path / WEIGHTS}: not a safetensors file ({error}); install it again") from error
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise IntegrityError(f"{model.path / WEIGHTS}: {name} holds what is no number; install the model again")
    return PocketWeights(model, {name: tensor.float() for name, tensor in tensors.items()})
