"""Weights of a network as they come from elsewhere: read without running anything, loaded to the last tensor."""

import hashlib
import io
from collections.abc import Collection, Mapping
from typing import TypeVar

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

N = TypeVar("N", bound=nn.Module)
State = Mapping[str, Tensor]


class WeightsError(ValueError):
    """The bytes hold no weights, or not those of the network; the message says what is wrong, without the file."""


def parse_state(content: bytes, suffix: str) -> dict[str, Tensor]:
    """The tensors in the bytes of an .npz or .safetensors file, or of one that `torch.save` wrote (.pth, .pt).

    Raises `WeightsError`.
    """
    try:
        state = _parse(content, suffix.lower())
    except Exception as error:  # a damaged archive or pickle raises what it likes
        raise WeightsError(
            f"damaged, cut off, or not a file of tensors alone ({type(error).__name__}: {error})"
        ) from error
    if not isinstance(state, dict) or not state:
        raise WeightsError("not a collection of tensors by name")
    strange = [str(name) for name, value in state.items() if not (isinstance(name, str) and _is_plain(value))]
    if strange:
        raise WeightsError(f"not plain tensors by name: {', '.join(sorted(strange))}")
    return state


def load_strictly(network: N, state: State, unused: Collection[str] = ()) -> N:
    """Put `state` into `network`, which is returned ready to score; `unused` names may be there and are left out.

    Raises `WeightsError` that names every tensor that is missing, unexpected, of another shape, or not finite.
    """
    expected = network.state_dict()
    given = {name: tensor for name, tensor in state.items() if name not in unused}
    both = sorted(expected.keys() & given.keys())
    wrong = {
        "missing": sorted(expected.keys() - given.keys()),
        "unexpected": sorted(given.keys() - expected.keys()),
        "of another shape": [
            f"{name} {list(given[name].shape)} in place of {list(expected[name].shape)}"
            for name in both
            if given[name].shape != expected[name].shape
        ],
        "not finite": [name for name in both if not given[name].isfinite().all()],
    }
    if any(wrong.values()):
        raise WeightsError("; ".join(f"{what}: {', '.join(names)}" for what, names in wrong.items() if names))
    network.load_state_dict(given)
    return network.eval()


def to_safetensors(state: State) -> bytes:
    """The tensors as one safetensors file; the same ones give the same bytes."""
    return save({name: tensor.contiguous() for name, tensor in sorted(state.items())})


def digest(state: State) -> str:
    """Hex SHA-256 over names, types, shapes and values: the same whichever kind of file the weights came in."""
    total = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        values = tensor.contiguous().numpy()
        total.update(f"{name} {values.dtype.str} {list(values.shape)}\n".encode())
        total.update(values.tobytes())
    return total.hexdigest()


def _parse(content: bytes, suffix: str) -> object:
    if suffix == ".safetensors":
        return load(content)
    if suffix == ".npz":
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays}
    return torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")


def _is_plain(value: object) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided and not value.is_meta
