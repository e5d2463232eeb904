"""A trained network as a method of copy-synthesis."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ....core.cliprecord import Settings, SpeechKind
from ....core.errors import IntegrityError, UsageError
from ....core.jsonrecord import from_json
from ....core.modelcard import ModelFolder, open_model
from ....core.rates import DETECTOR_RATE_HZ
from ....core.records import Float32Array
from .levels import LEVEL_RMS
from .network import NETWORKS, CopierNetwork

WEIGHTS = "copier.safetensors"
_SEEDS = 2**62
_PIECE_SAMPLES = 30 * DETECTOR_RATE_HZ
"""Longer clips are copied in such pieces, which bounds memory."""
_FADE_SAMPLES = DETECTOR_RATE_HZ // 50
"""How far neighbouring pieces overlap."""
_HASH_LENGTH = 6


class NeuralCopy:
    """A `CopyMethod`: the network of a model folder that `dataset train-copier` made."""

    def __init__(self, network: CopierNetwork, model: ModelFolder) -> None:
        """`network` with the weights of `model`; see `open`."""
        self._network = network.eval()
        self.kind: SpeechKind = network.kind
        self.family = network.family
        self.model_sha256: str | None = model.model_sha256
        self.name = f"{model.card['id']}-{model.model_sha256[:_HASH_LENGTH]}"
        """Two trainings give two generators, so the weights are part of the name."""
        self.settings: Settings = (("model", model.id), ("level_rms", LEVEL_RMS))

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read and check a model folder. Raises `ModelMissing`, `IntegrityError`, or `UsageError` for another model."""
        from safetensors import SafetensorError
        from safetensors.torch import load

        model = open_model(folder)
        kind, name = model.part
        if kind != "copier":
            raise UsageError(
                f"{folder}: a model of the {kind} {name}; to copy speech, give a folder made by `dataset train-copier`"
            )
        try:
            network = network_of(name, model.card["shape"])
            network.load_state_dict(load(model.read_bytes(WEIGHTS)))
        except (KeyError, ValueError, RuntimeError, UsageError, SafetensorError) as error:
            raise IntegrityError(
                f"{folder}: card and weights do not fit this version of the network {name} ({error}); train it again"
            ) from error
        return cls(network, model)

    def copy(self, samples: Float32Array, rng: np.random.Generator) -> Float32Array:
        """As `CopyMethod.copy`; `rng` draws what the network leaves to chance."""
        seed = int(rng.integers(_SEEDS))
        return copy_of(self._network, samples, seed)


def network_of(name: str, shape: object) -> CopierNetwork:
    """An untrained network from its name and its shape as JSON. Raises `UsageError` or `ValueError`."""
    network_class = NETWORKS.get(name)
    with torch.random.fork_rng(devices=[]):  # the weights are overwritten: nothing is drawn on anyone's account
        return network_class(from_json(network_class.shape_type, shape))


def shape_of(network: CopierNetwork) -> dict[str, object]:
    """The shape as JSON has it."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in dataclasses.asdict(network.shape).items()
    }


def copy_of(network: CopierNetwork, samples: Float32Array, seed: int) -> Float32Array:
    """Samples (n,) through a network, at their own level; silence stays silent."""
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0
    if not rms:
        return np.zeros_like(samples)
    sound = torch.from_numpy(samples * np.float32(LEVEL_RMS / rms))
    made = torch.zeros(len(samples))
    with torch.inference_mode():
        for start, piece in _pieces(sound):
            # every piece from the same seed: what is drawn for a clip, such as its bit rate, holds for all of it
            copied = network.copy(piece[None], torch.Generator().manual_seed(seed))[0]
            _fade_in(made, copied, start)
    return np.asarray(made.numpy() * (rms / LEVEL_RMS), np.float32)


def _pieces(sound: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Where each piece starts, and the piece; the last one is not left with a rest of a few samples."""
    start = 0
    while len(sound) - start > 2 * _PIECE_SAMPLES:
        yield start, sound[start : start + _PIECE_SAMPLES + _FADE_SAMPLES]
        start += _PIECE_SAMPLES
    yield start, sound[start:]


def _fade_in(made: Tensor, piece: Tensor, start: int) -> None:
    """Lay a piece onto what is there, fading from the end of the earlier one."""
    if start:
        rise = torch.linspace(0, 1, _FADE_SAMPLES)
        ahead = slice(start, start + _FADE_SAMPLES)
        made[ahead] = (1 - rise) * made[ahead] + rise * piece[:_FADE_SAMPLES]
        start, piece = start + _FADE_SAMPLES, piece[_FADE_SAMPLES:]
    made[start : start + len(piece)] = piece
