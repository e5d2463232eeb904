"""Trains the pocket codec: teacher features -> one of 1024 codes per 40 ms -> features.

A contextual VQ-VAE in the feature domain (van den Oord et al. 2017; codebook by moving averages, their appendix A)
with three additions, each for a reason measured before:
- a phone classifier on the bare code, because plain reconstruction spends its bits on what listeners do not need;
- an encoder that must choose the same code for a noisy copy, because codes that noise flips carry no mark;
- a recoverer in the loop that reads the codes from damaged decoder output, so that the decoder keeps them apart
  (the counterpart of reverse cycle consistency in Jovanovic et al. 2025, arXiv 2506.16349).
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ...core.records import Float32Array, Int32Array
from ..pocket.acoustics import FRAMES_PER_TOKEN, MEL_BANDS, VOICES
from .codec_network import CODE_WIDTH, CodecTrainer
from .corpus import Utterance
from .variation import vary

_LOG = logging.getLogger(__name__)
CROP_TOKENS = 48
BATCH = 16
WARM_UP_STEPS = 400
"""Steps without quantisation; the codebook then starts from the encoder's own outputs."""


@dataclass(frozen=True)
class Normalisation:
    """Per voice mean (voices, TRACKS) and deviation (voices, TRACKS) of the features; voicing is left as it is."""

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, utterances: list[Utterance]) -> "Normalisation":
        """Measured on every fourth utterance."""
        means, deviations = [], []
        for voice in VOICES:
            parts = [vary(u, np.random.default_rng(0))[0] for u in utterances[::4] if u.voice == voice]
            stacked = np.concatenate(parts)
            speech = stacked[stacked[:, :MEL_BANDS].mean(1) > -9]
            mean, deviation = speech.mean(0), speech.std(0)
            mean[:MEL_BANDS], deviation[:MEL_BANDS] = speech[:, :MEL_BANDS].mean(0), speech[:, :MEL_BANDS].std()
            mean[-2], deviation[-2] = 0, 1
            means.append(mean)
            deviations.append(deviation)
        return cls(torch.tensor(np.stack(means)), torch.tensor(np.stack(deviations)))

    def apply(self, frames: Tensor, voice: Tensor) -> Tensor:
        """(b, t, TRACKS) of voices (b,) to normalised units."""
        return (frames - self.mean[voice][:, None]) / self.deviation[voice][:, None]


def damaged(frames: Tensor, generator: torch.Generator) -> Tensor:
    """Normalised frames after a bad line: a noise floor, a gain per band, blurred pitch. Gradients pass through."""
    batch = frames.shape[0]
    noise_level = torch.rand(batch, 1, 1, generator=generator) * 4.0 - 3.5
    tilt = 0.3 * torch.randn(batch, 1, MEL_BANDS, generator=generator)
    hiss = 0.25 * torch.randn(frames.shape[0], frames.shape[1], MEL_BANDS, generator=generator)
    bands = torch.logaddexp(frames[..., :MEL_BANDS] * 2, 2 * (noise_level + hiss)) / 2 + tilt
    tracks = frames[..., MEL_BANDS:] + 0.25 * torch.randn(frames.shape[0], frames.shape[1], 3, generator=generator)
    return torch.cat([bands + 0.1 * hiss, tracks], dim=-1)


def reconstruction_loss(made: Tensor, frames: Tensor) -> Tensor:
    """L1 on envelope and its slopes, pitch where voiced, voicing as a decision, breath."""
    bands_made, bands = made[..., :MEL_BANDS], frames[..., :MEL_BANDS]
    slopes = (bands_made.diff(dim=1) - bands.diff(dim=1)).abs().mean()
    ripple = (bands_made.diff(dim=2) - bands.diff(dim=2)).abs().mean()
    voiced = frames[..., -2].clamp(0, 1)
    pitch = ((made[..., -3] - frames[..., -3]).abs() * voiced).sum() / voiced.sum().clamp(min=1)
    voicing = nn.functional.binary_cross_entropy_with_logits(made[..., -2], voiced)
    breath = ((made[..., -1] - frames[..., -1]).abs() * voiced).sum() / voiced.sum().clamp(min=1)
    return (bands_made - bands).abs().mean() + 0.3 * slopes + 0.5 * ripple + 0.2 * pitch + 0.2 * voicing + 0.05 * breath


def batch_of(
    utterances: list[Utterance], phone_ids: dict[str, int], rng: np.random.Generator, *, size: int = BATCH
) -> tuple[Tensor, Tensor, Tensor]:
    """Frames (b, CROP_TOKENS * 4, TRACKS), voices (b,), phone classes (b, CROP_TOKENS, 2)."""
    crops: list[Float32Array] = []
    voices: list[int] = []
    phones: list[np.ndarray] = []
    length = CROP_TOKENS * FRAMES_PER_TOKEN
    while len(crops) < size:
        utterance = utterances[int(rng.integers(len(utterances)))]
        frames, phone_index, _ = vary(utterance, rng)
        if len(frames) < length:
            continue
        start = int(rng.integers(0, (len(frames) - length) // FRAMES_PER_TOKEN + 1)) * FRAMES_PER_TOKEN
        crops.append(frames[start : start + length])
        voices.append(VOICES.index(utterance.voice))
        names = np.array([phone_ids[name] for name in utterance.phones])[phone_index[start : start + length]]
        phones.append(names.reshape(-1, FRAMES_PER_TOKEN)[:, [0, 2]])
    return torch.tensor(np.stack(crops)), torch.tensor(voices), torch.tensor(np.stack(phones)).long()


@dataclass
class Losses:
    """Running means for the log."""

    reconstruction: float = 0.0
    phone_accuracy: float = 0.0
    read_accuracy: float = 0.0
    robust_share: float = 0.0

    def update(self, values: Mapping[str, float]) -> None:
        """Move each mean towards its value by a twentieth."""
        for name, value in values.items():
            setattr(self, name, 0.95 * getattr(self, name) + 0.05 * value)


def train_codec(
    utterances: list[Utterance],
    steps: int,
    seed: int,
    *,
    read_weight: float = 0.1,
    report: Callable[[str], None] = _LOG.info,
) -> tuple[CodecTrainer, Normalisation, tuple[str, ...]]:
    """Train on `utterances`; -> the trainer, the normalisation, and flite's phone names in class order.

    `read_weight` is the weight of the recoverer in the loop; `report` is told the losses every 100 steps.
    """
    torch.manual_seed(seed)
    generator, rng = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    names = tuple(sorted({name for u in utterances for name in u.phones}))
    phone_ids = {name: index for index, name in enumerate(names)}
    normalisation = Normalisation.of(utterances)
    trainer = CodecTrainer(len(names))
    optimiser = torch.optim.AdamW(trainer.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / 100) * (1 - step / (steps + 1)) ** 0.7 + 0.005
    )
    running = Losses()
    for step in range(steps):
        frames, voices, phones = batch_of(utterances, phone_ids, rng)
        frames = normalisation.apply(frames, voices)
        if step == WARM_UP_STEPS:
            _start_codebook(trainer, utterances, phone_ids, normalisation, rng, generator)
        loss, values = _losses(trainer, frames, voices, phones, step, generator, read_weight)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(trainer.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        running.update(values)
        if step % 100 == 99:
            report(f"{step + 1} {running}")
    trainer.finished_decoder()
    return trainer.eval(), normalisation, names


def _start_codebook(
    trainer: CodecTrainer,
    utterances: list[Utterance],
    phone_ids: dict[str, int],
    normalisation: Normalisation,
    rng: np.random.Generator,
    generator: torch.Generator,
) -> None:
    with torch.no_grad():
        frames, voices, _ = batch_of(utterances, phone_ids, rng, size=500)
        vectors = trainer.encoder(normalisation.apply(frames, voices)).reshape(-1, CODE_WIDTH)
        trainer.codebook.start_from(vectors, generator)


def _losses(
    trainer: CodecTrainer,
    frames: Tensor,
    voices: Tensor,
    phones: Tensor,
    step: int,
    generator: torch.Generator,
    read_weight: float,
) -> tuple[Tensor, dict[str, float]]:
    quantised = step >= WARM_UP_STEPS
    with torch.autocast("cpu", dtype=torch.bfloat16):
        vectors = trainer.encoder(frames).float()
        noisy = trainer.encoder(damaged(frames, generator)).float()
        codes, commitment, values = vectors, 1e-3 * (vectors**2).mean(), {}
        if quantised:
            ids = trainer.codebook.nearest(vectors.detach())
            chosen = trainer.codebook.vectors[ids].clone()
            commitment = 0.25 * ((vectors - chosen) ** 2).mean() + 0.1 * ((noisy - chosen) ** 2).mean()
            codes = vectors + (chosen - vectors).detach()
            trainer.codebook.follow(vectors.detach(), ids, generator)
            values["robust_share"] = (trainer.codebook.nearest(noisy.detach()) == ids).float().mean().item()
        made = trainer.decoder.from_embeddings(trainer.embed(codes), voices).float()
        phone_logits = trainer.phones(codes).float().reshape(*phones.shape, -1)
        loss = reconstruction_loss(made, frames) + commitment
        values["reconstruction"] = (made[..., :MEL_BANDS] - frames[..., :MEL_BANDS]).abs().mean().item()
        loss = loss + 0.1 * nn.functional.cross_entropy(phone_logits.flatten(0, 2), phones.flatten())
        values["phone_accuracy"] = (phone_logits.argmax(-1) == phones).float().mean().item()
        if quantised:
            voicing = torch.sigmoid(made[..., -2:-1])
            heard = torch.cat([made[..., :-2], voicing, made[..., -1:]], dim=-1)
            logits = trainer.read(damaged(heard, generator)).float()
            loss = loss + read_weight * nn.functional.cross_entropy(logits.flatten(0, 1), ids.flatten())
            values["read_accuracy"] = (logits.argmax(-1) == ids).float().mean().item()
    return loss, values


@torch.no_grad()
def tokens_of(trainer: CodecTrainer, normalisation: Normalisation, frames: Float32Array, voice: str) -> Int32Array:
    """Ids (t,) of frames (t * 4, TRACKS) spoken by `voice`."""
    voices = torch.tensor([VOICES.index(voice)])
    vectors = trainer.encoder(normalisation.apply(torch.tensor(frames)[None], voices))
    ids: Int32Array = trainer.codebook.nearest(vectors)[0].numpy().astype(np.int32)
    return ids


def save_codec(path: Path, trainer: CodecTrainer, normalisation: Normalisation) -> None:
    """Keep the state between training steps (not the shipped form)."""
    from safetensors.torch import save_file

    state = {name: tensor.contiguous() for name, tensor in trainer.state_dict().items()}
    save_file(state | {"mean": normalisation.mean, "deviation": normalisation.deviation}, path)


def load_codec(path: Path) -> tuple[CodecTrainer, Normalisation]:
    """Read what `save_codec` wrote."""
    from safetensors.torch import load_file

    state = load_file(path)
    normalisation = Normalisation(state.pop("mean"), state.pop("deviation"))
    trainer = CodecTrainer(state["phones.weight"].shape[0] // 2)
    trainer.load_state_dict(state)
    return trainer.eval(), normalisation
