"""Reads pocket tokens back from sound alone, at any rate, level and start."""

from pathlib import Path
from typing import Self

import numpy as np
import soxr
import torch

from ...core.records import Audio, Float32Array, Posteriors
from .acoustics import CODEBOOK_SIZE, FRAMES_PER_S, RATE_HZ
from .hearing import Hearing
from .model import PocketWeights, open_pocket
from .recoverer_network import CELL_FRAMES, RecovererNetwork

CELLS_PER_S = FRAMES_PER_S // CELL_FRAMES
TOP_K = 16
_CHUNK_S = 60
_MARGIN_S = 7
"""Sound either side of a chunk that is heard with it: beyond the reach of level (3 s), channel (3 s of levels) and
network (0.3 s)."""


class PocketRecoverer:
    """A `TokenRecoverer`: two rows of posteriors per token, so that the phase of the token grid stays open."""

    codebook_size = CODEBOOK_SIZE

    def __init__(self, weights: PocketWeights) -> None:
        """Raises `IntegrityError` when the folder holds other weights."""
        self.model = weights.folder
        self._hearing = Hearing()
        self._network = RecovererNetwork()
        weights.fill(self._network, "recoverer")
        self._logit_scale = float(weights.tensor("posteriors.logit_scale", ()))

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        """Read a pocket model folder (None: the bundled one). Raises `ModelMissing` or `IntegrityError`."""
        return cls(open_pocket(folder))

    def recover(self, audio: Audio, *, speed: float = 1.0) -> Posteriors:
        """One row per 20 ms of sound that is first slowed down by `speed` (1.05: it was played 5 % too fast)."""
        samples = np.nan_to_num(audio.samples, nan=0.0, posinf=0.0, neginf=0.0)
        if len(samples) and (audio.rate_hz != RATE_HZ or speed != 1.0):
            samples = soxr.resample(samples, audio.rate_hz, RATE_HZ * speed, quality="HQ")
        parts = [self._chunk(samples, start) for start in range(0, max(1, len(samples)), _CHUNK_S * RATE_HZ)]
        ids, probs, surprisal = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        rest = np.clip(1 - probs.sum(axis=1), 0, 1).astype(np.float32)
        return Posteriors(ids, probs, rest, CELLS_PER_S, surprisal)

    @torch.no_grad()
    def _chunk(self, samples: Float32Array, start: int) -> tuple[np.ndarray, Float32Array, Float32Array]:
        before = min(start, _MARGIN_S * RATE_HZ)
        end = min(len(samples), start + _CHUNK_S * RATE_HZ)
        heard = np.ascontiguousarray(samples[start - before : end + _MARGIN_S * RATE_HZ], dtype=np.float32)
        first, count = before * CELLS_PER_S // RATE_HZ, (end - start) * CELLS_PER_S // RATE_HZ
        if count == 0:
            empty = np.zeros((0, TOP_K), dtype=np.float32)
            return empty.astype(np.int32), empty, np.zeros(0, dtype=np.float32)
        logits, surprisal = self._network(self._hearing(torch.from_numpy(heard)[None]))
        kept = slice(first, first + count)
        probs, ids = torch.softmax(logits[0, kept] * self._logit_scale, dim=-1).topk(TOP_K, dim=-1)
        return ids.numpy().astype(np.int32), probs.numpy(), surprisal[0, kept].numpy()
