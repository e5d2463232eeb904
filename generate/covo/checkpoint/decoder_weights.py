"""The decoder's weights: `token2wav/model.pt` as it is downloaded, made into one safetensors file that we keep.

The official loader drops what it does not know without a word. Here every tensor is accounted for: only those of
the side of the vocoder that turns sound into latents, which was not released as code, may be left out, and each
import says which they were.
"""

import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from ....core.errors import IntegrityError, ModelMissing
from ..config import DecoderConfig
from .expected_keys import Shapes, check_shapes, decoder_keys, named

LATENT_MEAN, LATENT_VARIANCE = "latent.mean", "latent.variance"
_ENCODER_SIDE = re.compile(r"wavegan\.(enc|flow|down)\w*\.")
"""What the decoder's configuration names of the unreleased side: an encoder that goes down in rate, and a flow."""


def kept_keys(config: DecoderConfig) -> Shapes:
    """Tensors of our safetensors file: those of the decoder, and mean and variance (z,) of the latents."""
    width = (config.flow.latent_width,)
    return decoder_keys(config) | {LATENT_MEAN: width, LATENT_VARIANCE: width}


@dataclass(frozen=True)
class DecoderWeights:
    """The decoder's tensors in float32, by their official names, and the names of what was left out."""

    tensors: Mapping[str, Tensor]
    left_out: tuple[str, ...]

    def save(self, path: Path) -> None:
        """Write the tensors; the same ones always give the same bytes."""
        path.write_bytes(save({name: tensor.to(torch.float32).contiguous() for name, tensor in self.tensors.items()}))


def read_decoder_weights(
    weights: Path, statistics: Path, config: DecoderConfig, leave_out: Sequence[str] = ()
) -> DecoderWeights:
    """Read and check `model.pt` and the statistics of the latents.

    `leave_out` are further beginnings of names that the user knows the decoder does not need. Raises
    `IntegrityError` that names each tensor that is missing, unexpected, of another shape or not of numbers.
    """
    tensors = _read_state(weights)
    expected = decoder_keys(config)
    unknown = [name for name in tensors if name not in expected]
    left_out = [name for name in unknown if _ENCODER_SIDE.match(name) or name.startswith(tuple(leave_out))]
    refused = set(unknown) - set(left_out)
    kept = {name: tensor for name, tensor in tensors.items() if name in expected or name in refused}
    try:
        check_shapes(expected, {name: tuple(tensor.shape) for name, tensor in kept.items()}, str(weights))
    except IntegrityError as error:
        if not refused:
            raise
        hint = "what is unexpected, and known to be needless for decoding, can be named with --leave-out"
        raise IntegrityError(f"{error.message}; {hint}") from error
    for name, tensor in kept.items():
        if not tensor.is_floating_point() or not tensor.isfinite().all():
            raise IntegrityError(f"{weights}: {name} holds what is no finite number; download this file again")
    mean, variance = read_statistics(statistics, config.flow.latent_width)
    return DecoderWeights(kept | {LATENT_MEAN: mean, LATENT_VARIANCE: variance}, tuple(left_out))


def _read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of `torch.save`: alone or under "model", with or without "module." before each name."""
    if not path.is_file():
        raise ModelMissing(f"{path}: missing; give the whole folder of a Covo-Audio checkpoint")
    try:
        # the old form of the file, before torch wrote zip archives, cannot be mapped
        content = torch.load(path, weights_only=True, map_location="cpu", mmap=zipfile.is_zipfile(path))
    except Exception as error:  # a damaged pickle raises what it likes
        raise IntegrityError(
            f"{path}: damaged, cut off, or not a file of tensors alone ({type(error).__name__}: what it holds "
            "beside tensors is never run); download this file again"
        ) from error
    state = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not state:
        raise IntegrityError(f"{path}: not a collection of tensors by name; use the official token2wav/model.pt")
    strange = [str(name) for name, value in state.items() if not _is_plain(name, value)]
    if strange:
        raise IntegrityError(f"{path}: no plain tensors: {named(strange)}; use the official token2wav/model.pt")
    tensors = {name.removeprefix("module."): value for name, value in state.items()}
    if len(tensors) != len(state):
        raise IntegrityError(f"{path}: names a tensor both with and without 'module.'; download this file again")
    return tensors


def _is_plain(name: object, value: object) -> bool:
    return isinstance(name, str) and isinstance(value, Tensor) and value.layout == torch.strided and not value.is_meta


def read_statistics(path: Path, latent_width: int) -> tuple[Tensor, Tensor]:
    """Mean and variance of the latents, float32 (z,) each, from a file of (2, z).

    Raises `ModelMissing`, and `IntegrityError` for another shape or numbers that cannot be.
    """
    values = read_array(path)
    if values.shape != (2, latent_width) or values.dtype.kind != "f":
        raise IntegrityError(
            f"{path}: {list(values.shape)} {values.dtype}, not {[2, latent_width]} floating point numbers (mean and "
            "variance of the latents); download this file again"
        )
    if not np.isfinite(values).all() or not (values[1] > 0).all():
        raise IntegrityError(f"{path}: holds a variance or mean that cannot be; download this file again")
    mean, variance = torch.from_numpy(values.astype(np.float32))
    return mean, variance


def read_array(path: Path) -> np.ndarray:
    """An .npy file of plain numbers. Raises `ModelMissing` or `IntegrityError`."""
    try:
        values = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise ModelMissing(f"{path}: missing; give the whole folder of a Covo-Audio checkpoint") from error
    except (OSError, ValueError, EOFError) as error:
        raise IntegrityError(f"{path}: damaged, or no .npy file of numbers ({error}); download it again") from error
    if not isinstance(values, np.ndarray):
        values.close()
        raise IntegrityError(f"{path}: an archive, not one array; give the .npy file")
    return values
