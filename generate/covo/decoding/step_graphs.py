"""CUDA graphs of the engine's step: its hundreds of small kernels are launched by one call."""

from collections.abc import Callable

import torch
from torch import Tensor

WARM_UP_STEPS = 2
"""Before a capture, so that libraries have made their plans and compilers have compiled."""


class StepGraphs:
    """Captures a step once for each shape that it is run with, and replays it.

    The step must work on tensors that stay where they are, and ask the device nothing.
    """

    def __init__(self, step: Callable[[int, int], None], active: Tensor, logits: Tensor) -> None:
        """`active` (rows,) bool: a step leaves the rows alone for which it is false, but for their `logits`."""
        self._step = step
        self._active = active
        self._logits = logits
        self._pool = torch.cuda.graph_pool_handle()
        self._version: int | None = None
        self._graphs: dict[tuple[int, int], torch.cuda.CUDAGraph] = {}

    def run(self, reach: int, candidates: int, version: int | None) -> None:
        """One step; another `version` than before means that tensors moved, which no captured graph would notice."""
        if version != self._version:
            # none of them may be running when it goes
            torch.cuda.synchronize()
            self._graphs.clear()
            self._version = version
        if (reach, candidates) not in self._graphs:
            self._graphs[reach, candidates] = self._captured(reach, candidates)
        self._graphs[reach, candidates].replay()

    def _captured(self, reach: int, candidates: int) -> torch.cuda.CUDAGraph:
        active, logits = self._active.clone(), self._logits.clone()
        # with no row active, warming up changes nothing that matters
        self._active.zero_()
        beside: torch.cuda.Stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(WARM_UP_STEPS):
                self._step(reach, candidates)
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        # what other threads do on the device, such as decoding sound, does not spoil the capture
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            self._step(reach, candidates)
        self._active.copy_(active)
        self._logits.copy_(logits)
        return graph
