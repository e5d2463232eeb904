"""How each detector is trained and saved, behind one small interface that `pipeline/train.py` drives."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load, save_file

from ..core.modelcard import ModelFolder
from ..core.progress import Progress
from ..core.records import Float32Array
from .examples import Example
from .frontend import LogBands
from .gmm import COMPONENTS, MixturePair, fit_pair, save_pairs
from .lfcc import lfcc
from .network import Detector, LogBandResNet
from .train import TrainingRecipe, train_network

M = TypeVar("M")
GRAPH_NAME = "model.onnx"
STATE_NAME = "model.safetensors"

Features = npt.NDArray[np.float16]


class Trainer(Protocol, Generic[M]):
    """Trains one kind of detector."""

    def features(self, samples: Float32Array) -> Features:
        """16 kHz samples to what `fit` and `score` take."""
        ...

    def fit(self, examples: Sequence[Example], *, seed: int, progress: Progress) -> M:
        """Train one model."""
        ...

    def score(self, model: M, features: Features) -> float:
        """Score one clip as the saved detector would score it as one window."""
        ...

    def save(self, models: Sequence[M], folder: Path) -> str:
        """Write the mean of `models` as a detector; -> name of the weights file."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """The recipe, for the model's card."""
        ...


class NetworkTrainer(Trainer[LogBandResNet]):
    """Trains `logband-resnet`; saved as one ONNX graph with the front end inside."""

    def __init__(self, recipe: TrainingRecipe | None = None) -> None:
        """Train by `recipe`, or by the default one."""
        self._recipe = recipe or TrainingRecipe()
        self._frontend = LogBands()

    @torch.no_grad()
    def features(self, samples: Float32Array) -> Features:
        """Log band powers (80, frames), mean spectrum left in."""
        return self._frontend.log_power(torch.from_numpy(samples)[None])[0].numpy().astype(np.float16)

    def fit(self, examples: Sequence[Example], *, seed: int, progress: Progress) -> LogBandResNet:
        """Train one network."""
        return train_network(examples, self._recipe, seed=seed, progress=progress)

    @torch.no_grad()
    def score(self, model: LogBandResNet, features: Features) -> float:
        """Logit of the whole clip."""
        bands = torch.from_numpy(features.astype(np.float32))[None]
        return float(model(bands - bands.mean(dim=2, keepdim=True))[0])

    def save(self, models: Sequence[LogBandResNet], folder: Path) -> str:
        """Export front end and networks as one graph; their weights lie beside it for whoever trains on."""
        detector = Detector(list(models))
        export_onnx(detector, folder / GRAPH_NAME)
        save_file({name: value.contiguous() for name, value in detector.state_dict().items()}, folder / STATE_NAME)
        return GRAPH_NAME

    def describe(self) -> Mapping[str, Any]:
        """Every number of the recipe."""
        return asdict(self._recipe)


class MixtureTrainer(Trainer[MixturePair]):
    """Trains `lfcc-gmm`."""

    def features(self, samples: Float32Array) -> Features:
        """LFCC with differences (frames, 60)."""
        return lfcc(samples).astype(np.float16)

    def fit(self, examples: Sequence[Example], *, seed: int, progress: Progress) -> MixturePair:
        """Fit both mixtures."""
        return fit_pair(examples, seed=seed)

    def score(self, model: MixturePair, features: Features) -> float:
        """Mean log likelihood ratio of the clip's frames."""
        return model.score(features.astype(np.float64))

    def save(self, models: Sequence[MixturePair], folder: Path) -> str:
        """Write all mixtures as safetensors."""
        return save_pairs(models, folder)

    def describe(self) -> Mapping[str, Any]:
        """The size of the mixtures."""
        return {"components": COMPONENTS, "covariance": "diagonal"}


TRAINERS: Mapping[str, type[Trainer[Any]]] = {"logband-resnet": NetworkTrainer, "lfcc-gmm": MixtureTrainer}


def load_detector(model: ModelFolder) -> Detector:
    """The torch twin of an exported detector, in evaluation mode."""
    state = load(model.read_bytes(STATE_NAME))
    count = 1 + max(int(name.split(".")[1]) for name in state)
    detector = Detector([LogBandResNet() for _ in range(count)])
    detector.load_state_dict(state)
    return detector.eval()


def export_onnx(detector: Detector, path: Path) -> None:
    """Write `detector` as an ONNX graph: input `samples` (1, n) at 16 kHz, output `score` (1,)."""
    example = torch.zeros(1, 64_000)
    with warnings.catch_warnings():
        # The tracing exporter is deprecated, but the newer one needs onnxscript; torch is pinned to one minor version.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            detector.eval(),
            (example,),
            path,
            input_names=["samples"],
            output_names=["score"],
            dynamic_axes={"samples": {1: "n"}},
            opset_version=17,
            dynamo=False,
        )
