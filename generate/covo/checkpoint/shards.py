"""The safetensors files of a checkpoint: found, compared with the expected tensors, and loaded one after the other."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ....core.errors import IntegrityError, ModelMissing
from ..json_fields import read_json
from .expected_keys import check_shapes, named

INDEX_NAME = "model.safetensors.index.json"
SINGLE_NAME = "model.safetensors"
_FLOATS = ("F32", "F16", "BF16")


def find_shards(folder: Path) -> tuple[Path, ...]:
    """The files that hold the language model, in the order of their names: those of the index, or the only one.

    Raises `ModelMissing` that names what is not there, `IntegrityError` for an index that cannot be.
    """
    index, single = folder / INDEX_NAME, folder / SINGLE_NAME
    if not index.is_file():
        if not single.is_file():
            raise ModelMissing(
                f"{folder}: holds neither {INDEX_NAME} nor {SINGLE_NAME}; give the folder of a Covo-Audio checkpoint"
            )
        return (single,)
    content = read_json(index)
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    listed = list(weight_map.values()) if isinstance(weight_map, dict) else []
    if not listed or not all(_is_file_name(name) for name in listed):
        raise IntegrityError(f"{index}: not an index of safetensors files; download it again")
    names = set(listed)
    missing = [name for name in sorted(names) if not (folder / name).is_file()]
    if missing:
        raise ModelMissing(
            f"{folder}: {len(missing)} of the {len(names)} files of the index missing: {named(missing)}; "
            "download them again"
        )
    return tuple(folder / name for name in sorted(names))


def _is_file_name(name: object) -> bool:
    """Of a file in the same folder: an index must not lead anywhere else."""
    return isinstance(name, str) and Path(name).name == name and name.endswith(".safetensors")


def check_tensor_files(paths: Sequence[Path], expected: Mapping[str, tuple[int, ...]], source: str) -> None:
    """Compare the headers of the files with `expected`. `source` is what they are together, for the message.

    Raises `IntegrityError` that names what is missing, unexpected, of another shape, no floating point number, or
    held twice, and the file that cannot be read.
    """
    found: dict[str, tuple[int, ...]] = {}
    for path in paths:
        with open_tensors(path) as file:
            for name in file.keys():  # noqa: SIM118  (no mapping: it has no other way to list its names)
                part = file.get_slice(name)
                if name in found:
                    raise IntegrityError(f"{path}: {name} is in another file too; download the checkpoint again")
                if part.get_dtype() not in _FLOATS:
                    kinds = ", ".join(_FLOATS)
                    raise IntegrityError(f"{path}: {name} is {part.get_dtype()}; only {kinds} are supported")
                found[name] = tuple(part.get_shape())
    check_shapes(expected, found, source)


def check_numbers(path: Path) -> None:
    """Raise `IntegrityError` that names the first tensor of a file that holds what is no number."""
    with open_tensors(path) as file:
        for name in file.keys():  # noqa: SIM118
            if not file.get_tensor(name).isfinite().all():
                raise IntegrityError(f"{path}: {name} holds what is no number; download this file again")


def load_tensors(
    module: nn.Module,
    paths: Sequence[Path],
    device: torch.device,
    dtype: torch.dtype,
    prefix: str = "",
) -> None:
    """Fill a module that was built on the meta device, one file at a time, each tensor put straight where it belongs.

    Of the tensors in the files those that begin with `prefix` are the module's. The files must have been compared with
    the expected tensors before; what is still without a value afterwards is refused.
    """
    for path in paths:
        with open_tensors(path) as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
            tensors = {name.removeprefix(prefix): file.get_tensor(name).to(device, dtype) for name in names}
        module.load_state_dict(tensors, strict=False, assign=True)
    empty = [name for name, value in module.state_dict().items() if value.is_meta]
    if empty:
        raise IntegrityError(f"{paths[0].parent}: no value for {named(empty)}; download the checkpoint again")


@contextmanager
def open_tensors(path: Path) -> Iterator[Any]:
    """A safetensors file, mapped into memory. Raises `ModelMissing` or `IntegrityError` for one that cannot be read."""
    try:
        file = safe_open(path, framework="pt")
    except FileNotFoundError as error:
        raise ModelMissing(f"{path}: missing; download the checkpoint again") from error
    except (SafetensorError, OSError) as error:
        raise IntegrityError(f"{path}: damaged, cut off or no safetensors file ({error}); download it again") from error
    with file as opened:
        yield opened


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a small file. Raises as `open_tensors`."""
    with open_tensors(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
