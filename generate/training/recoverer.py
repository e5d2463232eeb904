"""Trains the recoverer on pairs of (tokens, damaged decoded sound): nothing about the tokenizer is needed.

Pairs are free: the decoder makes them from corpus tokens and from sampled tokens, at every voice, grid position and
damage. Sampled tokens are less smooth than a corpus; a recoverer that never heard them is weaker on what it is for.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...core.records import Float32Array, Int32Array
from ..pocket.acoustics import HOP_SAMPLES, SAMPLES_PER_TOKEN
from ..pocket.hearing import BANDS, Hearing
from ..pocket.recoverer_network import CELL_FRAMES, RecovererNetwork

_LOG = logging.getLogger(__name__)
CELL_SAMPLES = CELL_FRAMES * HOP_SAMPLES
CROP_CELLS = 128
BATCH = 16
SURPRISAL_WEIGHT = 0.05
Damage = Callable[[Float32Array, np.random.Generator], tuple[Float32Array, float]]
"""Samples in, (damaged samples, by how much they now run faster) out."""


@dataclass(frozen=True)
class Pair:
    """What was heard and what was said.

    `mel` (f, BANDS), `ids` (f // 2,) with -100 outside the speech, `surprisal_bits` (f // 2,) with NaN where the
    tokens were not sampled.
    """

    mel: np.ndarray
    ids: Int32Array
    surprisal_bits: Float32Array


def make_pair(
    tokens: Int32Array,
    surprisal_bits: Float32Array | None,
    sound: Float32Array,
    damage: Damage,
    hearing: Hearing,
    rng: np.random.Generator,
) -> Pair:
    """Damage `sound` (the decoded `tokens`), cut or pad its start by up to a token, and label each 20 ms cell."""
    damaged, speed = damage(sound, rng)
    shift = int(rng.integers(-SAMPLES_PER_TOKEN // 2, SAMPLES_PER_TOKEN // 2))
    damaged = np.pad(damaged, (shift, 0)) if shift >= 0 else damaged[-shift:]
    mel = hearing(torch.from_numpy(damaged)[None])[0].numpy().astype(np.float16)
    cells = len(mel) // CELL_FRAMES
    centre_samples = ((np.arange(cells) + 0.5) * CELL_SAMPLES - shift) * speed
    token = np.floor(centre_samples / SAMPLES_PER_TOKEN).astype(int)
    inside = (token >= 0) & (token < len(tokens))
    token = np.clip(token, 0, len(tokens) - 1)
    bits = surprisal_bits[token] if surprisal_bits is not None else np.full(cells, np.nan)
    ids = np.where(inside, tokens[token], -100).astype(np.int32)
    return Pair(mel, ids, np.where(inside, bits, np.nan).astype(np.float32))


def batch_of(pairs: Sequence[Pair], rng: np.random.Generator, size: int = BATCH) -> tuple[Tensor, Tensor, Tensor]:
    """Crops of 2.56 s: mel (b, 256, BANDS), ids (b, 128), surprisal (b, 128)."""
    mel = np.zeros((size, CROP_CELLS * CELL_FRAMES, BANDS), dtype=np.float32)
    ids = np.full((size, CROP_CELLS), -100, dtype=np.int64)
    bits = np.full((size, CROP_CELLS), np.nan, dtype=np.float32)
    for row in range(size):
        pair = pairs[int(rng.integers(len(pairs)))]
        start = int(rng.integers(0, max(1, len(pair.ids) - CROP_CELLS + 1)))
        part = pair.mel[start * CELL_FRAMES : (start + CROP_CELLS) * CELL_FRAMES]
        mel[row, : len(part)] = part
        labels = pair.ids[start : start + CROP_CELLS]
        ids[row, : len(labels)] = labels
        bits[row, : len(labels)] = pair.surprisal_bits[start : start + CROP_CELLS]
    return torch.from_numpy(mel), torch.from_numpy(ids), torch.from_numpy(bits)


def obscured(mel: Tensor, rng: np.random.Generator) -> Tensor:
    """The crops (b, t, BANDS) with noise, a tilt per band, and in half of them a band and a moment blotted out.

    After SpecAugment (Park et al. 2019): pairs are heard many times, and should not be known by heart.
    """
    size, frames, bands = mel.shape
    noise = rng.uniform(0, 0.25, (size, 1, 1)) * rng.standard_normal(mel.shape, dtype=np.float32)
    tilt = rng.uniform(0, 0.2, (size, 1, 1)) * rng.standard_normal((size, 1, bands))
    changed = mel.numpy() + (noise + tilt).astype(np.float32)
    for row in np.flatnonzero(rng.random(size) < 0.5):
        band, moment = int(rng.integers(bands - 16)), int(rng.integers(frames - 12))
        changed[row, :, band : band + int(rng.integers(1, 17))] = 0
        changed[row, moment : moment + int(rng.integers(1, 13))] = 0
    return torch.from_numpy(changed)


def losses(network: RecovererNetwork, batch: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Cross-entropy of the codes (nats), absolute error of the surprisal (bits), and the share guessed right."""
    mel, ids, bits = batch
    logits, surprisal = network(mel)
    flat = ids.flatten()
    code_loss = nn.functional.cross_entropy(logits.float().flatten(0, 1), flat, ignore_index=-100)
    known = ~torch.isnan(bits)
    error = (surprisal.float()[known] - bits[known]).abs().mean() if known.any() else code_loss.new_zeros(())
    right = (logits.argmax(-1).flatten() == flat)[flat >= 0].float().mean()
    return code_loss, error, right


class RecovererTraining:
    """A training run of `steps` batches of crops that can be stopped after any step and gone on with elsewhere.

    On a CPU the weights at the end are the same to the last bit, however often it was stopped.
    """

    def __init__(
        self,
        network: RecovererNetwork,
        pairs: Sequence[Pair],
        steps: int,
        seed: int,
        *,
        peak_rate: float = 2e-3,
        batch: int = BATCH,
        device: str = "cpu",
    ) -> None:
        """`peak_rate` is the highest learning rate, `batch` the crops per step, `device` torch's name of the place."""
        self.step = 0
        self.running = np.zeros(3)
        """Code loss, error of the surprisal and share right of the latest batches, smoothed over about 50."""
        self.network = network.to(device).train()
        self._pairs = pairs
        self._steps = steps
        self._peak_rate = peak_rate
        self._batch = batch
        self._device = torch.device(device)
        self._rng = np.random.default_rng(seed)
        self._optimiser = torch.optim.AdamW(network.parameters(), lr=peak_rate, betas=(0.9, 0.98), weight_decay=0.05)

    @property
    def is_done(self) -> bool:
        """Whether all steps are taken."""
        return self.step >= self._steps

    def advance(self) -> None:
        """One batch, one step."""
        for group in self._optimiser.param_groups:
            group["lr"] = self._peak_rate * _rate_at(self.step, self._steps)
        with torch.autocast(self._device.type, dtype=torch.bfloat16):
            mel, ids, bits = batch_of(self._pairs, self._rng, self._batch)
            batch = tuple(part.to(self._device) for part in (obscured(mel, self._rng), ids, bits))
            code_loss, error, right = losses(self.network, (batch[0], batch[1], batch[2]))
        self._optimiser.zero_grad()
        (code_loss + SURPRISAL_WEIGHT * error).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self._optimiser.step()
        self.running += 0.02 * (np.array([code_loss.item(), error.item(), right.item()]) - self.running)
        self.step += 1

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that the rest of the run depends on: tensors by name, and JSON values."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for index, moments in self._optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": value for name, value in moments.items()}
        about = {"step": self.step, "running": self.running.tolist(), "rng": self._rng.bit_generator.state}
        return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}, about

    def restore(self, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
        """Go on from what `state` gave. Raises `ValueError` for the state of another run's network."""
        try:
            network = {name.removeprefix("network."): t for name, t in tensors.items() if name.startswith("network.")}
            self.network.load_state_dict(network)
            moments: dict[int, dict[str, Tensor]] = {}
            for name, value in tensors.items():
                if name.startswith("optimiser."):
                    _, index, moment = name.split(".")
                    moments.setdefault(int(index), {})[moment] = value
            groups = self._optimiser.state_dict()["param_groups"]
            self._optimiser.load_state_dict({"state": moments, "param_groups": groups})
            self._rng.bit_generator.state = about["rng"]
            self.running = np.array(about["running"], dtype=np.float64)
            self.step = int(about["step"])
        except (RuntimeError, KeyError, TypeError) as error:
            raise ValueError(f"not the state of this training run ({str(error).splitlines()[0]})") from error


def train_recoverer(
    pairs: Sequence[Pair],
    held_out: Sequence[Pair],
    steps: int,
    seed: int,
    *,
    network: RecovererNetwork | None = None,
    peak_rate: float = 2e-3,
    report: Callable[[str], None] = _LOG.info,
) -> RecovererNetwork:
    """Train for `steps` batches of 16 crops; `peak_rate` is the highest learning rate.

    `network` goes on from its weights (None: a new one); `report` is told losses and accuracy every 250 steps.
    """
    torch.manual_seed(seed)
    network = network or RecovererNetwork()
    training = RecovererTraining(network, pairs, steps, seed, peak_rate=peak_rate)
    check = batch_of(held_out, np.random.default_rng(1), size=64)
    while not training.is_done:
        training.advance()
        if training.step % 250 == 0:
            network.eval()
            with torch.no_grad():
                held = [float(value) for value in losses(network, check)]
            network.train()
            report(f"{training.step} train {np.round(training.running, 3)} held out {np.round(held, 3)}")
    return network.eval()


def _rate_at(step: int, steps: int) -> float:
    """Share of the highest learning rate: up over 150 steps, level, then down over the last three quarters."""
    return min(1.0, (step + 1) / min(150, max(1, steps // 5))) * max(0.01, min(1.0, 1.3 * (1 - step / steps)))
