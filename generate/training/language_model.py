"""Trains the pocket language model on tokens of varied teacher speech, and the pointer that follows the phones."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ...core.records import Int32Array
from ..pocket.acoustics import FRAMES_PER_S, FRAMES_PER_TOKEN, VOICES
from ..pocket.language_model import (
    MAX_ADVANCE,
    MAX_HELD_STEPS,
    START_TOKEN,
    PocketLanguageModel,
    Shape,
    phone_windows,
)
from .codec import Normalisation, tokens_of
from .codec_network import CodecTrainer
from .corpus import Utterance
from .variation import vary

_LOG = logging.getLogger(__name__)
BATCH = 8
FRAMES_OF_CENTRE = FRAMES_PER_TOKEN // 2


@dataclass(frozen=True)
class Spoken:
    """An utterance with the front end's phones: `windows` (p, 5) and the end frame of each phone (p,)."""

    utterance: Utterance
    windows: Tensor
    phone_end_frames: Int32Array


def spoken(utterance: Utterance, phone_ids: Sequence[int], starts: Sequence[bool], ends_s: np.ndarray) -> Spoken:
    """Join an utterance with its phones and their aligned end times in seconds."""
    return Spoken(utterance, phone_windows(phone_ids, starts), np.round(ends_s * FRAMES_PER_S).astype(np.int32))


@dataclass(frozen=True)
class Sequence25:
    """One way of saying an utterance as the model sees it: all (t,) at 25 Hz; `windows` (t, 5)."""

    tokens: Int32Array
    windows: Tensor
    held: Int32Array
    advance: Int32Array
    voice: int


def sequence_of(
    item: Spoken, trainer: CodecTrainer, normalisation: Normalisation, rng: np.random.Generator
) -> Sequence25:
    """Vary, tokenise, and walk the pointer along the phones; the pointer never jumps more than MAX_ADVANCE."""
    frames, _, source = vary(item.utterance, rng)
    tokens = tokens_of(trainer, normalisation, frames, item.utterance.voice)
    centres = source[FRAMES_OF_CENTRE::FRAMES_PER_TOKEN][: len(tokens)]
    wanted = np.searchsorted(item.phone_end_frames, centres, side="right")
    pointer, position, held = [], 0, 0
    holds = []
    for index, target in enumerate(np.minimum(wanted, len(item.phone_end_frames) - 1)):
        move = int(np.clip(target - position, 0, MAX_ADVANCE)) if index else 0
        held = 0 if move else min(held + 1, MAX_HELD_STEPS)
        position += move
        pointer.append(position)
        holds.append(held)
    steps = np.diff(pointer, append=pointer[-1] + 1)
    return Sequence25(
        tokens,
        item.windows[torch.tensor(pointer)],
        np.array(holds, dtype=np.int32),
        steps.astype(np.int32),
        VOICES.index(item.utterance.voice),
    )


def collate(sequences: Sequence[Sequence25]) -> dict[str, Tensor]:
    """Pad to the longest; padded targets are -100."""
    length = max(len(s.tokens) for s in sequences)

    def padded(values: list[np.ndarray], fill: int) -> Tensor:
        return torch.stack(
            [nn.functional.pad(torch.as_tensor(v).long(), (0, length - len(v)), value=fill) for v in values]
        )

    tokens = padded([s.tokens for s in sequences], -100)
    return {
        "tokens": tokens,
        "previous": nn.functional.pad(tokens.clamp(min=0)[:, :-1], (1, 0), value=START_TOKEN),
        "windows": torch.stack([nn.functional.pad(s.windows, (0, 0, 0, length - len(s.windows))) for s in sequences]),
        "held": padded([s.held for s in sequences], 0),
        "advance": padded([s.advance for s in sequences], -100),
        "voice": torch.tensor([s.voice for s in sequences]),
    }


def losses(model: PocketLanguageModel, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, float]:
    """Cross-entropies of tokens and of advances in nats, and the share of tokens guessed right."""
    embedded = model.inputs(batch["previous"], batch["windows"], batch["held"], batch["voice"])
    logits, advance = model(embedded, batch["tokens"].clamp(min=0))
    flat = batch["tokens"].flatten()
    token_loss = nn.functional.cross_entropy(logits.float().flatten(0, 1), flat, ignore_index=-100)
    advance_loss = nn.functional.cross_entropy(
        advance.float().flatten(0, 1), batch["advance"].flatten(), ignore_index=-100
    )
    right = (logits.argmax(-1).flatten() == flat)[flat >= 0].float().mean().item()
    return token_loss, advance_loss, right


def train_language_model(
    items: Sequence[Spoken],
    held_out: Sequence[Spoken],
    codec: tuple[CodecTrainer, Normalisation],
    phones: int,
    steps: int,
    seed: int,
    *,
    model: PocketLanguageModel | None = None,
    report: Callable[[str], None] = _LOG.info,
) -> PocketLanguageModel:
    """Train for `steps` batches; sentences of like length share a batch.

    `model` goes on from its weights (None: a new one); `report` is told the losses every 200 steps.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = model or PocketLanguageModel(Shape(phones))
    optimiser = torch.optim.AdamW(model.parameters(), lr=2.5e-3, betas=(0.9, 0.98), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / 150) * max(0.01, min(1.0, 1.4 * (1 - step / steps)))
    )
    by_length = sorted(range(len(items)), key=lambda i: len(items[i].utterance.features.log_f0))
    check = collate([sequence_of(item, *codec, np.random.default_rng(i)) for i, item in enumerate(held_out)])
    running = np.zeros(3)
    for step in range(steps):
        first = int(rng.integers(len(by_length) - 4 * BATCH))
        chosen = rng.choice(by_length[first : first + 4 * BATCH], BATCH, replace=False)
        batch = collate([sequence_of(items[i], *codec, rng) for i in chosen])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            token_loss, advance_loss, right = losses(model, batch)
        optimiser.zero_grad()
        (token_loss + 0.5 * advance_loss).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        running += 0.02 * (np.array([token_loss.item(), advance_loss.item(), right]) - running)
        if step % 200 == 199:
            model.eval()
            with torch.no_grad():
                held = losses(model, check)
            model.train()
            bits = [float(x) / np.log(2) for x in held[:2]]
            report(f"{step + 1} train bits {np.round(running[:2] / np.log(2), 3)} held out {np.round(bits, 3)}")
    return model.eval()
