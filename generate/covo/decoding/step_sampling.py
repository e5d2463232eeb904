"""One step of sampling for all rows of a batch: penalties, warpers, draw, mark, bookkeeping, all on the device.

Whether a step gives text, stop or audio is one ordinary draw from the row's own numbers, with audio as a whole as
one outcome; only then is the audio token picked, by the mark or by a second number. So for a given history a text
step gives the same id under any key and under none, and the chance of audio is the model's.
"""

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .sampling import CovoSampling
from .warpers import REMOVED, ranked, repetition_penalty, top_k, top_p, windowed_penalty, with_temperature

if TYPE_CHECKING:
    from ....core.protocols import BatchMark

SPARE_CANDIDATES = 14
"""Room for ids whose score equals the k-th best: bf16 logits have many equals, and all of them stay."""
LEAST_CANDIDATES = 64
DRAWS_PER_STEP = 2


def candidates_needed(samplings: list[CovoSampling], vocabulary: int) -> int:
    """How many of the best scores a batch with these settings has to look at: a power of two, or all of them."""
    needed = LEAST_CANDIDATES
    for sampling in samplings:
        if sampling.top_k == 0 and not sampling.greedy:
            return vocabulary
        if not sampling.greedy:
            needed = max(needed, 1 << (sampling.top_k + SPARE_CANDIDATES - 1).bit_length())
    return min(needed, vocabulary)


def step_uniforms(seed: int, steps: int) -> npt.NDArray[np.float64]:
    """The numbers of a row's draws: float64 (steps, 2) in (0, 1), by a counter, so the n-th never depends on length.

    Philox (Salmon et al. 2011), upper halves of its raw words: (word + 0.5) / 2^32, never 0 and never 1.
    """
    words = np.random.Philox(seed).random_raw(steps * DRAWS_PER_STEP) >> np.uint64(32)
    return ((words.astype(np.float64) + 0.5) / 2.0**32).reshape(steps, DRAWS_PER_STEP)


class SamplingRows:
    """Settings, numbers and results of `rows` rows, each at the start of a fixed buffer.

    Every tensor keeps its place in memory for the life of the object, so a CUDA graph of `step` can be replayed.
    Each buffer has one column more than a row can fill: rows at rest write there.
    """

    def __init__(
        self, rows: int, capacity: int, audio_ids: range, stop_ids: frozenset[int], device: torch.device
    ) -> None:
        """`capacity`: most ids of a round, prompt and reply together; `audio_ids` and `stop_ids` of the vocabulary."""

        def zeros(*width: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(rows, *width, dtype=dtype, device=device)

        self.audio_ids = audio_ids
        self._stop_ids = torch.tensor(sorted(stop_ids), dtype=torch.int64, device=device)
        self.active = zeros(dtype=torch.bool)
        self.broken = zeros(dtype=torch.bool)
        self.ids = zeros(capacity + 1, dtype=torch.int64)
        self.n_ids = zeros(dtype=torch.int64)
        self.n_new = zeros(dtype=torch.int64)
        self.n_audio = zeros(dtype=torch.int64)
        self.entropy_bits = zeros(capacity + 1)
        self.uniforms = zeros(capacity + 1, DRAWS_PER_STEP, dtype=torch.float64)
        self._max_new = zeros(dtype=torch.int64)
        self._greedy = zeros(dtype=torch.bool)
        self._text_only = zeros(dtype=torch.bool)
        # harmless settings until a row has its own
        self._temperature, self._top_p, self._repetition, self._window = (zeros() + 1 for _ in range(4))
        self._top_k, self._window_tokens = (zeros(dtype=torch.int64) for _ in range(2))

    def put(self, row: int, ids: Tensor, seed: int, sampling: CovoSampling, *, text_only: bool) -> None:
        """Start `row` anew after the prompt `ids` (n,) int64, n at least 1."""
        n, steps = len(ids), sampling.max_new_tokens
        self.ids[row, :n] = ids.to(self.ids.device)
        self.uniforms[row, :steps] = torch.from_numpy(step_uniforms(seed, steps)).to(self.ids.device)
        for buffer, value in (
            (self.n_ids, n),
            (self.n_new, 0),
            (self.n_audio, 0),
            (self._max_new, steps),
            (self._temperature, sampling.temperature),
            (self._top_k, sampling.top_k),
            (self._top_p, sampling.top_p),
            (self._repetition, sampling.repetition_penalty),
            (self._window, sampling.window_penalty),
            (self._window_tokens, sampling.window_tokens),
            (self._greedy, sampling.greedy),
            (self._text_only, text_only),
            (self.broken, False),
            (self.active, True),
        ):
            buffer[row] = value

    def step(self, logits: Tensor, candidates: int, marks: "BatchMark | None") -> Tensor:
        """Choose the next id of each row from `logits` (b, vocabulary), append it, and see who has finished.

        -> the ids int64 (b,); those of rows at rest mean nothing. `candidates` as `candidates_needed` says.
        """
        scores = logits.to(torch.float32)
        # one sum tells: finite numbers of a model's size cannot overflow it, and NaN or infinity stay
        broken = self.active & ~scores.sum(dim=1).isfinite()
        self.broken.logical_or_(broken)
        values, ids = self._ranked(scores, candidates)
        probs = torch.softmax(values, dim=1, dtype=torch.float64)
        chosen, entropy_bits = self._draw(probs, ids, marks)
        next_ids = ids.gather(1, chosen[:, None])[:, 0]
        self._append(next_ids, entropy_bits, broken)
        return next_ids

    def _ranked(self, scores: Tensor, candidates: int) -> tuple[Tensor, Tensor]:
        """The best candidates after all penalties and warpers, best first: scores (b, k) and ids (b, k)."""
        scores = repetition_penalty(scores, self.ids, self.n_ids.clamp(min=1), self._repetition)
        scores = windowed_penalty(scores, self.ids, self.n_ids.clamp(min=1), self._window, self._window_tokens)
        scores[:, self.audio_ids.start : self.audio_ids.stop].masked_fill_(self._text_only[:, None], REMOVED)
        values, ids = ranked(scores, candidates)
        values = top_p(top_k(with_temperature(values, self._temperature), self._top_k), self._top_p)
        best = torch.arange(values.shape[1], device=values.device) == 0
        return torch.where(self._greedy[:, None] & ~best, REMOVED, values), ids

    def _draw(self, probs: Tensor, ids: Tensor, marks: "BatchMark | None") -> tuple[Tensor, Tensor]:
        """The candidate chosen, int64 (b,), and the entropy of the choice among audio tokens in bits, float32 (b,)."""
        is_audio = (ids >= self.audio_ids.start) & (ids < self.audio_ids.stop)
        numbers = self.uniforms.gather(1, self.n_new[:, None, None].expand(-1, 1, DRAWS_PER_STEP))[:, 0]
        audio_mass = torch.where(is_audio, probs, 0.0).sum(dim=1)
        other = torch.where(is_audio, 0.0, probs)
        other_mass = other.sum(dim=1)
        level = numbers[:, 0] * (other_mass + audio_mass)
        text = _index_at(other, level)
        audio_probs = torch.where(is_audio, probs, 0.0) / audio_mass.clamp(min=torch.finfo(torch.float64).tiny)[:, None]
        audio = _index_at(audio_probs, numbers[:, 1] * audio_probs.sum(dim=1))
        if marks is not None:
            codes = torch.where(is_audio, ids - self.audio_ids.start, 0)
            audio = marks.choose(audio_probs.to(torch.float32), codes, self.n_audio, audio)
        speaks = (level >= other_mass) & (audio_mass > 0)
        entropy_bits = torch.special.entr(audio_probs).sum(dim=1) / math.log(2.0)
        return torch.where(speaks, audio, text), entropy_bits.to(torch.float32)

    def _append(self, next_ids: Tensor, entropy_bits: Tensor, broken: Tensor) -> None:
        going = self.active.to(torch.int64)
        is_audio = (next_ids >= self.audio_ids.start) & (next_ids < self.audio_ids.stop)
        self.ids.scatter_(1, self.n_ids[:, None], next_ids[:, None])
        self.entropy_bits.scatter_(1, self.n_new[:, None], entropy_bits[:, None])
        self.n_ids += going
        self.n_new += going
        self.n_audio += going * is_audio
        stopped = (next_ids[:, None] == self._stop_ids).any(dim=1)
        self.active.logical_and_(~(stopped | broken | (self.n_new >= self._max_new)))


def _index_at(masses: Tensor, level: Tensor) -> Tensor:
    """The index whose share of the running sum of `masses` (b, k) float64 holds `level` (b,), never one without mass.

    A level at or above the sum gives the last index that has mass.
    """
    rising = masses.cumsum(dim=1)
    place = torch.arange(masses.shape[1], device=masses.device)
    last = torch.where(masses > 0, place, 0).amax(dim=1)
    return torch.minimum((rising <= level[:, None]).sum(dim=1), last)
