"""Reads pocket tokens back from sound alone, at any rate, level and start."""

from pathlib import Path
from typing import Self

from ...core.records import Audio, Posteriors
from .acoustics import CODEBOOK_SIZE
from .cell_reader import TOP_K, CellReader
from .model import PocketWeights, open_pocket
from .recoverer_network import RecovererNetwork

__all__ = ["TOP_K", "PocketRecoverer"]


class PocketRecoverer:
    """A `TokenRecoverer`: two rows of posteriors per token, so that the phase of the token grid stays open."""

    codebook_size = CODEBOOK_SIZE

    def __init__(self, weights: PocketWeights) -> None:
        """Raises `IntegrityError` when the folder holds other weights."""
        self.model = weights.folder
        network = RecovererNetwork()
        weights.fill(network, "recoverer")
        self._reader = CellReader(network, CODEBOOK_SIZE, float(weights.tensor("posteriors.logit_scale", ())))

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        """Read a pocket model folder (None: the bundled one). Raises `ModelMissing` or `IntegrityError`."""
        return cls(open_pocket(folder))

    def recover(self, audio: Audio, *, speed: float = 1.0) -> Posteriors:
        """One row per 20 ms of sound that is first slowed down by `speed` (1.05: it was played 5 % too fast)."""
        return self._reader.read(audio, speed)
