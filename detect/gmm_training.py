"""How the mixtures of `lfcc-gmm` are trained: EM on a class-balanced draw of frames."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.records import Float32Array
from .gmm import FloatArray, Mixture, MixturePair, save_pairs
from .lfcc import lfcc

COMPONENTS = 64
FRAMES_PER_CLASS = 200_000

Features = npt.NDArray[np.float16]


@dataclass(frozen=True)
class Example:
    """One clip of the training material."""

    spoof: bool
    copies: Sequence[Features] = field(repr=False, compare=False)
    """Features of the clip as it is and of its degraded copies."""


class MixtureTrainer:
    """Trains `lfcc-gmm`."""

    def features(self, samples: Float32Array) -> Features:
        """LFCC with differences (frames, 60), in half precision: those of all copies are in memory at once."""
        return lfcc(samples).astype(np.float16)

    def fit(self, examples: Sequence[Example], *, seed: int) -> MixturePair:
        """Fit both mixtures by EM (scikit-learn) on a class-balanced draw of frames from all copies."""
        rng = np.random.default_rng(seed)
        bonafide, spoof = (
            _fit_mixture(_draw_frames([e for e in examples if e.spoof == is_spoof], rng), seed)
            for is_spoof in (False, True)
        )
        return MixturePair(bonafide, spoof)

    def score(self, model: MixturePair, features: Features) -> float:
        """Mean log likelihood ratio of the clip's frames."""
        return model.score(features.astype(np.float64))

    def save(self, models: Sequence[MixturePair], folder: Path) -> str:
        """Write all mixtures as safetensors; -> the file's name."""
        return save_pairs(models, folder)

    def describe(self) -> Mapping[str, Any]:
        """The size of the mixtures, for the model's card."""
        return {"components": COMPONENTS, "covariance": "diagonal"}


def _fit_mixture(frames: FloatArray, seed: int) -> Mixture:
    from sklearn.mixture import GaussianMixture

    fitted = GaussianMixture(
        COMPONENTS, covariance_type="diag", reg_covar=1e-4, max_iter=50, tol=1e-2, random_state=seed
    ).fit(frames)
    return Mixture(fitted.weights_, fitted.means_, fitted.covariances_)


def _draw_frames(examples: Sequence[Example], rng: np.random.Generator) -> FloatArray:
    """Frames from all copies, the same number from every clip."""
    per_copy = max(1, FRAMES_PER_CLASS // sum(len(example.copies) for example in examples))
    drawn = [
        spectrum[rng.choice(len(spectrum), size=min(per_copy, len(spectrum)), replace=False)]
        for example in examples
        for spectrum in example.copies
    ]
    return np.concatenate(drawn).astype(np.float32)
