"""Forces which audio token comes, if one comes, and leaves all chances of text, stop and audio as they were.

The audio tokens that a step may choose are merged into one: the id that the mark chose, with the logarithm of their
summed exponentials as its logit. What samples afterwards, by whatever random numbers, then takes audio as often as
before, and the marked id whenever it does. Over keys the mark chooses by p(id | audio), so over keys the law of the
step is exactly the unmarked one.

Where in vLLM's order (v1/sample/sampler.py): logits to float32, allowed ids, bad words, processors that are not
argmax-invariant, penalties, temperature, **argmax-invariant processors (min-p, then this)**, top-k and top-p, softmax,
draw. Penalties and temperature have acted, so the logits are those of the distribution itself, and merging is exact
there (before a temperature T the merged logit would have to be T · logsumexp(logits / T), and a repetition penalty
would act on the merged token alone). Top-k and top-p have not acted; they are worked out here as vLLM does, and the
row is left so that vLLM's own pass takes the same decision a second time:

- what lies below the k-th logit becomes -inf (ties with it stay, as in vLLM). Merging puts no more tokens above that
  logit than there were, so a second top-k drops nothing;
- what top-p drops stays where it is. vLLM drops from the bottom while the running mass is at most 1 - p. Merging
  moves only kept mass, and moves it up: the dropped ones still lie at the bottom with the same mass, and the next one
  still passes 1 - p. (Had they been taken out, a second top-p would cut again: 0.90 and 0.01 of p = 0.905 become 0.989
  and 0.011, and the latter would go.)

Exact up to rounding, and up to ties: which of equals top-p drops is left to vLLM's sort, and if all audio tokens that
stay equal the k-th logit, merging them does put one more above it.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def merge_audio(
    logits: Tensor, audio_ids: range, top_k: Tensor, top_p: Tensor, choose: Callable[[Tensor], Tensor]
) -> None:
    """Change `logits` float32 (b, vocabulary), penalised and tempered, in place.

    `top_k` int64 (b,), vocabulary size for none; `top_p` float32 (b,), 1 for none. `choose` takes the probabilities of
    the audio tokens, given that one of them comes, (b, audio) and gives one index per row, (b,). A row that keeps no
    audio token is left as it is, whatever `choose` says of it.
    """
    in_top_k, kept = _kept(logits, top_k, top_p)
    logits.masked_fill_(~in_top_k, -torch.inf)
    audio = logits[:, audio_ids.start : audio_ids.stop]
    kept_audio = kept[:, audio_ids.start : audio_ids.stop]
    candidates = audio.masked_fill(~kept_audio, -torch.inf)
    mass = candidates.logsumexp(dim=1, keepdim=True)
    may_speak = mass > -torch.inf
    # a row without audio has no distribution; any will do, as the choice is thrown away
    chosen = choose(torch.where(may_speak, candidates.softmax(dim=1), 1 / len(audio_ids))).to(torch.int64)[:, None]
    merged = audio.masked_fill(kept_audio, -torch.inf).scatter(1, chosen, mass)
    audio.copy_(torch.where(may_speak, merged, audio))


def _kept(logits: Tensor, top_k: Tensor, top_p: Tensor) -> tuple[Tensor, Tensor]:
    """What top-k keeps, and what top-p then keeps of it: bool (b, vocabulary) each, by vLLM's own arithmetic."""
    rising, order = logits.sort(dim=1, stable=True)
    in_top_k = (rising >= rising.gather(1, logits.shape[1] - top_k[:, None])) & (rising > -torch.inf)
    below = rising.masked_fill(~in_top_k, -torch.inf).softmax(dim=1).cumsum(dim=1)
    kept = in_top_k & ((below > 1 - top_p[:, None]) | (top_p[:, None] >= 1))
    kept[:, -1] = in_top_k[:, -1]  # the likeliest always stays
    blank = torch.zeros_like(kept)
    return blank.scatter(1, order, in_top_k), blank.scatter(1, order, kept)
