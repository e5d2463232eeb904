"""Held-out figures, and which epoch they make the best."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

import numpy as np
import torch

from ...core.errors import UsageError
from ..metrics.cllr import cllr, min_cllr
from ..metrics.eer import eer
from .batch import Batch
from .networks import DetectorNetwork
from .parallel import Processes
from .recipe import Criterion


@dataclass(frozen=True)
class HeldOut:
    """Figures of the averaged network on generator families and speech that are not trained on."""

    eer: float
    """In [0, 1]."""
    min_cllr: float
    """In bits: that of the best monotone calibration."""
    cllr: float
    """In bits, of the logit taken as a natural log likelihood ratio."""
    n_bonafide: int
    n_spoof: int

    def order(self, criterion: Criterion) -> tuple[float, float]:
        """Lower is better; equal figures are told apart by the Cllr."""
        return (self.eer if criterion == "eer" else self.min_cllr), self.cllr


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of the history."""

    epoch: int
    """From 0."""
    step: int
    """Steps done at its end, from the beginning of the training."""
    loss: float | None
    """Mean over its steps; None where no step had a finite one."""
    held_out: HeldOut | None
    """None without held-out clips of both classes."""


def best_epoch(history: Sequence[EpochRecord], criterion: Criterion) -> int | None:
    """The first of the best; None where nothing was measured."""
    ranked = [(*record.held_out.order(criterion), record.epoch) for record in history if record.held_out is not None]
    return min(ranked)[-1] if ranked else None


def is_stalled(history: Sequence[EpochRecord], criterion: Criterion, patience: int) -> bool:
    """Whether `patience` epochs have gone by since the best one; never with a patience of 0."""
    best = best_epoch(history, criterion)
    return bool(patience) and best is not None and history[-1].epoch - best >= patience


def measure_held_out(network: DetectorNetwork, batches: Iterable[Batch], processes: Processes) -> HeldOut | None:
    """The first process scores all clips, in float32, and tells the others; None without clips of both classes.

    Raises `UsageError` for scores that are not finite.
    """
    numbers = torch.full((5,), math.nan, dtype=torch.float64, device=processes.device)
    if processes.is_first:
        figures = _measure(network, batches, processes.device)
        if figures is not None:
            numbers = torch.tensor(astuple(figures), dtype=torch.float64, device=processes.device)
    processes.share([numbers])
    if numbers.isnan().any():
        return None
    rate, lowest, plain, n_bonafide, n_spoof = numbers.tolist()
    return HeldOut(rate, lowest, plain, int(n_bonafide), int(n_spoof))


@torch.inference_mode()
def _measure(network: DetectorNetwork, batches: Iterable[Batch], device: torch.device) -> HeldOut | None:
    scores, labels = [np.zeros(0)], [np.zeros(0, dtype=bool)]
    for batch in batches:
        scores.append(network(batch.samples.to(device)).double().cpu().numpy())
        labels.append(batch.is_spoof.cpu().numpy() == 1)
    logits, is_spoof = np.concatenate(scores), np.concatenate(labels)
    if not np.isfinite(logits).all():
        raise UsageError(
            f"{np.count_nonzero(~np.isfinite(logits))} of {len(logits)} held-out scores are not finite numbers; look "
            "for samples that are not, or train anew, in another folder, with a lower learning_rate"
        )
    rate = eer(logits, is_spoof)
    lowest, plain = min_cllr(logits, is_spoof), cllr(logits / math.log(10.0), is_spoof)
    if rate is None or lowest is None or plain is None:
        return None
    return HeldOut(rate, lowest, plain, int(np.count_nonzero(~is_spoof)), int(np.count_nonzero(is_spoof)))
