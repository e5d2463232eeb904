"""The slow way through Covo-Audio's flow decoder, to time ours against and to check it by.

As the official code does it, in our own words: one clip at a time, in float32, everything worked out anew in each of
the evaluations, and attention with a dense bias of zeros, 2 x heads x frames x frames numbers, made for every layer.
Takes the weights of a `FlowTransformer` whose layers are in float32.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from covoguard.generate.covo.token2wav.flow import FlowTransformer
from covoguard.generate.covo.token2wav.flow_layers import NORM_EPS, ROTARY_THETA, FlowBlock


@torch.inference_mode()
def reference_latents(
    flow: FlowTransformer,
    ids: Tensor,
    known: Tensor,
    speaker: Tensor,
    noise: Tensor,
    *,
    steps: int = 10,
    guidance: float = 1.0,
) -> Tensor:
    """Normalised latents (t, latent width) of prompt and clip.

    `ids` (t / factor,) of both, `known` (p, latent width) the prompt's latents, `speaker` (speaker width,), `noise`
    (t, latent width); all on the device of `flow`.
    """
    state, grid = noise[None], torch.linspace(0, 1, steps, device=noise.device)
    latents = F.pad(known, (0, 0, 0, len(noise) - len(known)))[None]

    def velocity(state: Tensor, time: Tensor) -> Tensor:
        features = flow.token_features(ids)[None]
        with_tokens = torch.cat([features, latents, state], dim=-1)
        without = torch.cat([torch.zeros_like(features), latents, state], dim=-1)
        both = _vector_field(flow, torch.cat([with_tokens, without]), time.expand(2), speaker.expand(2, -1))
        conditional, unconditional = both.chunk(2)
        return conditional + guidance * (conditional - unconditional)

    for start, end in pairwise(grid):
        middle = state + velocity(state, start) * (end - start) / 2
        state = state + velocity(middle, start + (end - start) / 2) * (end - start)
    return state[0]


def _vector_field(flow: FlowTransformer, inputs: Tensor, time: Tensor, speaker: Tensor) -> Tensor:
    """Inputs (b, t, width + 2 * latent width) to velocities (b, t, latent width)."""
    condition = flow.cond_proj(torch.cat([flow.time_embedder(time), speaker], dim=-1))
    hidden = flow.transformer_input_proj(inputs)
    hidden = hidden + F.gelu(flow.conv_embed.conv(hidden.transpose(1, 2)).transpose(1, 2))
    for block in flow.blocks:
        hidden = _block(block, hidden, condition)
    shift, scale = flow.output_layer.adaLN_modulation(condition)[:, None].chunk(2, dim=-1)
    return flow.output_layer.linear(_norm(hidden) * (1 + scale) + shift)


def _block(block: FlowBlock, hidden: Tensor, condition: Tensor) -> Tensor:
    vectors = block.modulation_layer(condition)[:, None].chunk(6, dim=-1)
    shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = vectors
    hidden = hidden + gate * _attention(block.attn, _norm(hidden) * (1 + scale) + shift)
    inner = block.ffn.fc1(_norm(hidden) * (1 + ffn_scale) + ffn_shift)
    return hidden + ffn_gate * block.ffn.fc2(F.gelu(inner, approximate="tanh"))


def _attention(attention: torch.nn.Module, hidden: Tensor) -> Tensor:
    batch, frames, width = hidden.shape
    projections = (attention.q_proj, attention.k_proj, attention.v_proj)
    query, key, value = (p(hidden).view(batch, frames, attention.heads, -1).transpose(1, 2) for p in projections)
    bias = torch.zeros(batch, attention.heads, frames, frames, device=hidden.device)
    heard = F.scaled_dot_product_attention(_rotate(query), _rotate(key), value, attn_mask=bias)
    return attention.o_proj(heard.transpose(1, 2).reshape(batch, frames, width))


def _rotate(heads: Tensor) -> Tensor:
    """Rotary positions over (b, heads, t, head width), half split."""
    half = heads.shape[-1] // 2
    frequencies = ROTARY_THETA ** -(torch.arange(half, device=heads.device) / half)
    angles = torch.arange(heads.shape[-2], device=heads.device)[:, None] * frequencies
    cosine, sine = angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)
    return heads * cosine + torch.cat([-heads[..., half:], heads[..., :half]], dim=-1) * sine


def _norm(hidden: Tensor) -> Tensor:
    return F.layer_norm(hidden, hidden.shape[-1:], eps=NORM_EPS)
