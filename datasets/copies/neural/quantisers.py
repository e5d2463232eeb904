"""Quantisers: frames to code numbers and back, with gradients that pass straight through the rounding."""

import torch
from torch import Tensor, nn

_COMMITMENT = 0.25
_FREE_PASSES = 250
_FARTHEST = 3.0


class ResidualQuantiser(nn.Module):
    """Several codebooks in a row, each of which codes what the earlier ones left over.

    Zeghidour et al. 2021, "SoundStream", arXiv 2107.03312, section III-C: quantisers are left out at random while
    training. The first passes of training are not quantised; the codebooks then begin where the frames lie, since
    codes far from all frames would never be used, and frames that still move fast leave their codes behind. The codes
    lie in a narrow space, as in Kumar et al. 2023, "High-fidelity audio compression with improved RVQGAN", arXiv
    2306.06546, section 3.2.
    """

    passes: Tensor

    def __init__(
        self, width: int, codes: int, depth: int, *, code_width: int = 16, free_passes: int = _FREE_PASSES
    ) -> None:
        """`depth` codebooks of `codes` vectors each; the first `free_passes` of training are not quantised."""
        super().__init__()
        self.depth, self.codes, self.free_passes = depth, codes, free_passes
        self.narrow, self.widen = nn.Linear(width, code_width), nn.Linear(code_width, width)
        self.codebooks = nn.ParameterList(nn.Parameter(torch.randn(codes, code_width)) for _ in range(depth))
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))

    def forward(self, frames: Tensor, depths: Tensor) -> tuple[Tensor, Tensor]:
        """(b, t, width), depths (b,) -> what the first `depths` codebooks make of each row, and the scalar loss."""
        wanted = self._placed(frames)
        loss = wanted.new_zeros(())
        begins = self.training and int(self.passes) == self.free_passes
        if self.training:
            self.passes += 1
            if int(self.passes) <= self.free_passes:
                free: Tensor = self.widen(wanted)
                return free, loss
        left, coded = wanted.detach(), torch.zeros_like(wanted)
        for level in range(self.depth):
            if begins:
                self._begin(left, level)
            chosen = self.codebooks[level][self._nearest(left, level)]
            used = (level < depths)[:, None, None]
            loss = loss + (used * (chosen - left).square()).mean()
            coded = coded + used * chosen.detach()
            left = left - chosen.detach()
        loss = loss + _COMMITMENT * (wanted - coded).square().mean()
        made: Tensor = self.widen(wanted + (coded - wanted).detach())
        return made, loss

    def encode(self, frames: Tensor) -> Tensor:
        """(b, t, width) -> code numbers (b, depth, t)."""
        left, ids = self._placed(frames), []
        for level in range(self.depth):
            ids.append(self._nearest(left, level))
            left = left - self.codebooks[level][ids[-1]]
        return torch.stack(ids, dim=1)

    def decode(self, ids: Tensor) -> Tensor:
        """Code numbers (b, any depth up to `depth`, t) -> (b, t, width)."""
        coded = torch.stack([self.codebooks[level][ids[:, level]] for level in range(ids.shape[1])]).sum(0)
        made: Tensor = self.widen(coded)
        return made

    def _placed(self, frames: Tensor) -> Tensor:
        """Where frames lie in the space of the codes, never far from its origin: (b, t, code_width)."""
        return _FARTHEST * torch.tanh(self.narrow(frames).float() / _FARTHEST)

    def _nearest(self, wanted: Tensor, level: int) -> Tensor:
        """Ids (b, t) of the vectors nearest to (b, t, code_width)."""
        with torch.no_grad():
            vectors = self.codebooks[level]
            ids: Tensor = (wanted.float() @ vectors.T - vectors.square().sum(-1) / 2).argmax(-1)
        return ids

    @torch.no_grad()
    def _begin(self, wanted: Tensor, level: int) -> None:
        """Give the codes of a level, drawn from a normal distribution, the mean and the deviation of what is coded."""
        self.codebooks[level].mul_(wanted.std((0, 1))).add_(wanted.mean((0, 1)))


class ScalarQuantiser(nn.Module):
    """Each number of a narrow frame is bounded and rounded to one of a few levels; there is no codebook to learn.

    Mentzer et al. 2023, "Finite scalar quantization: VQ-VAE made simple", arXiv 2309.15505, section 3.1.
    """

    def __init__(self, width: int, numbers: int, levels: int) -> None:
        """`numbers` per frame, each of `levels` values; `levels` is odd, so that zero is one of them."""
        super().__init__()
        self.reach = (levels - 1) // 2
        self.narrow, self.widen = nn.Linear(width, numbers), nn.Linear(numbers, width)

    def forward(self, frames: Tensor) -> Tensor:
        """(b, t, width) -> the same after rounding."""
        bounded = self.reach * torch.tanh(self.narrow(frames).float())
        rounded = bounded + (bounded.round() - bounded).detach()
        made: Tensor = self.widen(rounded / self.reach)
        return made

    def encode(self, frames: Tensor) -> Tensor:
        """(b, t, width) -> whole numbers (b, t, numbers) from 0 to levels - 1."""
        return (self.reach * torch.tanh(self.narrow(frames).float())).round().long() + self.reach

    def decode(self, ids: Tensor) -> Tensor:
        """Whole numbers (b, t, numbers) -> (b, t, width)."""
        made: Tensor = self.widen((ids - self.reach) / self.reach)
        return made
