"""Draws of a library that knows only torch's global generators, seeded for one call and put back after it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@contextmanager
def seeded(seed: int, device: "torch.device") -> Iterator[None]:
    """Seed the generators of the CPU and of `device`; afterwards they are as if nothing had been drawn."""
    import torch

    gpus = [torch.cuda.current_device() if device.index is None else device.index] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        torch.default_generator.manual_seed(seed)
        for gpu in gpus:
            torch.cuda.default_generators[gpu].manual_seed(seed)
        yield
