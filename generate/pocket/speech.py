"""Pocket tokens to sound: the decoder network, the sharpening of formants, and the vocoder."""

from typing import Self

import numpy as np
import torch

from ...core.errors import UsageError
from ...core.records import Audio, Float32Array, Int32Array, Tokens
from .acoustics import CODEBOOK_SIZE, MEL_BANDS, RATE_HZ, SAMPLES_PER_TOKEN, VOICES
from .decoder import TRACKS, DecoderNetwork
from .model import PocketWeights
from .vocoder import synthesise

_SHARPEN = 0.5
"""How much of the envelope's ripple is added again: decoders trained on L1 blur formants, and listeners mishear."""
_RIPPLE_BANDS = 9
_PEAK = 0.7


class PocketDecoder:
    """A `TokenDecoder` for two voices, at 16 kHz."""

    def __init__(self, network: DecoderNetwork, mean: torch.Tensor, deviation: torch.Tensor) -> None:
        """`mean` and `deviation` (voices, tracks) undo the normalisation of the features."""
        self._network, self._mean, self._deviation = network, mean, deviation

    @classmethod
    def load(cls, weights: PocketWeights) -> Self:
        """From an opened model folder; raises `IntegrityError`."""
        network = DecoderNetwork()
        weights.fill(network, "decoder")
        shape = (len(VOICES), TRACKS)
        return cls(network, weights.tensor("features.mean", shape), weights.tensor("features.deviation", shape))

    def decode(self, tokens: Tokens, *, voice: str = VOICES[0], seed: int = 0) -> Audio:
        """`n` tokens give n * 640 samples with a peak of 0.7; `seed` draws the breath noise. Raises `UsageError`."""
        if voice not in VOICES:
            raise UsageError(f"the pocket model has no voice {voice!r}; its voices are {', '.join(VOICES)}")
        ids = np.asarray(tokens.ids)
        if tokens.codebook_size != CODEBOOK_SIZE or (len(ids) and not 0 <= ids.min() <= ids.max() < CODEBOOK_SIZE):
            raise UsageError(f"these are not pocket tokens: ids must lie between 0 and {CODEBOOK_SIZE - 1}")
        if not len(ids):
            return Audio(np.zeros(0, dtype=np.float32), RATE_HZ)
        samples = self._sound(ids, VOICES.index(voice), seed)
        peak = float(np.abs(samples).max())
        return Audio(samples * np.float32(_PEAK / peak) if peak > 0 else samples, RATE_HZ)

    @torch.no_grad()
    def _sound(self, ids: Int32Array, voice: int, seed: int) -> Float32Array:
        made = self._network(torch.from_numpy(ids.astype(np.int64))[None], torch.tensor([voice]))[0]
        made[:, -2] = torch.sigmoid(made[:, -2])
        tracks = (made * self._deviation[voice] + self._mean[voice]).numpy()
        envelope = sharpened(tracks[:, :MEL_BANDS])
        sound = synthesise(envelope, tracks[:, -3], tracks[:, -2], np.clip(tracks[:, -1], -30, 0), seed=seed)
        return sound[: len(ids) * SAMPLES_PER_TOKEN]


def sharpened(envelope: Float32Array) -> Float32Array:
    """Add half of the ripple along frequency again (n, bands): peaks rise, valleys sink, the slope stays.

    The counterpart of the postfilters of statistical synthesis (Yoshimura et al. 2005).
    """
    reach = _RIPPLE_BANDS // 2
    padded = np.pad(envelope, ((0, 0), (reach, reach)), mode="edge")
    smooth = np.lib.stride_tricks.sliding_window_view(padded, _RIPPLE_BANDS, axis=1).mean(axis=-1)
    raised: Float32Array = (envelope + _SHARPEN * (envelope - smooth)).astype(np.float32)
    return raised
