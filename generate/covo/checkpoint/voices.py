"""Voice prompts: the tokens, latents and speaker vector of a voice, as the user has them, and in one file of ours.

A folder `voices/NAME` in a checkpoint, or any folder that an import names, holds up to three .npy files, which are
told apart by what is in them and not by their names:

| part | numbers | shape |
|---|---|---|
| tokens | integer | (P,) or (1, P) |
| latents | floating point, normalised | (F, z) or (1, F, z) |
| speaker | floating point | (S,) or (1, S) |

F is `upsample_factor` P frames, and up to one token's more, which the sound then has fewer.

Tokens and latents belong together; one of both pairs, or the speaker vector, may be absent. No voice is bundled.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save

from ....core.errors import IntegrityError, ModelMissing, UsageError
from ..config import FlowShape
from .decoder_weights import read_array
from .shards import read_tensors

VoiceArrays = dict[str, npt.NDArray[Any]]
"""Of one voice: "tokens" int64 (P,), "latents" float32 (F, z), "speaker" float32 (S,), as far as there are any."""

VOICES_FOLDER = "voices"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def check_voice_name(name: str) -> str:
    """The name itself. Raises `UsageError` for one that cannot be part of a file name."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot be the name of a voice; use letters, digits, '-' and '_'")
    return name


def voice_folders(checkpoint: Path) -> dict[str, Path]:
    """Folders `voices/NAME` of a checkpoint, by name."""
    folder = checkpoint / VOICES_FOLDER
    if not folder.is_dir():
        return {}
    return {check_voice_name(path.name): path for path in sorted(folder.iterdir()) if path.is_dir()}


def read_voice(folder: Path, shape: FlowShape) -> VoiceArrays:
    """The prompt files of one voice. Raises `ModelMissing` or `IntegrityError` that names the file."""
    if not folder.is_dir():
        raise ModelMissing(f"{folder}: no folder; a voice prompt is a folder with up to three .npy files")
    voice: VoiceArrays = {}
    for path in sorted(folder.glob("*.npy")):
        part, values = _recognised(path, read_array(path), shape)
        if part in voice:
            raise IntegrityError(f"{path}: a second file of {part}; keep one voice per folder")
        voice[part] = values
    if not voice:
        raise ModelMissing(f"{folder}: holds no .npy file; a voice prompt is tokens with latents, a speaker, or both")
    _check_voice(voice, shape, folder)
    return voice


def save_voices(voices: Mapping[str, VoiceArrays], path: Path) -> None:
    """Write all voices to one safetensors file, each part as `NAME.part`."""
    parts = {f"{name}.{part}": values for name, voice in voices.items() for part, values in voice.items()}
    path.write_bytes(save({name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in parts.items()}))


def load_voices(path: Path, shape: FlowShape) -> dict[str, VoiceArrays]:
    """Read what `save_voices` wrote. Raises `ModelMissing` or `IntegrityError`."""
    voices: dict[str, VoiceArrays] = {}
    for name, tensor in read_tensors(path).items():
        voice, _, part = name.partition(".")
        voices.setdefault(voice, {})[part] = tensor.numpy()
    for name, arrays in voices.items():
        for part, values in arrays.items():
            if (part, values.ndim) not in {("tokens", 1), ("latents", 2), ("speaker", 1)}:
                raise IntegrityError(f"{path}: {name}.{part} is no part of a voice; import the checkpoint again")
        _check_voice(arrays, shape, path)
    return voices


def _recognised(path: Path, values: npt.NDArray[Any], shape: FlowShape) -> tuple[str, npt.NDArray[Any]]:
    """Which part of a voice an array is, and the array as we keep it."""
    if values.ndim > 1 and values.shape[0] == 1:
        values = values[0]
    if values.ndim == 1 and values.dtype.kind in "iu":
        return "tokens", values.astype(np.int64)
    if values.dtype.kind == "f" and values.shape == (shape.speaker_width,):
        return "speaker", values.astype(np.float32)
    if values.dtype.kind == "f" and values.ndim == 2 and values.shape[1] == shape.latent_width:
        return "latents", values.astype(np.float32)
    raise IntegrityError(
        f"{path}: {list(values.shape)} {values.dtype} is no part of a voice prompt; expected whole numbers (tokens), "
        f"or floating point numbers [frames, {shape.latent_width}] (latents) or [{shape.speaker_width}] (speaker)"
    )


def _check_voice(voice: VoiceArrays, shape: FlowShape, source: Path) -> None:
    if ("tokens" in voice) != ("latents" in voice):
        raise IntegrityError(f"{source}: a voice prompt needs tokens and latents, or neither; complete the folder")
    if any(not np.isfinite(values).all() for values in voice.values()):
        raise IntegrityError(f"{source}: a voice prompt holds what is no number; use an undamaged file")
    if "tokens" not in voice:
        return
    tokens, frames = voice["tokens"], len(voice["latents"])
    if not len(tokens) or tokens.min() < 0 or tokens.max() >= shape.token_vocab_size:
        raise IntegrityError(f"{source}: prompt tokens must be 0 to {shape.token_vocab_size - 1}, and at least one")
    fewest = shape.upsample_factor * len(tokens)
    if not fewest <= frames <= fewest + shape.upsample_factor:
        raise IntegrityError(
            f"{source}: {frames} frames of latents for {len(tokens)} prompt tokens; expected {fewest} to "
            f"{fewest + shape.upsample_factor}: use tokens and latents of the same recording"
        )
