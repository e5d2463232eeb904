"""Every tensor that a Covo-Audio checkpoint of a given configuration holds: name and shape, and nothing else.

Names are those of the official modules (Tencent/Covo-Audio, commit 710384c). A file is compared with this list
before anything is loaded, so that a missing, unknown or wrongly shaped tensor is named and never passed over.
"""

from collections.abc import Iterator, Mapping

from ....core.errors import IntegrityError
from ..config import (
    CONV_EMBED_GROUPS,
    CONV_EMBED_KERNEL,
    TIME_FEATURES,
    CovoConfig,
    DecoderConfig,
    EncoderShape,
    FlowShape,
    LanguageShape,
    VocoderShape,
)

Shapes = dict[str, tuple[int, ...]]

ADAPTER_INNER_WIDTH = 2048
"""Width between the two linear layers of an adapter stage, whatever the configuration."""
FILTER_TAPS = 12
"""Of the filters around each activation of the vocoder."""
_NAMED_AT_MOST = 10


def language_model_keys(config: CovoConfig) -> Shapes:
    """Tensors of the shards: `llm.*`, `encoder.*`, `audio_adapter.*`."""
    return dict(
        (*_language_model(config.language), *_encoder(config.encoder), *_adapter(config)),
    )


def decoder_keys(config: DecoderConfig) -> Shapes:
    """Tensors of `token2wav/model.pt`: `token2latent.*`, `wavegan.*`."""
    return dict((*_flow(config.flow), *_vocoder(config.vocoder)))


def check_shapes(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]], source: str) -> None:
    """Raise `IntegrityError` unless `found` is `expected`; it names what is missing, unexpected or of another shape.

    At most ten tensors of each kind are named, after their count.
    """
    missing = [name for name in expected if name not in found]
    unexpected = [name for name in found if name not in expected]
    wrong = [
        f"{name} is {list(found[name])}, not {list(shape)}"
        for name, shape in expected.items()
        if name in found and tuple(found[name]) != tuple(shape)
    ]
    problems = [
        f"{len(names)} {what}: {named(names)}"
        for what, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", wrong))
        if names
    ]
    if problems:
        raise IntegrityError(
            f"{source}: not the tensors of this configuration ({'; '.join(problems)}); "
            "download the checkpoint again, or use the folder of a Covo-Audio checkpoint"
        )


def named(names: list[str]) -> str:
    """The first ten names of a list, and how many more there are."""
    rest = len(names) - _NAMED_AT_MOST
    return ", ".join(names[:_NAMED_AT_MOST]) + (f" and {rest} more" if rest > 0 else "")


_Keys = Iterator[tuple[str, tuple[int, ...]]]


def _affine(name: str, *weight: int) -> _Keys:
    """A weight of the given shape and a bias along its first dimension."""
    yield f"{name}.weight", weight
    yield f"{name}.bias", weight[:1]


def _language_model(shape: LanguageShape) -> _Keys:
    hidden, kv_width = shape.hidden_size, shape.kv_heads * shape.head_width
    yield "llm.model.embed_tokens.weight", (shape.vocab_size, hidden)
    for n in range(shape.layers):
        layer = f"llm.model.layers.{n}"
        yield from _affine(f"{layer}.self_attn.q_proj", hidden, hidden)
        yield from _affine(f"{layer}.self_attn.k_proj", kv_width, hidden)
        yield from _affine(f"{layer}.self_attn.v_proj", kv_width, hidden)
        yield f"{layer}.self_attn.o_proj.weight", (hidden, hidden)
        yield f"{layer}.mlp.gate_proj.weight", (shape.intermediate_size, hidden)
        yield f"{layer}.mlp.up_proj.weight", (shape.intermediate_size, hidden)
        yield f"{layer}.mlp.down_proj.weight", (hidden, shape.intermediate_size)
        yield f"{layer}.input_layernorm.weight", (hidden,)
        yield f"{layer}.post_attention_layernorm.weight", (hidden,)
    yield "llm.model.norm.weight", (hidden,)
    yield "llm.lm_head.weight", (shape.vocab_size, hidden)


def _encoder(shape: EncoderShape) -> _Keys:
    width = shape.width
    yield from _affine("encoder.conv1", width, shape.mel_bins, 3)
    yield from _affine("encoder.conv2", width, width, 3)
    yield "encoder.embed_positions.weight", (shape.max_positions, width)
    for n in range(shape.layers):
        layer = f"encoder.layers.{n}"
        yield f"{layer}.self_attn.k_proj.weight", (width, width)
        for name in ("v_proj", "q_proj", "out_proj"):
            yield from _affine(f"{layer}.self_attn.{name}", width, width)
        yield from _affine(f"{layer}.self_attn_layer_norm", width)
        yield from _affine(f"{layer}.fc1", shape.ffn_width, width)
        yield from _affine(f"{layer}.fc2", width, shape.ffn_width)
        yield from _affine(f"{layer}.final_layer_norm", width)
    yield from _affine("encoder.layer_norm", width)


def _adapter(config: CovoConfig) -> _Keys:
    width = config.encoder.width
    for n in range(config.adapter_stages):
        stage = f"audio_adapter.downsample_layers.{n}"
        last = n == config.adapter_stages - 1
        yield from _affine(f"{stage}.conv1d", width, width, 3)
        yield from _affine(f"{stage}.linear1", ADAPTER_INNER_WIDTH, width)
        yield from _affine(f"{stage}.linear2", config.language.hidden_size if last else width, ADAPTER_INNER_WIDTH)


def _flow(shape: FlowShape) -> _Keys:
    width, part = shape.width, "token2latent"
    yield f"{part}.token_embedding.weight", (shape.token_vocab_size, shape.token_width)
    yield from _affine(f"{part}.token_proj.0", width, shape.token_width)
    yield from _affine(f"{part}.token_proj.1", width, width, 2 * shape.upsample_factor)
    yield from _affine(f"{part}.transformer_input_proj", width, width + 2 * shape.latent_width)
    yield from _affine(f"{part}.cond_proj", width, width + shape.speaker_width)
    yield from _affine(f"{part}.conv_embed.conv", width, width // CONV_EMBED_GROUPS, CONV_EMBED_KERNEL)
    yield from _affine(f"{part}.time_embedder.mlp.0", width, TIME_FEATURES)
    yield from _affine(f"{part}.time_embedder.mlp.2", width, width)
    for n in range(shape.layers):
        block = f"{part}.blocks.{n}"
        for name in ("q_proj", "k_proj", "v_proj"):
            yield f"{block}.attn.{name}.weight", (width, width)
        yield from _affine(f"{block}.attn.o_proj", width, width)
        yield f"{block}.attn.rotary.inv_freq", (width // shape.heads // 2,)
        yield from _affine(f"{block}.ffn.fc1", shape.ffn_width, width)
        yield from _affine(f"{block}.ffn.fc2", width, shape.ffn_width)
        yield from _affine(f"{block}.modulation_layer.1", 6 * width, width)
    yield from _affine(f"{part}.output_layer.adaLN_modulation.1", 2 * width, width)
    yield from _affine(f"{part}.output_layer.linear", shape.latent_width, width)


def _vocoder(shape: VocoderShape) -> _Keys:
    width, block = shape.first_width, 0
    yield from _normed("wavegan.conv_pre", width, (width, shape.latent_width, 7))
    for stage, kernel in enumerate(shape.upsample_kernels):
        width //= 2
        # a transposed convolution: (channels in, channels out, kernel)
        yield from _normed(f"wavegan.ups.{stage}.0", width, (2 * width, width, kernel))
        for block_kernel, dilations in zip(shape.resblock_kernels, shape.resblock_dilations, strict=True):
            name = f"wavegan.resblocks.{block}"
            for k in range(len(dilations)):
                yield from _normed(f"{name}.convs1.{k}", width, (width, width, block_kernel))
                yield from _normed(f"{name}.convs2.{k}", width, (width, width, block_kernel))
            for j in range(2 * len(dilations)):
                yield from _activation(f"{name}.activations.{j}", width)
            block += 1
    yield from _activation("wavegan.activation_post", width)
    yield from _normed("wavegan.conv_post", 1, (1, width, 7))


def _normed(name: str, bias: int, weight: tuple[int, int, int]) -> _Keys:
    """A convolution with weight norm, its length kept apart for each index of the first dimension."""
    yield f"{name}.bias", (bias,)
    yield f"{name}.weight_g", (weight[0], 1, 1)
    yield f"{name}.weight_v", weight


def _activation(name: str, width: int) -> _Keys:
    yield f"{name}.act.alpha", (width,)
    yield f"{name}.act.beta", (width,)
    yield f"{name}.upsample.filter", (1, 1, FILTER_TAPS)
    yield f"{name}.downsample.lowpass.filter", (1, 1, FILTER_TAPS)
