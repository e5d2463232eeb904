"""Trains any network of this package on genuine speech: first for likeness, then against judges as well.

Without the judges a copy is a blurred recording; with them it has the flaws of real vocoders, and those are what a
detector should learn from. The state between two steps can be kept and taken up again.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from .discriminators import Judges, fooling_losses, judges_loss
from .levels import LEVEL_RMS
from .losses import SpectralLoss
from .network import CopierNetwork

Int16Array = npt.NDArray[np.int16]

_GAIN_DB = 6.0
"""Crops are this much louder or softer than the level at which copies are made, at most."""
_LIKENESS_WEIGHT, _FOOLING_WEIGHT, _MATCHING_WEIGHT = 10.0, 1.0, 1.0
_BETAS = (0.8, 0.99)
_LARGEST_GRADIENT = 10.0
_WARM_UP_STEPS = 50
_AVERAGE_DECAY = 0.998
_RUNNING_DECAY = 0.98


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that shapes a training, so that a card can state it."""

    seed: int = 1
    minutes: float | None = 15.0
    """How long it takes, over all its runs; None: `steps` says when to stop."""
    steps: int | None = None
    batch: int = 6
    crop_samples: int = 8192
    learning_rate: float = 2e-3
    """Of the network; of the judges half of it."""
    judged_from: float = 0.3
    """Share of the training after which the judges take part."""


class CopierTraining:
    """One training, step by step: the same clips, plan of steps and seed give the same weights on one machine."""

    def __init__(self, network: CopierNetwork, clips: Sequence[Int16Array], plan: TrainingPlan) -> None:
        """`clips` (n,) at 16 kHz, none silent; shorter ones than a crop are lengthened by silence."""
        self.network, self.plan = network, plan
        self._clips = clips
        self._weights = torch.tensor([float(len(clip)) for clip in clips], dtype=torch.float64)
        self._generator = torch.Generator().manual_seed(plan.seed)
        self._likeness = SpectralLoss()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(plan.seed)
            self._judges = Judges()
        self._average = {name: each.detach().clone() for name, each in network.named_parameters()}
        self._optimisers = {
            "network": torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, betas=_BETAS),
            "judges": torch.optim.AdamW(self._judges.parameters(), lr=plan.learning_rate / 2, betas=_BETAS),
        }
        self.step, self.seconds = 0, 0.0
        self.running: dict[str, float] = {}
        """Running means of the losses by name."""

    @property
    def done(self) -> float:
        """Share of the training that is behind, 0 to 1."""
        if self.plan.steps is not None:
            return min(1.0, self.step / self.plan.steps)
        if self.plan.minutes is None:
            raise ValueError("a plan needs minutes or steps")
        return min(1.0, self.seconds / (60 * self.plan.minutes))

    def advance(self) -> None:
        """One step."""
        started = time.perf_counter()
        genuine = self._batch()
        self._set_learning_rates()
        judges = self._judges.drawn(self._generator) if self.done >= self.plan.judged_from else []
        losses = self._step(genuine, judges)
        self.step += 1
        self._follow()
        for name, value in losses.items():
            earlier = self.running.get(name, value)
            self.running[name] = _RUNNING_DECAY * earlier + (1 - _RUNNING_DECAY) * value
        self.seconds += time.perf_counter() - started

    def finished(self) -> CopierNetwork:
        """The network with the moving average of its weights, ready for use."""
        parameters = dict(self.network.named_parameters())
        with torch.no_grad():
            for name, average in self._average.items():
                parameters[name].copy_(average)
        return self.network.eval()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that `restore` needs: tensors by name, and JSON values."""
        tensors = {f"network/{name}": each for name, each in self.network.state_dict().items()}
        tensors |= {f"judges/{name}": each for name, each in self._judges.state_dict().items()}
        tensors |= {f"average/{name}": each for name, each in self._average.items()}
        for which, optimiser in self._optimisers.items():
            for index, kept in optimiser.state_dict()["state"].items():
                tensors |= {f"optimiser/{which}/{index}/{name}": each for name, each in kept.items()}
        tensors["generator"] = self._generator.get_state()
        about = {"step": self.step, "seconds": self.seconds, "running": self.running}
        return {name: each.detach().clone().contiguous() for name, each in tensors.items()}, about

    def restore(self, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
        """Take up a `state`. Raises `ValueError` where it is of another network."""
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "judges": {}, "average": {}, "optimiser": {}}
        try:
            for name, each in tensors.items():
                part, _, rest = name.partition("/")
                if rest:
                    parts[part][rest] = each
            self.network.load_state_dict(parts["network"])
            self._judges.load_state_dict(parts["judges"])
            self._average = {name: parts["average"][name].clone() for name in self._average}
            self._generator.set_state(tensors["generator"])
            self.step, self.seconds = int(about["step"]), float(about["seconds"])
            self.running = {str(name): float(value) for name, value in about["running"].items()}
        except (KeyError, RuntimeError, TypeError, AttributeError) as error:
            raise ValueError(f"not the state of this training ({error})") from error
        for which, optimiser in self._optimisers.items():
            kept = optimiser.state_dict()
            kept["state"] = _by_index(parts["optimiser"], which)
            optimiser.load_state_dict(kept)

    def _batch(self) -> Tensor:
        """Crops (batch, crop_samples), each near the level at which copies are made."""
        chosen = torch.multinomial(self._weights, self.plan.batch, replacement=True, generator=self._generator)
        places = torch.rand(self.plan.batch, generator=self._generator)
        gains_db = _GAIN_DB * (2 * torch.rand(self.plan.batch, generator=self._generator) - 1)
        length = self.plan.crop_samples
        crops = torch.zeros(self.plan.batch, length)
        for row, index in enumerate(chosen.tolist()):
            clip = self._clips[index]
            start = int(places[row] * max(1, len(clip) - length + 1))
            cut = torch.from_numpy(clip[start : start + length].astype(np.float32) / 32768)
            level = float(np.sqrt(np.mean(np.square(clip, dtype=np.float64)))) / 32768
            crops[row, : len(cut)] = cut * (LEVEL_RMS / level * 10 ** (float(gains_db[row]) / 20))
        return crops

    def _set_learning_rates(self) -> None:
        """A short rise, then half a cosine down to a twentieth."""
        factor = 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * self.done))
        factor *= min(1.0, (self.step + 1) / _WARM_UP_STEPS)
        for which, optimiser in self._optimisers.items():
            rate = self.plan.learning_rate / (1 if which == "network" else 2)
            for group in optimiser.param_groups:
                group["lr"] = rate * factor

    def _step(self, genuine: Tensor, judges: list[nn.Module]) -> dict[str, float]:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rehearsal = self.network.rehearse(genuine, self._generator)
        loss, losses = rehearsal.loss, {"own": float(rehearsal.loss.detach())}
        made = rehearsal.sound
        if made is not None:
            likeness = self._likeness(made, genuine)
            loss = loss + _LIKENESS_WEIGHT * likeness
            losses["likeness"] = float(likeness.detach())
        if made is not None and judges:
            losses["judges"] = self._improve_judges(judges, made, genuine)
            self._judges.requires_grad_(False)  # they only pass the gradient on: half the work
            with torch.autocast("cpu", dtype=torch.bfloat16):
                fooling, matching = fooling_losses(judges, made, genuine)
            loss = loss + _FOOLING_WEIGHT * fooling + _MATCHING_WEIGHT * matching
            losses |= {"fooling": float(fooling.detach()), "matching": float(matching.detach())}
        self._apply("network", loss, self.network)
        return losses

    def _improve_judges(self, judges: list[nn.Module], made: Tensor, genuine: Tensor) -> float:
        self._judges.requires_grad_(True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = judges_loss(judges, made, genuine)
        self._apply("judges", loss, self._judges)
        return float(loss.detach())

    def _apply(self, which: str, loss: Tensor, module: nn.Module) -> None:
        optimiser = self._optimisers[which]
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(module.parameters(), _LARGEST_GRADIENT)
        if math.isfinite(float(norm)):  # one bad batch spoils nothing
            optimiser.step()

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average towards the weights, faster at first."""
        decay = min(_AVERAGE_DECAY, (1 + self.step) / (10 + self.step))
        for name, each in self.network.named_parameters():
            self._average[name].lerp_(each, 1 - decay)


def _by_index(tensors: Mapping[str, Tensor], which: str) -> dict[int, dict[str, Tensor]]:
    kept: dict[int, dict[str, Tensor]] = {}
    for name, each in tensors.items():
        part, index, key = name.split("/")
        if part == which:
            kept.setdefault(int(index), {})[key] = each
    return kept
