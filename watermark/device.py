"""`SlotGumbel` on tensors where they lie, so that a generator on an accelerator need not wait for the host.

Same ids as the numpy path, bit for bit: products of float32 numbers are fixed by IEEE 754, the largest is found by
`amax`, which rounds nothing, and ties go to the lowest id explicitly, since `argmax` does not promise which it gives.
"""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .sampling import MASS_SCALE, SlotGumbel

if TYPE_CHECKING:
    import torch


class DeviceSlotGumbel:
    """Runs a `SlotGumbel` on the device of the probabilities that it is given.

    With two levels the device needs float64 (CPU and CUDA have it, Apple's MPS has not).
    """

    def __init__(self, mark: SlotGumbel) -> None:
        """`mark` supplies the weight rows; each is copied to the device once per step."""
        self.scheme = mark.scheme
        self._mark = mark
        self._clusters: dict[torch.device, torch.Tensor] = {}

    def sample(self, probs: "torch.Tensor", slot: int | npt.NDArray[np.integer]) -> "torch.Tensor":
        """Choose one id per row of `probs` (b, codebook), any float type; -> int32 (b,) on the same device.

        `slot` as in `SlotGumbel.sample`. The probabilities are not checked: that would wait for the device.
        """
        import torch

        weights = self._mark.weights(slot, len(probs))
        probs = probs.to(torch.float32)
        if weights.cluster is not None:
            masses = _masses(probs, self._cluster_of(probs.device), weights.cluster.shape[1])
            chosen = _race(masses, torch.from_numpy(weights.cluster).to(probs.device))
            probs = torch.where(self._cluster_of(probs.device) == chosen[:, None], probs, 0.0)
        return _race(probs, torch.from_numpy(weights.token).to(probs.device)).to(torch.int32)

    def _cluster_of(self, device: "torch.device") -> "torch.Tensor":
        import torch

        if device not in self._clusters:
            self._clusters[device] = torch.tensor(self._mark.table.cluster_of, dtype=torch.int64, device=device)
        return self._clusters[device]


def _race(probs: "torch.Tensor", weights: "torch.Tensor") -> "torch.Tensor":
    import torch

    scores = probs * weights
    ids = torch.arange(scores.shape[1], device=scores.device)
    return torch.where(scores == scores.amax(dim=1, keepdim=True), ids, scores.shape[1]).amin(dim=1)


def _masses(probs: "torch.Tensor", cluster_of: "torch.Tensor", n_clusters: int) -> "torch.Tensor":
    """`sampling.cluster_masses` in any order of summation: every partial sum is exact."""
    import torch

    fixed = torch.round(probs.to(torch.float64) * MASS_SCALE)
    masses = torch.zeros(len(probs), n_clusters, dtype=torch.float64, device=probs.device)
    return (masses.index_add_(1, cluster_of, fixed) / MASS_SCALE).to(torch.float32)
