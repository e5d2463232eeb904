"""Trains the pocket codec: teacher features -> one of 1024 codes per 40 ms -> features.

A contextual VQ-VAE in the feature domain (van den Oord et al. 2017; codebook by moving averages, their appendix A)
with three additions, each for a reason measured before:
- a phone classifier on the bare code, because plain reconstruction spends its bits on what listeners do not need;
- an encoder that must choose the same code for a noisy copy, because codes that noise flips carry no mark;
- a recoverer in the loop that reads the codes from damaged decoder output, so that the decoder keeps them apart
  (the counterpart of reverse cycle consistency in Jovanovic et al. 2025, arXiv 2506.16349).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..pocket.acoustics import CODEBOOK_SIZE, FRAMES_PER_TOKEN, MEL_BANDS, VOICES
from ..pocket.blocks import ConvNextBlock
from ..pocket.decoder import TRACKS, DecoderNetwork
from .corpus import Utterance
from .variation import vary

CODE_WIDTH = 32
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


class Encoder(nn.Module):
    """Normalised frames (b, t * 4, TRACKS) to one vector (b, t, CODE_WIDTH) per token; sees two tokens either side."""

    def __init__(self, width: int = 192) -> None:
        super().__init__()
        self.stack = nn.Linear(FRAMES_PER_TOKEN * TRACKS, width)
        self.blocks = nn.ModuleList(ConvNextBlock(width, kernel=3) for _ in range(2))
        self.code = nn.Linear(width, CODE_WIDTH)

    def forward(self, frames: Tensor) -> Tensor:
        """Vectors before quantisation."""
        hidden = self.stack(frames.reshape(frames.shape[0], -1, FRAMES_PER_TOKEN * TRACKS))
        for block in self.blocks:
            hidden = block(hidden)
        code: Tensor = self.code(hidden)
        return code


class Codebook(nn.Module):
    """1024 vectors that follow the mean of what is assigned to them; codes that fall out of use are moved."""

    def __init__(self, decay: float = 0.98) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("vectors", torch.zeros(CODEBOOK_SIZE, CODE_WIDTH))
        self.register_buffer("counts", torch.ones(CODEBOOK_SIZE))

    def start_from(self, vectors: Tensor, generator: torch.Generator) -> None:
        """A few k-means rounds over encoder outputs (n, CODE_WIDTH)."""
        self.vectors.copy_(vectors[torch.randperm(len(vectors), generator=generator)[:CODEBOOK_SIZE]])
        for _ in range(12):
            ids = self.nearest(vectors)
            sums = torch.zeros_like(self.vectors).index_add_(0, ids, vectors)
            counts = torch.bincount(ids, minlength=CODEBOOK_SIZE).float()
            used = counts > 0
            self.vectors[used] = sums[used] / counts[used, None]
            lost = (~used).nonzero()[:, 0]
            self.vectors[lost] = vectors[torch.randint(len(vectors), (len(lost),), generator=generator)]
        self.counts.fill_(1.0)

    def distances(self, vectors: Tensor) -> Tensor:
        """Squared distances (..., CODEBOOK_SIZE)."""
        return (vectors**2).sum(-1, keepdim=True) - 2 * vectors @ self.vectors.T + (self.vectors**2).sum(-1)

    def nearest(self, vectors: Tensor) -> Tensor:
        """Ids (...)."""
        return self.distances(vectors).argmin(-1)

    @torch.no_grad()
    def follow(self, vectors: Tensor, ids: Tensor, generator: torch.Generator) -> None:
        """One moving-average step."""
        flat, flat_ids = vectors.reshape(-1, CODE_WIDTH).float(), ids.reshape(-1)
        counts = torch.bincount(flat_ids, minlength=CODEBOOK_SIZE).float()
        sums = torch.zeros_like(self.vectors).index_add_(0, flat_ids, flat)
        seen = counts > 0
        weight = (1 - self.decay) * counts[seen] / (self.counts[seen] * self.decay + (1 - self.decay) * counts[seen])
        self.vectors[seen] += weight[:, None] * (sums[seen] / counts[seen, None] - self.vectors[seen])
        self.counts.mul_(self.decay).add_(counts, alpha=1 - self.decay)
        lost = (self.counts < 0.02).nonzero()[:, 0]
        if len(lost):
            self.vectors[lost] = flat[torch.randint(len(flat), (len(lost),), generator=generator)]
            self.counts[lost] = 1.0


class CodecTrainer(nn.Module):
    """Everything that is trained together; only the encoder, the codebook and the decoder are kept."""

    def __init__(self, phone_classes: int) -> None:
        super().__init__()
        self.encoder, self.codebook, self.decoder = Encoder(), Codebook(), DecoderNetwork()
        self.embed = nn.Linear(CODE_WIDTH, self.decoder.tokens.embedding_dim)
        self.phones = nn.Linear(CODE_WIDTH, 2 * phone_classes)
        self.reader_in = nn.Linear(FRAMES_PER_TOKEN * TRACKS, 128)
        self.reader = nn.ModuleList(ConvNextBlock(128) for _ in range(2))
        self.reader_out = nn.Linear(128, CODEBOOK_SIZE)

    def read(self, frames: Tensor) -> Tensor:
        """The recoverer in the loop: logits (b, t, CODEBOOK_SIZE) from frames."""
        hidden = self.reader_in(frames.reshape(frames.shape[0], -1, FRAMES_PER_TOKEN * TRACKS))
        for block in self.reader:
            hidden = block(hidden)
        logits: Tensor = self.reader_out(hidden)
        return logits

    def finished_decoder(self) -> DecoderNetwork:
        """The decoder with its token embeddings filled from the codebook."""
        with torch.no_grad():
            self.decoder.tokens.weight.copy_(self.embed(self.codebook.vectors))
        return self.decoder


def damaged(frames: Tensor, generator: torch.Generator) -> Tensor:
    """Normalised frames as a bad line would leave them: a noise floor, a gain per band, blurred pitch. Differentiable."""
    batch, _, _ = frames.shape
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
    crops, voices, phones = [], [], []
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

    def update(self, **values: float) -> None:
        for name, value in values.items():
            setattr(self, name, 0.95 * getattr(self, name) + 0.05 * value)


def train_codec(
    utterances: list[Utterance], steps: int, seed: int, *, read_weight: float = 0.1, report: bool = True
) -> tuple[CodecTrainer, Normalisation, tuple[str, ...]]:
    """Train on `utterances`; -> the trainer, the normalisation, and flite's phone names in class order."""
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
        loss.backward()
        nn.utils.clip_grad_norm_(trainer.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        running.update(**values)
        if report and step % 100 == 99:
            print(step + 1, running, flush=True)
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
def tokens_of(trainer: CodecTrainer, normalisation: Normalisation, frames: np.ndarray, voice: str) -> np.ndarray:
    """Ids (t,) int32 of frames (t * 4, TRACKS) spoken by `voice`."""
    voices = torch.tensor([VOICES.index(voice)])
    vectors = trainer.encoder(normalisation.apply(torch.tensor(frames)[None], voices))
    ids: np.ndarray = trainer.codebook.nearest(vectors)[0].numpy().astype(np.int32)
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
