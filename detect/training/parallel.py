"""One process or several, each with its own device, joined as `torchrun` starts them.

`torchrun --nproc-per-node 4 -m covoguard train ...` sets RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT;
without them there is one process. The first one (rank 0) writes and reports.
"""

import gc
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch import distributed as dist

from ...core.errors import UsageError

DeviceChoice = Literal["auto", "cpu", "cuda"]
PATIENCE = timedelta(hours=2)
"""How long processes wait for another: the first one scores the held-out clips and writes alone."""


@dataclass(frozen=True)
class Processes:
    """One process among all; with `world` 1 every exchange gives back what it was given."""

    rank: int
    world: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this one writes and reports."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """The mean over all processes, without a gradient; a collective call."""
        values = values.detach().clone()
        if self.world > 1:
            dist.all_reduce(values)
            values /= self.world
        return values

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite the tensors of all with those of the first; a collective call."""
        if self.world > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    def wait(self) -> None:
        """Until all are here."""
        if self.world > 1:
            dist.barrier()

    def joined(self, module: nn.Module) -> nn.Module:
        """`module` with the mean of all processes' gradients, and on CUDA with batch norms over all their rows."""
        if self.world == 1:
            return module
        if self.device.type == "cuda":
            module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        return nn.parallel.DistributedDataParallel(
            module, device_ids=[self.device] if self.device.type == "cuda" else None, broadcast_buffers=False
        )


def is_first_process() -> bool:
    """Whether this process is the one that writes; also before and after the processes are joined."""
    return _from_environment("RANK", 0) == 0


def choose_device(choice: DeviceChoice) -> torch.device:
    """The device of this process: "auto" is CUDA where there is a device for it, else the CPU.

    Raises `UsageError` for another word, and for CUDA that is not there.
    """
    if choice not in get_args(DeviceChoice):
        raise UsageError(f"there is no device {choice!r}; give one of {', '.join(get_args(DeviceChoice))}")
    there = torch.cuda.is_available()
    if choice == "cpu" or (choice == "auto" and not there):
        return torch.device("cpu")
    if not there:
        raise UsageError("no CUDA device can be used here; give cpu, or install a driver and a torch build for it")
    index = _from_environment("LOCAL_RANK", 0)
    if index >= torch.cuda.device_count():
        raise UsageError(
            f"process {index} has no CUDA device of its own, there are {torch.cuda.device_count()}; "
            "start as many processes as devices"
        )
    return torch.device("cuda", index)


@contextmanager
def joined_processes(choice: DeviceChoice) -> Iterator[Processes]:
    """Join the processes that `torchrun` started, or stand alone; they part at the end.

    What `Processes.joined` gave must be let go before that.

    Raises `UsageError` as `choose_device`, and for variables of the environment that make no sense.
    """
    device = choose_device(choice)
    world, rank = _from_environment("WORLD_SIZE", 1), _from_environment("RANK", 0)
    if world == 1:
        yield Processes(0, 1, device)
        return
    if not 0 <= rank < world:
        raise UsageError(f"RANK is {rank} of WORLD_SIZE {world}; start the processes with torchrun")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    except (ValueError, RuntimeError) as error:
        raise UsageError(f"the {world} processes cannot meet ({error}); start them with torchrun") from error
    try:
        yield Processes(rank, world, device)
        # A thread of gloo may still hold the last tensor that was exchanged, and needs the interpreter to let it go;
        # a group that is taken down at that moment waits for that thread, and the thread for the interpreter.
        gc.collect()
        dist.barrier()
    finally:
        dist.destroy_process_group()


def _from_environment(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    try:
        return int(text)
    except ValueError as error:
        raise UsageError(f"{name} is {text!r} in the environment, not a number; start with torchrun") from error
