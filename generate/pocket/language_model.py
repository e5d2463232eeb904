"""The pocket language model: phones in, one speech token after another out.

A Qwen2 backbone (Yang et al. 2024, through transformers) as in Covo-Audio, four thousand times smaller. It reads the
phones through a pointer: every step sees the token before it and a window of phones around the pointer, and after
each token a small head says by how many phones the pointer moves on. So text and speech stay aligned without
attention tricks, one step is one token of 40 ms, and nothing but audio tokens is ever sampled by the language head.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .acoustics import CODEBOOK_SIZE, VOICES

WINDOW = (-1, 0, 1, 2, 3)
"""Phones that a step sees, relative to the pointer."""
MAX_ADVANCE = 3
MAX_HELD_STEPS = 24
"""A phone is left after this many steps at the latest; the longest pause of the teachers is shorter."""
START_TOKEN = CODEBOOK_SIZE


@dataclass(frozen=True)
class Shape:
    """Sizes of the network."""

    phones: int
    width: int = 192
    layers: int = 5
    heads: int = 6
    key_heads: int = 2
    hidden: int = 512


class PocketLanguageModel(nn.Module):
    """Token and advance logits for every step of a batch, or step by step with a cache."""

    def __init__(self, shape: Shape) -> None:
        """About 2.6 million weights as shipped."""
        super().__init__()
        from transformers import Qwen2Config, Qwen2Model

        self.shape = shape
        width = shape.width
        self.tokens = nn.Embedding(CODEBOOK_SIZE + 1, width)
        self.voices = nn.Embedding(len(VOICES), width)
        self.phones = nn.Embedding(2 * shape.phones + 1, 48)
        self.window = nn.Linear(48 * len(WINDOW), width)
        self.held = nn.Embedding(MAX_HELD_STEPS + 1, width)
        self.backbone: Any = Qwen2Model(
            Qwen2Config(
                vocab_size=1,
                hidden_size=width,
                intermediate_size=shape.hidden,
                num_hidden_layers=shape.layers,
                num_attention_heads=shape.heads,
                num_key_value_heads=shape.key_heads,
                max_position_embeddings=2048,
            )
        )
        self.next_token = nn.Linear(width, CODEBOOK_SIZE)
        self.advance = nn.Sequential(nn.Linear(2 * width, 96), nn.GELU(), nn.Linear(96, MAX_ADVANCE + 1))

    def inputs(self, previous: Tensor, windows: Tensor, held: Tensor, voice: Tensor) -> Tensor:
        """Embeddings (b, t, width) of steps: `previous` (b, t) tokens, `windows` (b, t, 5) phone ids.

        `held` (b, t) counts the steps already spent on the phone; `voice` is (b,).
        """
        context = self.window(self.phones(windows).flatten(2))
        embedded: Tensor = self.tokens(previous) + context + self.held(held) + self.voices(voice)[:, None]
        return embedded

    def forward(self, embedded: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Whole sequences: token logits (b, t, 1024), and advance logits (b, t, 4) given the true `tokens` (b, t)."""
        hidden = self.backbone(inputs_embeds=embedded, use_cache=False).last_hidden_state
        return self.next_token(hidden), self.advance_logits(hidden, tokens)

    def advance_logits(self, hidden: Tensor, tokens: Tensor) -> Tensor:
        """How far the pointer moves after `tokens`: logits (b, t, 4) for 0 to 3 phones."""
        logits: Tensor = self.advance(torch.cat([hidden, self.tokens(tokens)], dim=-1))
        return logits


def phone_windows(ids: Sequence[int], starts: Sequence[bool]) -> Tensor:
    """Phone ids (n, 5) in the window around each phone; 0 is outside, phones that begin a word have their own ids."""
    marked = [1 + 2 * phone + int(start) for phone, start in zip(ids, starts, strict=True)]
    reach = max(-WINDOW[0], WINDOW[-1])
    padded = torch.tensor([0] * reach + marked + [0] * reach)
    return torch.stack([padded[reach + offset : reach + offset + len(marked)] for offset in WINDOW], dim=1)
