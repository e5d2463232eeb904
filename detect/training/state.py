"""All that changes while a network is trained, and how it is put into a checkpoint and taken out again."""

import copy
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from ...core.errors import IntegrityError
from .checkpoint import Checkpoint, Course
from .losses import ADVERSARY_HASTE, TrainingObjective
from .networks import DetectorNetwork
from .parallel import Processes
from .recipe import TrainingRecipe

_EARLY_STEPS = 10
"""While the average is young its decay is (1 + step) / (10 + step), so that it forgets the random beginning."""


class TrainingState:
    """Network, heads, moving average, optimiser, gradient scaler, best weights so far, and the course."""

    def __init__(self, objective: TrainingObjective, recipe: TrainingRecipe, processes: Processes) -> None:
        """At step 0, on the processes' device."""
        self._recipe, self._processes = recipe, processes
        self._frozen = {name for name, each in objective.network.named_parameters() if not each.requires_grad}
        self.average: DetectorNetwork = copy.deepcopy(objective.network).to(processes.device)
        self.average.requires_grad_(False).eval()
        self.objective = objective.to(processes.device)
        self.model: nn.Module = processes.joined(self.objective)
        self.optimiser = torch.optim.AdamW(_parameter_groups(self.objective, recipe), lr=recipe.learning_rate)
        self.scaler = GradScaler(processes.device.type, enabled=recipe.precision == "float16")
        self.best: dict[str, Tensor] | None = None
        self.course = Course()

    def average_in(self) -> None:
        """Let the average follow the network by one step; what batch norms have counted is copied."""
        step = self.course.step
        decay = min(self._recipe.average_decay, (1 + step) / (_EARLY_STEPS + step))
        average_into(self.average, self.objective.network, decay)

    def keep_best(self) -> None:
        """Remember the average as it is now, on the CPU."""
        self.best = {name: value.to("cpu", copy=True) for name, value in self._changing(self.average).items()}

    def checkpoint(self) -> Checkpoint:
        """The present moment; weights that are frozen are left out, since they are as they were at the beginning."""
        tensors = {f"average.{name}": value for name, value in self._changing(self.average).items()}
        tensors |= {f"network.{name}": value for name, value in self._changing(self.objective.network).items()}
        tensors |= {f"heads.{name}": value for name, value in self._heads().items()}
        tensors |= {f"best.{name}": value for name, value in (self.best or {}).items()}
        for index, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": value for name, value in moments.items()}
        scaler = self.scaler.state_dict()  # empty where it is not used
        course = replace(self.course, loss_scale=scaler.get("scale"), loss_scale_age=scaler.get("_growth_tracker", 0))
        return Checkpoint(course, {name: value.cpu() for name, value in tensors.items()})

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to a moment. Raises `IntegrityError` when it is not one of such a training."""
        parts: dict[str, dict[str, Tensor]] = {}
        for name, value in checkpoint.tensors.items():
            part, _, rest = name.partition(".")
            parts.setdefault(part, {})[rest] = value
        try:
            _overwrite(self._changing(self.average), parts.pop("average"))
            _overwrite(self._changing(self.objective.network), parts.pop("network"))
            _overwrite(self._heads(), parts.pop("heads", {}))
            self._restore_optimiser(parts.pop("optimiser", {}))
        except (KeyError, ValueError, RuntimeError) as error:
            raise IntegrityError(f"the checkpoint does not fit its own training ({error}); begin anew") from error
        self.best = parts.pop("best", None)
        self.course = checkpoint.course
        if self.course.loss_scale is not None:
            scale = {"scale": self.course.loss_scale, "_growth_tracker": self.course.loss_scale_age}
            self.scaler.load_state_dict({**self.scaler.state_dict(), **scale})

    def result(self) -> DetectorNetwork:
        """The best average, or the last where none was measured; the same in every process, on the CPU: the end."""
        self.model = self.objective  # lets go of the other processes
        kept = self._changing(self.average)
        if self.best is not None:
            _overwrite(kept, self.best)
        self._processes.share(kept.values())
        return self.average.cpu()

    def _changing(self, network: DetectorNetwork) -> dict[str, Tensor]:
        return {name: value for name, value in network.state_dict().items() if name not in self._frozen}

    def _heads(self) -> dict[str, Tensor]:
        state = self.objective.state_dict()
        return {name: value for name, value in state.items() if not name.startswith("network.")}

    def _restore_optimiser(self, moments: Mapping[str, Tensor]) -> None:
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in moments.items():
            index, _, rest = name.partition(".")
            state.setdefault(int(index), {})[rest] = value
        self.optimiser.load_state_dict({"state": state, "param_groups": self.optimiser.state_dict()["param_groups"]})


@torch.no_grad()
def average_into(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the weights of `average` towards those of `network` by the share 1 - `decay`; copy the buffers."""
    followed, kept = dict(network.named_parameters()), dict(average.named_parameters())
    for name, value in kept.items():
        value.lerp_(followed[name], 1.0 - decay)
    counted = network.state_dict()
    for name, value in average.state_dict().items():
        if name not in kept:
            value.copy_(counted[name])


def _parameter_groups(objective: nn.Module, recipe: TrainingRecipe) -> list[dict[str, object]]:
    """Weight decay is not for biases and scales of norms; `haste` is a factor on the learning rate."""
    groups = []
    trained = [(name, each) for name, each in objective.named_parameters() if each.requires_grad]
    for adversary, haste in ((False, 1.0), (True, ADVERSARY_HASTE)):
        part = [each for name, each in trained if name.startswith("source_head.") == adversary]
        groups += [
            {"params": [each for each in part if each.ndim >= 2], "weight_decay": recipe.weight_decay, "haste": haste},
            {"params": [each for each in part if each.ndim < 2], "weight_decay": 0.0, "haste": haste},
        ]
    return [group for group in groups if group["params"]]


@torch.no_grad()
def _overwrite(there: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    if there.keys() != values.keys():
        raise KeyError(", ".join(sorted(there.keys() ^ values.keys())))
    for name, tensor in there.items():
        tensor.copy_(values[name])
