"""Penalties and warpers on whole batches, each row with settings of its own, without a word to the host.

Penalties work on scores (b, vocabulary); what comes after them needs the scores in order, so `ranked` sorts out the
best candidates and the rest works on these few. Order in the official code: repetition penalty, windowed penalty,
temperature, top-k, top-p. Nothing here branches on a value or indexes with a mask, so a CUDA graph can hold it.
"""

import torch
from torch import Tensor

REMOVED = -torch.inf
"""The score of what may not be chosen."""


def windowed_penalty(scores: Tensor, ids: Tensor, lengths: Tensor, penalty: Tensor, window: Tensor) -> Tensor:
    """Scores (b, vocabulary) with each id of the row's last `window` (b,) made less likely, once for all its times.

    The first `lengths` (b,), at least one, of `ids` (b, n) int64 count; `window` 0 means all of them. A score below 0
    is multiplied by `penalty` (b,), any other divided.
    """
    place = torch.arange(ids.shape[1], device=ids.device)
    first = torch.where(window > 0, lengths - window, 0)
    counts = (place >= first[:, None]) & (place < lengths[:, None])
    # a place that does not count repeats the newest id, which always does: equal writes cannot clash
    ids = torch.where(counts, ids, ids.gather(1, lengths[:, None] - 1))
    found = scores.gather(1, ids)
    found = torch.where(found < 0, found * penalty[:, None], found / penalty[:, None])
    return scores.scatter(1, ids, found)


def repetition_penalty(scores: Tensor, ids: Tensor, lengths: Tensor, penalty: Tensor) -> Tensor:
    """`windowed_penalty` over all ids that count."""
    return windowed_penalty(scores, ids, lengths, penalty, torch.zeros_like(lengths))


def ranked(scores: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """The `n` best of each row of scores (b, vocabulary): values (b, n), falling, and ids (b, n), of equals the lowest.

    Where more than fit are equal to the last one, which of them are in is up to `torch.topk`.
    """
    if n >= scores.shape[1]:
        values, ids = scores.sort(dim=1, descending=True, stable=True)
        return values, ids
    ids = scores.topk(n, dim=1, sorted=False).indices.sort(dim=1).values
    values, order = scores.gather(1, ids).sort(dim=1, descending=True, stable=True)
    return values, ids.gather(1, order)


def with_temperature(scores: Tensor, temperature: Tensor) -> Tensor:
    """Scores (b, n) divided by `temperature` (b,)."""
    return scores / temperature[:, None]


def top_k(values: Tensor, k: Tensor) -> Tensor:
    """Falling `values` (b, n) with all below the `k`-th (b,) removed; equals of it stay, and 0 removes nothing."""
    least = values.gather(1, (k - 1).clamp(0, values.shape[1] - 1)[:, None])
    return values.masked_fill((values < least) & (k > 0)[:, None], REMOVED)


def top_p(values: Tensor, p: Tensor) -> Tensor:
    """Falling `values` (b, n) cut to the fewest whose share reaches `p` (b,).

    Source: nucleus sampling, Holtzman et al. 2020, arXiv 1904.09751.
    """
    probs = torch.softmax(values, dim=1, dtype=torch.float64)
    above = probs.cumsum(dim=1) - probs
    return values.masked_fill((above >= p[:, None]) & (p < 1)[:, None], REMOVED)
