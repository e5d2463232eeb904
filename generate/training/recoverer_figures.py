"""What a recoverer is worth on pairs that it was not trained on: loss, accuracy, calibration, confusion."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from ..pocket.recoverer_network import RecovererNetwork
from .recoverer import Pair

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_SCALES = np.geomspace(0.2, 5.0, 65)
"""Of the logits: five per cent apart, which is finer than the evidence cares."""
_TOP = 5
_CONFUSED = 16
"""Codes per cell that count as what a code may be taken for."""


@dataclass(frozen=True)
class Accuracy:
    """Mean cross-entropy in nats, and the shares of cells whose token is the best guess, or among the best five."""

    loss: float
    top1: float
    top5: float


def accuracy(network: RecovererNetwork, pairs: Sequence[Pair], device: str = "cpu") -> Accuracy:
    """Over every labelled cell of `pairs`. Raises `ValueError` when there is none."""
    totals, cells = np.zeros(3), 0
    for logits, ids, _ in _heard(network, pairs, device):
        best = logits.topk(min(_TOP, logits.shape[1]), dim=-1).indices == ids[:, None]
        loss = nn.functional.cross_entropy(logits, ids, reduction="sum")
        totals += [float(loss), float(best[:, 0].sum()), float(best.any(dim=-1).sum())]
        cells += len(ids)
    if not cells:
        raise ValueError("no cell of these pairs has a token")
    return Accuracy(*(totals / cells).tolist())


def calibrated_scale(network: RecovererNetwork, pairs: Sequence[Pair], device: str = "cpu") -> float:
    """The factor of the logits with the least cross-entropy on `pairs` (temperature scaling, Guo et al. 2017)."""
    totals = np.zeros(len(_SCALES))
    for logits, ids, _ in _heard(network, pairs, device):
        for index, scale in enumerate(_SCALES.tolist()):
            totals[index] += float(nn.functional.cross_entropy(logits * scale, ids, reduction="sum"))
    return float(_SCALES[totals.argmin()])


def estimated_surprisal_bits(network: RecovererNetwork, pairs: Sequence[Pair], device: str = "cpu") -> np.ndarray:
    """The network's own estimates for every labelled cell of `pairs`: float32 (cells,)."""
    estimates = [bits.cpu().numpy() for _, _, bits in _heard(network, pairs, device)]
    return np.concatenate(estimates) if estimates else np.zeros(0, np.float32)


def confusion_of_pairs(
    network: RecovererNetwork, pairs: Sequence[Pair], codes: int, scale: float = 1.0, device: str = "cpu"
) -> "tuple[csr_array, np.ndarray]":
    """Mean posterior (codes, codes) where each code was true, of the best 16 guesses, and its count plus 1 (codes,)."""
    from scipy.sparse import csr_array

    confusion, mass = csr_array((codes, codes)), np.ones(codes)
    for logits, ids, _ in _heard(network, pairs, device):
        probs, guesses = torch.softmax(logits * scale, dim=-1).topk(min(_CONFUSED, codes), dim=-1)
        true = ids.cpu().numpy()
        rows = np.repeat(true, probs.shape[1])
        places = (rows, guesses.cpu().numpy().ravel())
        confusion = confusion + csr_array((probs.cpu().numpy().ravel().astype(np.float64), places), (codes, codes))
        mass += np.bincount(true, minlength=codes)
    rows = np.repeat(np.arange(codes), np.diff(confusion.indptr))
    confusion.data /= mass[rows]
    return confusion, mass


@torch.no_grad()
def _heard(network: RecovererNetwork, pairs: Sequence[Pair], device: str) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Of each pair: logits (cells, codes), ids (cells,) and estimated surprisal (cells,) where there is a token."""
    was_training = network.training
    network.eval()
    try:
        for pair in pairs:
            mel = torch.from_numpy(pair.mel.astype(np.float32)).to(device)
            logits, surprisal = network(mel[None])
            ids = torch.from_numpy(pair.ids.astype(np.int64)).to(device)
            inside = ids >= 0
            yield logits[0, inside].float(), ids[inside], surprisal[0, inside].float()
    finally:
        network.train(was_training)
