"""Graph layers of AASIST: attention among nodes of one kind and of two kinds, and pooling that keeps the best.

Source: Jung et al. 2022 (arXiv 2110.01200), sections 2.2 to 3.2, and clovaai/aasist @ a04c986 (MIT), whose names of
weights are kept. A graph is complete; its nodes are the rows of a tensor (b, nodes, width).
"""

import torch
from torch import Tensor, nn

INPUT_DROPOUT = 0.2
POOL_DROPOUT = 0.3
"""Both from the released code; they act in training alone."""


class GraphAttention(nn.Module):
    """Attention among nodes of one kind: section 2.2, with a softmax temperature."""

    def __init__(self, width_in: int, width_out: int, temperature: float) -> None:
        """Nodes of `width_in` become nodes of `width_out`."""
        super().__init__()
        self.temperature = temperature
        self.att_proj = nn.Linear(width_in, width_out)
        self.att_weight = _direction(width_out)
        self.proj_with_att = nn.Linear(width_in, width_out)
        self.proj_without_att = nn.Linear(width_in, width_out)
        self.bn = nn.BatchNorm1d(width_out)
        self.input_drop = nn.Dropout(INPUT_DROPOUT)

    def forward(self, nodes: Tensor) -> Tensor:
        """(b, n, width_in) -> (b, n, width_out)."""
        nodes = self.input_drop(nodes)
        affinity = _pairwise(nodes, self.att_proj) @ self.att_weight
        attention = torch.softmax(affinity.squeeze(-1) / self.temperature, dim=2)
        mixed = self.proj_with_att(attention @ nodes) + self.proj_without_att(nodes)
        return torch.selu(_per_channel(self.bn, mixed))


class HeterogeneousAttention(nn.Module):
    """The heterogeneous stacking layer (section 3.1): nodes of two kinds, and a stack node that only listens."""

    def __init__(self, width_in: int, width_out: int, temperature: float) -> None:
        """Nodes and stack node of `width_in` become such of `width_out`."""
        super().__init__()
        self.temperature = temperature
        self.proj_type1 = nn.Linear(width_in, width_in)
        self.proj_type2 = nn.Linear(width_in, width_in)
        self.att_proj = nn.Linear(width_in, width_out)
        self.att_projM = nn.Linear(width_in, width_out)
        self.att_weight11 = _direction(width_out)
        self.att_weight22 = _direction(width_out)
        self.att_weight12 = _direction(width_out)
        self.att_weightM = _direction(width_out)
        self.proj_with_att = nn.Linear(width_in, width_out)
        self.proj_without_att = nn.Linear(width_in, width_out)
        self.proj_with_attM = nn.Linear(width_in, width_out)
        self.proj_without_attM = nn.Linear(width_in, width_out)
        self.bn = nn.BatchNorm1d(width_out)
        self.input_drop = nn.Dropout(INPUT_DROPOUT)

    def forward(self, first: Tensor, second: Tensor, stack: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(b, n1, width_in), (b, n2, width_in) and (b or 1, 1, width_in) -> the same, width_out wide."""
        count = first.shape[1]
        nodes = self.input_drop(torch.cat([self.proj_type1(first), self.proj_type2(second)], dim=1))
        affinity = self._affinity(_pairwise(nodes, self.att_proj), count)
        attention = torch.softmax(affinity / self.temperature, dim=2)
        stack = self._listen(nodes, stack)
        mixed = self.proj_with_att(attention @ nodes) + self.proj_without_att(nodes)
        mixed = torch.selu(_per_channel(self.bn, mixed))
        return mixed[:, :count], mixed[:, count:], stack

    def _affinity(self, pairs: Tensor, count: int) -> Tensor:
        """(b, n, n, width) -> (b, n, n): each block of kinds along its own direction; across kinds they share one."""
        upper = [pairs[:, :count, :count] @ self.att_weight11, pairs[:, :count, count:] @ self.att_weight12]
        lower = [pairs[:, count:, :count] @ self.att_weight12, pairs[:, count:, count:] @ self.att_weight22]
        return torch.cat([torch.cat(upper, dim=2), torch.cat(lower, dim=2)], dim=1).squeeze(-1)

    def _listen(self, nodes: Tensor, stack: Tensor) -> Tensor:
        affinity = torch.tanh(self.att_projM(nodes * stack)) @ self.att_weightM
        attention = torch.softmax(affinity / self.temperature, dim=1)
        heard: Tensor = self.proj_with_attM(attention.transpose(1, 2) @ nodes)
        kept: Tensor = self.proj_without_attM(stack)
        return heard + kept


class GraphPool(nn.Module):
    """Keeps a share of the nodes, those of the highest gate, best first, times their gate (section 2.2)."""

    def __init__(self, ratio: float, width: int) -> None:
        """Keep `ratio` of the nodes, rounded down, at least one."""
        super().__init__()
        self.ratio = ratio
        self.proj = nn.Linear(width, 1)
        self.drop = nn.Dropout(POOL_DROPOUT)

    def forward(self, nodes: Tensor) -> Tensor:
        """(b, n, width) -> (b, max(1, int(n * ratio)), width)."""
        # the sigmoid comes before the choice: where it saturates, ties must fall as they did in training
        gates = torch.sigmoid(self.proj(self.drop(nodes)))
        kept = gates.topk(max(1, int(nodes.shape[1] * self.ratio)), dim=1).indices
        return (nodes * gates).gather(1, kept.expand(-1, -1, nodes.shape[2]))


def _pairwise(nodes: Tensor, projection: nn.Linear) -> Tensor:
    """Projected products of all pairs of nodes: (b, n, width_in) -> (b, n, n, width_out)."""
    return torch.tanh(projection(nodes[:, :, None] * nodes[:, None, :]))


def _per_channel(norm: nn.BatchNorm1d, nodes: Tensor) -> Tensor:
    """Batch norm over all nodes of all graphs alike."""
    normed: Tensor = norm(nodes.flatten(0, 1))
    return normed.view_as(nodes)


def _direction(width: int) -> nn.Parameter:
    return nn.Parameter(nn.init.xavier_normal_(torch.empty(width, 1)))
