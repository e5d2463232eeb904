"""Two Gaussian mixtures over LFCC, bona fide and spoof: the baseline that every detector has to beat.

Score: mean over frames of log p(frame | spoof) - log p(frame | bona fide), as in the ASVspoof 2019 and 2021 baselines
(github.com/asvspoof-challenge/2021, LA/Baseline-LFCC-GMM), with our own features (`detect/lfcc.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

WEIGHTS_NAME = "model.safetensors"

FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Mixture:
    """A mixture of diagonal Gaussians: weights (k,), means and variances (k, d)."""

    weights: FloatArray
    means: FloatArray
    variances: FloatArray

    def log_likelihood(self, frames: FloatArray) -> FloatArray:
        """Log density of each frame; (n, d) -> (n,)."""
        precision = 1.0 / self.variances
        constant = np.log(self.weights) - 0.5 * (
            np.log(2 * np.pi * self.variances).sum(axis=1) + (self.means**2 * precision).sum(axis=1)
        )
        joint = constant + frames @ (self.means * precision).T - 0.5 * (frames**2) @ precision.T
        peak = joint.max(axis=1)
        return np.asarray(peak + np.log(np.exp(joint - peak[:, None]).sum(axis=1)))


@dataclass(frozen=True)
class MixturePair:
    """One mixture per class."""

    bonafide: Mixture
    spoof: Mixture

    def score(self, frames: FloatArray) -> float:
        """Mean log likelihood ratio of the frames (n, d); higher is more synthetic."""
        return float(np.mean(self.spoof.log_likelihood(frames) - self.bonafide.log_likelihood(frames)))


def save_pairs(pairs: Sequence[MixturePair], folder: Path) -> str:
    """Write the pairs as one safetensors file; -> its name."""
    from safetensors.numpy import save

    tensors = {
        f"{index}.{label}.{name}": np.ascontiguousarray(getattr(getattr(pair, label), name), dtype=np.float32)
        for index, pair in enumerate(pairs)
        for label in ("bonafide", "spoof")
        for name in ("weights", "means", "variances")
    }
    (folder / WEIGHTS_NAME).write_bytes(save(tensors))  # `save_file` makes a file that only its owner may read
    return WEIGHTS_NAME


def load_pairs(content: bytes) -> list[MixturePair]:
    """Read what `save_pairs` wrote."""
    from safetensors.numpy import load

    tensors = {name: value.astype(np.float64) for name, value in load(content).items()}
    count = 1 + max(int(name.split(".")[0]) for name in tensors)

    def mixture(index: int, label: str) -> Mixture:
        weights, means, variances = (tensors[f"{index}.{label}.{n}"] for n in ("weights", "means", "variances"))
        return Mixture(weights, means, variances)

    return [MixturePair(mixture(index, "bonafide"), mixture(index, "spoof")) for index in range(count)]
