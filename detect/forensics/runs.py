"""Stretches of samples that all fulfil a condition, found block by block."""

import numpy as np
import numpy.typing as npt

MAX_RUNS = 10_000
"""Runs that are kept with their place; further ones are counted only."""


class RunFinder:
    """Finds runs of True of at least `min_samples` in a mask that arrives in pieces."""

    def __init__(self, min_samples: int) -> None:
        """Nothing heard yet."""
        self.min_samples = min_samples
        self.runs: list[tuple[int, int]] = []
        """Start and end in samples, end exclusive."""
        self.count = 0
        self.samples = 0
        """Inside runs, over all of them."""
        self.heard = 0
        self._open: int | None = None

    def add(self, mask: npt.NDArray[np.bool_]) -> None:
        """Take in the next piece of the mask (n,)."""
        edges = np.flatnonzero(np.diff(mask, prepend=self._open is not None)) + self.heard
        if self._open is not None:
            edges = np.concatenate([[self._open], edges])
        self._open = int(edges[-1]) if len(edges) % 2 else None
        whole = edges[: len(edges) // 2 * 2].reshape(-1, 2)
        self._keep(whole[whole[:, 1] - whole[:, 0] >= self.min_samples])
        self.heard += len(mask)

    def finish(self) -> list[tuple[int, int]]:
        """The runs, the one that reaches the end included. Call once."""
        if self._open is not None and self.heard - self._open >= self.min_samples:
            self._keep(np.array([[self._open, self.heard]]))
        return self.runs

    def _keep(self, runs: npt.NDArray[np.int64]) -> None:
        self.count += len(runs)
        self.samples += int((runs[:, 1] - runs[:, 0]).sum())
        self.runs += [(start, end) for start, end in runs[: MAX_RUNS - len(self.runs)].tolist()]
