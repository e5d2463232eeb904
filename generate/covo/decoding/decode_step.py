"""One decode step of a Qwen2 language model for rows at positions of their own, on a key/value cache of fixed size.

The arithmetic is that of transformers' `Qwen2ForCausalLM` (RMSNorm in float32, half-split rotary positions, grouped
queries), on its very weights; what differs is the traffic: one matrix for q, k and v and one for gate and up, no
copy of keys and values per query head, and nothing of the cache read beyond the longest row.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from ....core.errors import UsageError

if TYPE_CHECKING:
    from transformers import DynamicCache, Qwen2ForCausalLM
    from transformers.models.qwen2.modeling_qwen2 import Qwen2DecoderLayer


MAX_SHAPES = 256
"""Shapes for which a compiled function may be compiled."""


class LayerWeights(NamedTuple):
    """Weights of one layer; `qkv` ((heads + 2 kv_heads) * width, hidden), `gate_up` (2 * intermediate, hidden)."""

    input_norm: Tensor
    qkv: Tensor
    qkv_bias: Tensor
    output: Tensor
    mlp_norm: Tensor
    gate_up: Tensor
    down: Tensor
    eps: float


class StepInputs(NamedTuple):
    """What all layers of a step share: `cos` and `sin` (b, 1, width), `sin` with the signs of the rotation in it;
    `position` int64 (b,); `out_of_sight` (b * kv_heads, 1, n), 0 where the row may look and -inf elsewhere.
    """

    cos: Tensor
    sin: Tensor
    position: Tensor
    out_of_sight: Tensor


def join_weights(parameters: list[Tensor]) -> Tensor:
    """The rows of `parameters` as one tensor, of which they become views: nothing is held twice.

    Parameters that lie one after the other already, as after an earlier call, stay where they are.
    """
    first = parameters[0]
    rows = [len(each) for each in parameters]
    ends = [each.storage_offset() + each.numel() for each in parameters]
    one_storage = len({each.untyped_storage().data_ptr() for each in parameters}) == 1
    if one_storage and ends[:-1] == [each.storage_offset() for each in parameters[1:]]:
        return first.detach().as_strided((sum(rows), *first.shape[1:]), first.stride())
    joined = torch.cat([each.detach() for each in parameters])
    for parameter, part in zip(parameters, torch.split(joined, rows), strict=True):
        parameter.data = part
    return joined


def decode_layer(hidden: Tensor, layer: LayerWeights, keys: Tensor, values: Tensor, inputs: StepInputs) -> Tensor:
    """One layer for one new token per row: `hidden` (b, hidden) to the same; writes the token's key and value.

    `keys` and `values` (b, kv_heads, length, width): the whole cache of the layer.
    """
    rows, kv_heads, _, width = keys.shape
    normed = F.rms_norm(hidden, hidden.shape[-1:], layer.input_norm, layer.eps)
    heads = F.linear(normed, layer.qkv, layer.qkv_bias).view(rows, -1, width)
    rotated, value = heads[:, :-kv_heads], heads[:, -kv_heads:]
    rotated = torch.addcmul(rotated * inputs.cos, rotated.roll(width // 2, dims=-1), inputs.sin)
    query, key = rotated[:, :-kv_heads], rotated[:, -kv_heads:]
    place = inputs.position[:, None, None, None].expand(rows, kv_heads, 1, width)
    keys.scatter_(2, place, key[:, :, None])
    values.scatter_(2, place, value[:, :, None])
    attended = _attend(query, keys, values, inputs.out_of_sight)
    hidden = _plus_linear(hidden, attended.reshape(rows, -1), layer.output)
    normed = F.rms_norm(hidden, hidden.shape[-1:], layer.mlp_norm, layer.eps)
    gate, up = F.linear(normed, layer.gate_up).chunk(2, dim=-1)
    return _plus_linear(hidden, F.silu(gate) * up, layer.down)


def _attend(query: Tensor, keys: Tensor, values: Tensor, out_of_sight: Tensor) -> Tensor:
    """Each group of query heads against its one key head: `query` (b, heads, width) to the same."""
    rows, kv_heads, _, width = keys.shape
    reach = out_of_sight.shape[-1]
    # views: rows and heads lie one after the other in the cache, so they fold into one batch without a copy
    key = keys.view(rows * kv_heads, -1, width)[:, :reach]
    value = values.view(rows * kv_heads, -1, width)[:, :reach]
    grouped = query.reshape(rows * kv_heads, -1, width)
    scores = torch.baddbmm(out_of_sight, grouped, key.transpose(1, 2), alpha=width**-0.5)
    # softmax sums in float32 whatever the type
    return torch.bmm(torch.softmax(scores, dim=-1), value).view(query.shape)


def _plus_linear(residual: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    # one kernel instead of two; the compiler fuses the sum by itself, into faster code for a single row
    if torch.compiler.is_compiling():
        return residual + F.linear(x, weight)
    return torch.addmm(residual, x, weight.t())


def decode_head(hidden: Tensor, norm: Tensor, eps: float, head: Tensor) -> Tensor:
    """The last norm and the output head: `hidden` (b, hidden) to logits (b, vocabulary)."""
    return F.linear(F.rms_norm(hidden, hidden.shape[-1:], norm, eps), head)


class DecodeStep:
    """The language model with a cache of `rows` x `length` places."""

    def __init__(self, llm: "Qwen2ForCausalLM", rows: int, length: int, *, compiled: bool = False) -> None:
        """Join the weights of `llm` (it goes on working) and allocate the cache, on its device and in its type.

        `compiled`: each layer goes through `torch.compile`, which fuses the small operations. Raises `UsageError`
        for a model with sliding windows, scaled rotary positions or another activation than SiLU.
        """
        config = llm.config
        plain_rope = (config.rope_parameters or {}).get("rope_type", "default") == "default"
        if not plain_rope or config.hidden_act != "silu" or config.use_sliding_window:
            raise UsageError("the language model is no plain Qwen2: sliding windows, scaled rope or another activation")
        self._embedding = llm.model.embed_tokens.weight
        self._norm = (llm.model.norm.weight, llm.model.norm.variance_epsilon)
        self._head = llm.lm_head.weight
        kv_heads, width = cached_shape(llm)
        shape = (rows, kv_heads, length, width)
        with torch.no_grad():
            self._layers = [_layer_weights(cast("Qwen2DecoderLayer", layer)) for layer in llm.model.layers]
            self.keys = [self._embedding.new_zeros(shape) for _ in self._layers]
            self.values = [self._embedding.new_zeros(shape) for _ in self._layers]
            self._cos, self._sin = _rotations(llm, length)
        self._layer: Callable[..., Tensor] = _compiled(decode_layer) if compiled else decode_layer
        self._logits: Callable[..., Tensor] = _compiled(decode_head) if compiled else decode_head

    @property
    def length(self) -> int:
        """Places per row."""
        return int(self.keys[0].shape[2])

    def __call__(self, ids: Tensor, position: Tensor, reach: int) -> Tensor:
        """Feed `ids` int64 (b,) at `position` int64 (b,), both of all rows; -> logits (b, vocabulary).

        `reach`: places of the cache that are read; every position must be below it.
        """
        places = torch.arange(reach, device=position.device)
        out_of_sight = torch.where(places <= position[:, None], 0.0, -torch.inf).to(self._embedding.dtype)
        out_of_sight = out_of_sight[:, None].expand(-1, self.keys[0].shape[1], -1).reshape(-1, 1, reach)
        inputs = StepInputs(self._cos[position][:, None], self._sin[position][:, None], position, out_of_sight)
        hidden = F.embedding(ids, self._embedding)
        for layer, keys, values in zip(self._layers, self.keys, self.values, strict=True):
            hidden = self._layer(hidden, layer, keys, values, inputs)
        return self._logits(hidden, *self._norm, self._head)

    def load_rows(self, rows: Tensor, cache: "DynamicCache") -> None:
        """Take into `rows` int64 (r,) what transformers filled `cache` with, its batch in the order of `rows`."""
        for keys, values, (read_keys, read_values, *_) in zip(self.keys, self.values, cache, strict=True):
            keys[rows, :, : read_keys.shape[2]] = read_keys
            values[rows, :, : read_values.shape[2]] = read_values

    def copy_row(self, row: int, n: int) -> Tensor:
        """The first `n` places of a row: (layers, 2, kv_heads, n, width)."""
        pairs = zip(self.keys, self.values, strict=True)
        return torch.stack([torch.stack((keys[row, :, :n], values[row, :, :n])) for keys, values in pairs])


def cached_shape(llm: "Qwen2ForCausalLM") -> tuple[int, int]:
    """Key heads and the width of each: what a layer caches of a token, once for keys and once for values."""
    heads = llm.config.num_attention_heads
    width = getattr(llm.config, "head_dim", None) or llm.config.hidden_size // heads
    return llm.config.num_key_value_heads or heads, width


def _layer_weights(layer: "Qwen2DecoderLayer") -> LayerWeights:
    attention, mlp = layer.self_attn, layer.mlp
    projections = (attention.q_proj, attention.k_proj, attention.v_proj)
    return LayerWeights(
        layer.input_layernorm.weight,
        join_weights([each.weight for each in projections]),
        join_weights([each.bias for each in projections]),
        attention.o_proj.weight,
        layer.post_attention_layernorm.weight,
        join_weights([mlp.gate_proj.weight, mlp.up_proj.weight]),
        mlp.down_proj.weight,
        layer.input_layernorm.variance_epsilon,
    )


def _rotations(llm: "Qwen2ForCausalLM", length: int) -> tuple[Tensor, Tensor]:
    """The cos and sin (length, width) of transformers' own table; x·cos + roll(x, half)·sin is then the rotation."""
    weight = llm.model.embed_tokens.weight
    cos, sin = llm.model.rotary_emb(weight[:1], torch.arange(length, device=weight.device)[None])
    first, second = sin[0].chunk(2, dim=-1)
    return cos[0].contiguous(), torch.cat((-first, second), dim=-1)


def _compiled(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    # coordinate descent lets the compiler turn products with a single row into reductions that stream the weights
    fused = torch.compile(function, dynamic=False, fullgraph=True, options={"coordinate_descent_tuning": True})

    def call(*inputs: object) -> Tensor:
        # one compilation for each number of rows and each reach
        with torch._dynamo.config.patch(recompile_limit=MAX_SHAPES):
            result: Tensor = fused(*inputs)
        return result

    return call
