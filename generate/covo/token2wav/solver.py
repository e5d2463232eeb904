"""The flow's differential equation from noise to latents: midpoint steps on an even grid, with guidance.

As the official decoder solves it with torchdiffeq's `midpoint` on `linspace(0, 1, steps)`: `steps` points are
`steps - 1` steps of two evaluations each, and an evaluation gives the velocity with and without tokens (classifier-free
guidance, Ho and Salimans 2022). Nothing here waits for the device.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .flow import FlowPlan, FlowTransformer


@dataclass(frozen=True)
class Guidance:
    """v = c + strength * (c - u), c with and u without the tokens; `rescale`: v at the standard deviation of c."""

    strength: float
    rescale: bool

    def __call__(self, velocities: Tensor, plan: FlowPlan) -> Tensor:
        """Velocities (2, t, latent width) to one (t, latent width)."""
        with_tokens, without = velocities
        guided: Tensor = with_tokens + self.strength * (with_tokens - without)
        if not self.rescale:
            return guided
        # over all numbers of a clip, its prompt's included, as in the official decoder
        scales = [with_tokens[start:end].std() / guided[start:end].std() for start, end in plan.frames.spans]
        parts = [guided[start:end] * scale for (start, end), scale in zip(plan.frames.spans, scales, strict=True)]
        return torch.cat(parts)


def evaluation_times(steps: int) -> Tensor:
    """Times of all evaluations, (2 * (steps - 1),) on the CPU: the beginning and the middle of each step."""
    grid = torch.linspace(0, 1, steps, device="cpu")
    start, size = grid[:-1], grid.diff()
    return torch.stack([start, start + size / 2], dim=1).flatten()


def solve(flow: FlowTransformer, plan: FlowPlan, noise: Tensor, steps: int, guidance: Guidance) -> Iterator[Tensor]:
    """The latents (t, latent width), float32, at each of the `steps` points; the first are `noise`, the last final.

    `plan` was made for `evaluation_times(steps)`.
    """
    state = noise
    yield state
    for step, size in enumerate(torch.linspace(0, 1, steps, device="cpu").diff().tolist()):
        slope = guidance(flow.velocities(plan, state, 2 * step), plan)
        middle = torch.add(state, slope, alpha=size / 2)
        slope = guidance(flow.velocities(plan, middle, 2 * step + 1), plan)
        state = torch.add(state, slope, alpha=size)
        yield state
