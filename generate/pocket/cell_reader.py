"""From sound at any rate to rows of posteriors: resampling, chunks without seams, the best guesses of each cell."""

import numpy as np
import soxr
import torch

from ...core.records import Audio, Float32Array, Int32Array, Posteriors
from .acoustics import FRAMES_PER_S, RATE_HZ
from .hearing import Hearing
from .recoverer_network import CELL_FRAMES, RecovererNetwork

CELLS_PER_S = FRAMES_PER_S // CELL_FRAMES
TOP_K = 16
_CHUNK_S = 60
_MARGIN_S = 7
"""Sound either side of a chunk that is heard with it: beyond the reach of level (3 s), channel (3 s of levels) and
network (0.06 s per block)."""


class CellReader:
    """A trained network at work. Nothing changes between calls, so one serves all threads."""

    def __init__(self, network: RecovererNetwork, codes: int, logit_scale: float, device: str = "cpu") -> None:
        """`logit_scale` multiplies the logits of `codes` codes, so that the probabilities are calibrated."""
        self._device = torch.device(device)
        self._hearing = Hearing().to(self._device)
        self._network = network.to(self._device).eval()
        self._logit_scale = logit_scale
        self._top_k = min(TOP_K, codes)

    def read(self, audio: Audio, speed: float = 1.0) -> Posteriors:
        """One row per 20 ms of sound that is first slowed down by `speed` (1.05: it was played 5 % too fast)."""
        samples = np.nan_to_num(audio.samples, nan=0.0, posinf=0.0, neginf=0.0)
        if len(samples) and (audio.rate_hz != RATE_HZ or speed != 1.0):
            samples = soxr.resample(samples, audio.rate_hz, RATE_HZ * speed, quality="HQ")
        parts = [self._chunk(samples, start) for start in range(0, max(1, len(samples)), _CHUNK_S * RATE_HZ)]
        ids, probs, surprisal = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        rest = np.clip(1 - probs.sum(axis=1), 0, 1).astype(np.float32)
        return Posteriors(ids, probs, rest, CELLS_PER_S, surprisal)

    @torch.no_grad()
    def _chunk(self, samples: Float32Array, start: int) -> tuple[Int32Array, Float32Array, Float32Array]:
        before = min(start, _MARGIN_S * RATE_HZ)
        end = min(len(samples), start + _CHUNK_S * RATE_HZ)
        heard = np.ascontiguousarray(samples[start - before : end + _MARGIN_S * RATE_HZ], dtype=np.float32)
        first, count = before * CELLS_PER_S // RATE_HZ, (end - start) * CELLS_PER_S // RATE_HZ
        if count == 0:
            empty = np.zeros((0, self._top_k), dtype=np.float32)
            return empty.astype(np.int32), empty, np.zeros(0, dtype=np.float32)
        logits, surprisal = self._network(self._hearing(torch.from_numpy(heard).to(self._device)[None]))
        kept = slice(first, first + count)
        probs, ids = torch.softmax(logits[0, kept] * self._logit_scale, dim=-1).topk(self._top_k, dim=-1)
        return ids.cpu().numpy().astype(np.int32), probs.cpu().numpy(), surprisal[0, kept].cpu().numpy()
