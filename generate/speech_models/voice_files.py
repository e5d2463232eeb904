"""Speaker embeddings that the user puts beside a checkpoint: `voices/NAME.npy`, one vector each."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...core.errors import IntegrityError, ModelMissing
from ...core.records import Float32Array

if TYPE_CHECKING:
    import numpy.typing as npt

FOLDER_NAME = "voices"


@dataclass(frozen=True)
class SpeakerVector:
    """What a model is told of a voice: float32 (size,), and the hash of its file."""

    values: Float32Array = field(compare=False, repr=False)
    sha256: str


def read_speakers(checkpoint: Path, size: int) -> Mapping[str, SpeakerVector]:
    """All voices of the folder by name, sorted. Raises `ModelMissing` without any, `IntegrityError` for a bad file."""
    paths = sorted((checkpoint / FOLDER_NAME).glob("*.npy"))
    if not paths:
        raise ModelMissing(
            f"{checkpoint}: speaks in the voice of a speaker embedding, and has none; put one or more as "
            f"{FOLDER_NAME}/NAME.npy into it, {size} numbers each"
        )
    return {path.stem: _read_speaker(path, size) for path in paths}


def read_array(path: Path) -> "npt.NDArray[np.generic]":
    """An array of a .npy file, without pickles. Raises `IntegrityError`."""
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise IntegrityError(f"{path}: no array that can be read ({error}); get the voice again") from error


def _read_speaker(path: Path, size: int) -> SpeakerVector:
    values = read_array(path)
    if values.size != size or values.dtype.kind != "f" or not np.isfinite(values).all() or not values.any():
        raise IntegrityError(
            f"{path}: {values.dtype} of shape {values.shape}, no speaker embedding of {size} finite numbers; "
            "give one that was made for this model"
        )
    return SpeakerVector(values.reshape(size).astype(np.float32), hashlib.sha256(path.read_bytes()).hexdigest())
