"""Samples speech tokens from the pocket language model, many utterances at once, each with its own mark and seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...core.protocols import TokenMark
from ...core.records import Float32Array, Int32Array
from .language_model import MAX_ADVANCE, MAX_HELD_STEPS, START_TOKEN, PocketLanguageModel

MAX_STEPS_PER_PHONE = 12
"""A batch is cut off at this many steps per phone of its longest line: only a broken model gets there."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn: temperature, then the smallest set of tokens that holds `top_p` of the mass."""

    temperature: float = 1.0
    top_p: float = 1.0


@dataclass(frozen=True)
class Line:
    """One sentence to say: phone windows (p, 5), voice index, seed, and the mark (None: ordinary sampling)."""

    windows: Tensor
    voice: int
    seed: int
    mark: TokenMark | None = None
    first_slot: int = 0
    """Position in the utterance of the line's first token, where a line continues another."""


@dataclass(frozen=True)
class SampledTokens:
    """Token ids (t,), -log2 of the probability each was drawn with (t,), and the entropy of each draw in bits (t,)."""

    ids: Int32Array
    surprisal_bits: Float32Array
    entropy_bits: Float32Array


def sampling_probabilities(logits: Float32Array, sampling: Sampling) -> Float32Array:
    """Logits (b, vocabulary) to probabilities after temperature and top-p; float32 rows that sum to one."""
    scaled = logits.astype(np.float64) / sampling.temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    probs = np.exp(scaled)
    probs /= probs.sum(axis=1, keepdims=True)
    if sampling.top_p < 1.0:
        order = np.argsort(-probs, axis=1, kind="stable")
        ranked = np.take_along_axis(probs, order, axis=1)
        dropped = np.cumsum(ranked, axis=1) - ranked >= sampling.top_p
        np.put_along_axis(probs, order, np.where(dropped, 0.0, ranked), axis=1)
        probs /= probs.sum(axis=1, keepdims=True)
    return probs.astype(np.float32)


class _Pointers:
    """Where each line of a batch is in its phones."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.lengths = np.array([len(line.windows) for line in lines])
        self.position = np.zeros(len(lines), dtype=int)
        self.held = np.zeros(len(lines), dtype=int)
        self.done = self.lengths == 0
        self._padded = torch.nn.utils.rnn.pad_sequence([line.windows for line in lines], batch_first=True)

    def windows(self) -> Tensor:
        last = np.minimum(self.position, self.lengths - 1)
        return self._padded[torch.arange(len(last)), torch.from_numpy(last)][:, None]

    def move(self, steps: np.ndarray) -> None:
        steps = np.where((self.held >= MAX_HELD_STEPS) & (steps == 0), 1, steps)
        self.held = np.where(steps > 0, 0, self.held + 1)
        self.position = self.position + steps
        self.done |= self.position >= self.lengths


@torch.no_grad()
def sample_tokens(model: PocketLanguageModel, lines: Sequence[Line], sampling: Sampling) -> list[SampledTokens]:
    """Say every line. A line's tokens depend on its own text, voice, seed and mark only, up to float rounding."""
    from transformers import DynamicCache

    if not lines:
        return []
    pointers = _Pointers(lines)
    rngs = [np.random.default_rng(line.seed) for line in lines]
    voices = torch.tensor([line.voice for line in lines])
    previous = torch.full((len(lines), 1), START_TOKEN)
    cache = DynamicCache()
    drawn: list[list[tuple[int, float, float]]] = [[] for _ in lines]
    for step in range(MAX_STEPS_PER_PHONE * int(pointers.lengths.max(initial=0))):
        if pointers.done.all():
            break
        held = torch.from_numpy(pointers.held)[:, None]
        embedded = model.inputs(previous, pointers.windows(), held, voices)
        hidden = model.backbone(inputs_embeds=embedded, past_key_values=cache, use_cache=True).last_hidden_state
        probs = sampling_probabilities(model.next_token(hidden)[:, 0].numpy(), sampling)
        ids = _draw(lines, probs, step, rngs, pointers.done)
        for row in np.flatnonzero(~pointers.done):
            drawn[row].append((int(ids[row]), *_information(probs[row], int(ids[row]))))
        previous = torch.from_numpy(ids.astype(np.int64))[:, None]
        advance = torch.softmax(model.advance_logits(hidden, previous)[:, 0], dim=-1).numpy()
        pointers.move(_draw_advance(advance, rngs))
    return [_sampled(rows) for rows in drawn]


def _draw(
    lines: Sequence[Line], probs: Float32Array, step: int, rngs: Sequence[np.random.Generator], done: np.ndarray
) -> Int32Array:
    ids = np.zeros(len(lines), dtype=np.int32)
    for row, line in enumerate(lines):
        if done[row]:
            continue
        if line.mark is not None:
            ids[row] = line.mark.sample(probs[row : row + 1], line.first_slot + step)[0]
        else:
            cumulative = np.cumsum(probs[row], dtype=np.float64)
            ids[row] = np.searchsorted(cumulative, rngs[row].random() * cumulative[-1], side="right")
    return ids


def _draw_advance(chances: Float32Array, rngs: Sequence[np.random.Generator]) -> np.ndarray:
    uniforms = np.array([rng.random() for rng in rngs])[:, None]
    steps: np.ndarray = np.minimum((np.cumsum(chances, axis=1) < uniforms).sum(axis=1), MAX_ADVANCE)
    return steps


def _information(probs: Float32Array, chosen: int) -> tuple[float, float]:
    positive = probs[probs > 0].astype(np.float64)
    return -float(np.log2(max(probs[chosen], 1e-12))), -float((positive * np.log2(positive)).sum())


def _sampled(rows: Sequence[tuple[int, float, float]]) -> SampledTokens:
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return SampledTokens(table[:, 0].astype(np.int32), table[:, 1].astype(np.float32), table[:, 2].astype(np.float32))
