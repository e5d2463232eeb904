"""Sound while the tokens are still coming: the decoder in chunks, each continuing from the latents before it.

Covo-Audio's decoder was not trained for this: its attention runs in both directions over the whole utterance, and a
chunk sees `ahead_tokens` of what follows and no more. Each chunk takes the voice prompt and the last `left_tokens`
with the latents that were made for them, as the prompt of its own: the one way of continuing that the model knows. A
frame has the same noise as in the whole. Latents that were made stay as they are, and the vocoder gets them with all
that its kernels reach, so that chunks join without any seam: what is heard is the vocoder's sound of all latents.

What differs from decoding the whole is the latents, and `difference` measures by how much for one utterance.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ....core.errors import UsageError
from ....core.rates import TOKEN_RATE_HZ
from ....core.records import Audio, Float32Array, Tokens
from .decoder import CovoDecoder, Int64Array, VoicePrompt

_WINDOW_SAMPLES, _HOP_SAMPLES = 1024, 256
_FLOOR = 1e-5
"""Of a spectrum's magnitude, so that silence can be compared."""


@dataclass(frozen=True)
class Difference:
    """How far one sound is from another of the same length."""

    snr_db: float
    """Power of the reference over the power of the difference."""
    log_spectral_distance_db: float
    """Root mean square over bins of the difference in dB, averaged over windows of 1024 samples."""


def stream(
    decoder: CovoDecoder,
    tokens: Iterable[int],
    *,
    voice: str,
    seed: int,
    chunk_tokens: int = 25,
    left_tokens: int = 50,
    ahead_tokens: int = 5,
) -> Iterator[Audio]:
    """Sound of `tokens`, part by part; all parts together are as long as `CovoDecoder.decode` of all tokens.

    A part follows when `chunk_tokens + ahead_tokens` more tokens have come, and leaves out the last 130 ms, which the
    vocoder's sight of what follows could still change. Raises as `decode`, and `UsageError` for sizes that cannot be.
    """
    if chunk_tokens < 1 or left_tokens < 0 or ahead_tokens < 0:
        raise UsageError("chunk_tokens must be at least 1, left_tokens and ahead_tokens at least 0")
    speech = _Stream(decoder, decoder.voice(voice), seed, left_tokens)
    codes = decoder.config.flow.token_vocab_size
    waiting: list[int] = []
    nothing_said = True
    for token in tokens:
        waiting.append(token)
        if len(waiting) == chunk_tokens + ahead_tokens:
            ids = decoder.checked_ids(Tokens(np.array(waiting, dtype=np.int32), TOKEN_RATE_HZ, codes))
            speech.extend(ids, chunk_tokens)
            waiting, nothing_said = waiting[chunk_tokens:], False
            yield from speech.sound(ended=False)
    if waiting or nothing_said:
        ids = decoder.checked_ids(Tokens(np.array(waiting, dtype=np.int32), TOKEN_RATE_HZ, codes))
        speech.extend(ids, len(ids))
    yield from speech.sound(ended=True)


def difference(
    decoder: CovoDecoder,
    tokens: Tokens,
    *,
    voice: str,
    seed: int,
    chunk_tokens: int = 25,
    left_tokens: int = 50,
    ahead_tokens: int = 5,
) -> Difference:
    """Decode `tokens` in chunks and as a whole, and compare. Raises as `stream`."""
    parts = stream(
        decoder,
        tokens.ids.tolist(),
        voice=voice,
        seed=seed,
        chunk_tokens=chunk_tokens,
        left_tokens=left_tokens,
        ahead_tokens=ahead_tokens,
    )
    streamed = np.concatenate([part.samples for part in parts])
    return compare(decoder.decode(tokens, voice=voice, seed=seed).samples, streamed)


def compare(reference: Float32Array, other: Float32Array) -> Difference:
    """Two sounds of the same length; equal ones have an infinite SNR."""
    power, error = float(np.square(reference).sum()), float(np.square(reference - other).sum())
    snr_db = float("inf") if error == 0 else 10 * float(np.log10(max(power, _FLOOR**2) / error))
    levels = 20 * (_magnitudes(reference) / _magnitudes(other)).log10()
    return Difference(snr_db, float(levels.square().mean(dim=0).sqrt().mean()))


def _magnitudes(samples: Float32Array) -> Tensor:
    """(bins, windows), at least a floor."""
    window = torch.hann_window(_WINDOW_SAMPLES)
    padded = torch.nn.functional.pad(torch.from_numpy(samples), (0, max(0, _WINDOW_SAMPLES - len(samples))))
    spectrum = torch.stft(padded, _WINDOW_SAMPLES, _HOP_SAMPLES, window=window, center=False, return_complex=True)
    return spectrum.abs().clamp(min=_FLOOR)


class _Stream:
    """The latents that are made so far, and how much of them was heard."""

    def __init__(self, decoder: CovoDecoder, voice: VoicePrompt, seed: int, left_tokens: int) -> None:
        self._decoder, self._voice, self._seed, self._left_tokens = decoder, voice, seed, left_tokens
        self._factor = decoder.config.flow.upsample_factor
        shape = (0, decoder.config.flow.latent_width)
        self._tokens = np.zeros(0, dtype=np.int64) if voice.tokens is None else voice.tokens
        self._latents = np.zeros(shape, dtype=np.float32) if voice.latents is None else voice.latents
        """Of all `_tokens`, the prompt's first; in the beginning they reach a few frames further."""
        self._heard_frames = 0

    def extend(self, ids: Int64Array, count: int) -> None:
        """Make latents for the first `count` of the tokens that follow; the others are only looked at."""
        before = self._voice.token_count
        first = max(before, len(self._tokens) - self._left_tokens)
        prompt = VoicePrompt(
            np.concatenate([self._tokens[:before], self._tokens[first:]]),
            self._without(self._latents, before, first),
            self._voice.speaker,
        )
        noise = self._decoder.noise(self._seed, len(self._tokens) + len(ids)).numpy()
        made = self._decoder.latents(ids, prompt, torch.from_numpy(self._without(noise, before, first)))
        self._tokens = np.concatenate([self._tokens, ids[:count]])
        new = made[prompt.frame_count :].cpu().numpy()
        self._latents = np.concatenate([self._latents, new])[: self._factor * len(self._tokens)]

    def sound(self, *, ended: bool) -> Iterator[Audio]:
        """What can be heard by now and was not yet, if there is any."""
        frames = len(self._latents) - self._voice.frame_count
        _, ahead = self._decoder.vocoder.reach_frames
        end = frames if ended else frames - ahead
        if end <= self._heard_frames:
            return
        part = range(self._heard_frames, end)
        samples = self._decoder.waveform(torch.from_numpy(self._latents).to(self._decoder.device), self._voice, part)
        if self._heard_frames == 0:
            samples = np.concatenate([self._decoder.silence(self._voice), samples])
        self._heard_frames = end
        yield Audio(samples, self._decoder.config.rate_hz)

    def _without(self, rows: Float32Array, start_token: int, end_token: int) -> Float32Array:
        """Rows of frames, without those of some tokens."""
        return np.concatenate([rows[: self._factor * start_token], rows[self._factor * end_token :]])
