"""The two configurations of a Covo-Audio checkpoint: language model with its ear, and token-to-audio decoder.

Field names are those of the official files (Tencent/Covo-Audio, commit 710384c). Whatever would change the result
and is not implemented here is refused by name, so that a checkpoint is either run faithfully or not at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from .json_fields import JsonFields

_MOST_LAYERS = 512
CONV_EMBED_GROUPS = 16
"""Groups of the convolution that gives the flow transformer its sense of position."""
CONV_EMBED_KERNEL = 31
TIME_FEATURES = 256
"""Sines and cosines of the flow's time."""


@dataclass(frozen=True)
class LanguageShape:
    """The Qwen2 backbone: q, k and v with biases, SiLU-gated feed-forward, output head of its own."""

    vocab_size: int
    """Text and audio ids together."""
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    kv_heads: int
    rope_theta: float
    rms_norm_eps: float
    max_positions: int

    @property
    def head_width(self) -> int:
        """Numbers per attention head."""
        return self.hidden_size // self.heads


@dataclass(frozen=True)
class EncoderShape:
    """The Whisper encoder: erf GELU, pre-norm, two mel frames per position."""

    width: int
    layers: int
    heads: int
    ffn_width: int
    mel_bins: int
    max_positions: int
    """Of one 30 s window: 1500."""


@dataclass(frozen=True)
class CovoConfig:
    """The checkpoint's `config.json`."""

    language: LanguageShape
    encoder: EncoderShape
    first_audio_id: int
    """`audio_token_index`: ids below are text and specials, ids from here on are codes of the speech codec."""
    adapter_downsample: int
    """Encoder frames per row that the language model hears: 8 = three halvings."""
    placeholder_id: int | None
    """`caudio_id_local`; None: the tokenizer knows it."""

    @property
    def audio_ids(self) -> range:
        """Ids of the audio tokens; `id - audio_ids.start` is the code."""
        return range(self.first_audio_id, self.language.vocab_size)

    @property
    def adapter_stages(self) -> int:
        """How often the adapter halves the rate."""
        return self.adapter_downsample.bit_length() - 1

    @classmethod
    def from_json(cls, content: Mapping[str, Any], source: str) -> "CovoConfig":
        """Read `config.json`; `source` names the file. Raises `IntegrityError` that names the field."""
        fields = JsonFields.of(content, source)
        fields.expect("model_type", "covo_audio")
        language = _language(fields.section("llm_config"))
        encoder = _encoder(fields.section("encoder_config"))
        fields.expect("whisper_feats_dim", encoder.width, default=encoder.width)
        downsample = fields.size("adapter_downsample", low=2, high=64)
        if downsample & (downsample - 1):
            fields.refuse("adapter_downsample", f"is {downsample}, not a power of two")
        first_audio_id = fields.size("audio_token_index", high=language.vocab_size - 1)
        placeholder = None
        if fields.content.get("caudio_id_local") is not None:
            placeholder = fields.size("caudio_id_local", low=0, high=first_audio_id - 1)
        return cls(language, encoder, first_audio_id, downsample, placeholder)


@dataclass(frozen=True)
class FlowShape:
    """The flow matching transformer that turns tokens into latents."""

    upsample_factor: int
    """Latent frames per token."""
    token_vocab_size: int
    token_width: int
    latent_width: int
    speaker_width: int
    layers: int
    width: int
    ffn_width: int
    heads: int


@dataclass(frozen=True)
class VocoderShape:
    """The BigVGAN-like vocoder that turns latents into sound."""

    latent_width: int
    upsample_rates: tuple[int, ...]
    upsample_kernels: tuple[int, ...]
    first_width: int
    """Channels before the first stage; every stage halves them."""
    resblock_kernels: tuple[int, ...]
    resblock_dilations: tuple[tuple[int, ...], ...]
    """Of each kernel: the dilations of its residual block."""

    @property
    def hop_samples(self) -> int:
        """Samples per latent frame."""
        return prod(self.upsample_rates)


@dataclass(frozen=True)
class DecoderConfig:
    """The checkpoint's `token2wav/config.json`."""

    flow: FlowShape
    vocoder: VocoderShape
    rate_hz: int
    steps: int
    """Points of the time grid 0..1 (`s_steps`): one midpoint step fewer."""
    guidance: float
    """v = c + guidance * (c - u), c with and u without the tokens (`cfg_alpha`)."""
    rescale: bool
    """Bring the guided field back to the standard deviation of the unguided one (`rescale_logits`)."""

    @property
    def samples_per_token(self) -> int:
        """Sound of one token: 960 samples at 24 kHz."""
        return self.flow.upsample_factor * self.vocoder.hop_samples

    @classmethod
    def from_json(cls, content: Mapping[str, Any], source: str) -> "DecoderConfig":
        """Read the decoder's configuration; `source` names the file. Raises `IntegrityError` that names the field."""
        fields = JsonFields.of(content, source)
        model = fields.section("model")
        model.expect("type", "Token2WavDecoder")
        flow = _flow(model.section("token2latent"))
        inference = fields.section("inference")
        inference.expect("dynamic_thr", False, default=False)
        return cls(
            flow=flow,
            vocoder=_vocoder(model.section("wavegan"), flow.latent_width),
            rate_hz=fields.section("data").section("audio").size("sample_rate", low=4_000, high=768_000),
            steps=inference.size("s_steps", low=2, high=10_000),
            guidance=inference.number("cfg_alpha", low=-100, high=100),
            rescale=inference.flag("rescale_logits", default=False),
        )


def _language(fields: JsonFields) -> LanguageShape:
    fields.expect("model_type", "qwen2", default="qwen2")
    fields.expect("hidden_act", "silu", default="silu")
    fields.expect("tie_word_embeddings", False, default=False)
    fields.expect("use_sliding_window", False, default=False)
    kinds = fields.content.get("layer_types")
    if kinds is not None and (not isinstance(kinds, list) or any(kind != "full_attention" for kind in kinds)):
        fields.refuse("layer_types", "names other layers than full_attention, which are not supported")
    fields.expect("rope_scaling", None)
    shape = LanguageShape(
        vocab_size=fields.size("vocab_size", low=2),
        hidden_size=fields.size("hidden_size"),
        intermediate_size=fields.size("intermediate_size"),
        layers=fields.size("num_hidden_layers", high=_MOST_LAYERS),
        heads=fields.size("num_attention_heads"),
        kv_heads=fields.size("num_key_value_heads"),
        rope_theta=_rope_theta(fields),
        # both as transformers fills them in, which leaves its own defaults out of the files it writes
        rms_norm_eps=fields.number("rms_norm_eps", default=1e-6, high=1.0),
        max_positions=fields.size("max_position_embeddings", default=32_768),
    )
    _check_heads(fields, "num_attention_heads", shape.heads, "hidden_size", shape.hidden_size)
    if shape.heads % shape.kv_heads:
        fields.refuse("num_key_value_heads", f"is {shape.kv_heads}, which does not divide the {shape.heads} heads")
    fields.expect("head_dim", shape.head_width, default=shape.head_width)
    return shape


def _rope_theta(fields: JsonFields) -> float:
    """`rope_parameters.rope_theta`, or in files of transformers 4 `rope_theta` itself."""
    if fields.content.get("rope_parameters") is not None:
        fields = fields.section("rope_parameters")
        fields.expect("rope_type", "default", default="default")
    return fields.number("rope_theta", low=1.0, high=1e12)


def _encoder(fields: JsonFields) -> EncoderShape:
    fields.expect("model_type", "whisper", default="whisper")
    fields.expect("activation_function", "gelu", default="gelu")
    fields.expect("scale_embedding", False, default=False)
    shape = EncoderShape(
        width=fields.size("d_model"),
        layers=fields.size("encoder_layers", high=_MOST_LAYERS),
        heads=fields.size("encoder_attention_heads"),
        ffn_width=fields.size("encoder_ffn_dim"),
        mel_bins=fields.size("num_mel_bins", high=4096),
        max_positions=fields.size("max_source_positions", default=1500, high=65_536),
    )
    if shape.width % shape.heads:
        fields.refuse("encoder_attention_heads", f"is {shape.heads}, which does not divide d_model ({shape.width})")
    return shape


def _flow(fields: JsonFields) -> FlowShape:
    transformer = fields.section("transformer")
    transformer.expect("modulation", True, default=True)
    transformer.expect("alibi_bias", False, default=False)
    transformer.expect("rotary_bias", True, default=True)
    transformer.expect("qk_norm", False, default=False)
    shape = FlowShape(
        upsample_factor=fields.size("upsample_factor", low=2, high=64),
        token_vocab_size=fields.size("token_vocab_size"),
        token_width=fields.size("token_input_dim"),
        latent_width=fields.size("z_dim"),
        speaker_width=fields.size("spkr_embed_dim"),
        layers=transformer.size("num_layers", high=_MOST_LAYERS),
        width=transformer.size("hidden_size"),
        ffn_width=transformer.size("ffn_hidden_size"),
        heads=transformer.size("num_heads"),
    )
    if shape.upsample_factor % 2:
        fields.refuse("upsample_factor", f"is {shape.upsample_factor}; only even factors are supported")
    _check_heads(transformer, "num_heads", shape.heads, "hidden_size", shape.width)
    if shape.width % CONV_EMBED_GROUPS:
        transformer.refuse("hidden_size", f"is {shape.width}, not a multiple of {CONV_EMBED_GROUPS}")
    return shape


def _vocoder(fields: JsonFields, latent_width: int) -> VocoderShape:
    fields.expect("type", "BigVGANFlowVAE", default="BigVGANFlowVAE")
    fields.expect("resblock", "1")
    fields.expect("activation", "snakebeta")
    fields.expect("snake_logscale", True)
    fields.expect("causal", True)
    fields.expect("latent_dim", latent_width)
    shape = VocoderShape(
        latent_width=latent_width,
        upsample_rates=fields.sizes("upsample_rates"),
        upsample_kernels=fields.sizes("upsample_kernel_sizes"),
        first_width=fields.size("upsample_initial_channel"),
        resblock_kernels=fields.sizes("resblock_kernel_sizes"),
        resblock_dilations=_dilations(fields),
    )
    stages = len(shape.upsample_rates)
    if len(shape.upsample_kernels) != stages:
        fields.refuse("upsample_kernel_sizes", f"has {len(shape.upsample_kernels)} entries for {stages} upsample_rates")
    if any(kernel < rate for kernel, rate in zip(shape.upsample_kernels, shape.upsample_rates, strict=True)):
        fields.refuse("upsample_kernel_sizes", "has a kernel that is shorter than its rate")
    if shape.first_width % 2**stages:
        fields.refuse("upsample_initial_channel", f"is {shape.first_width}, which {stages} stages cannot halve")
    if len(shape.resblock_dilations) != len(shape.resblock_kernels):
        fields.refuse("resblock_dilation_sizes", f"does not have {len(shape.resblock_kernels)} lists, one per kernel")
    return shape


def _dilations(fields: JsonFields) -> tuple[tuple[int, ...], ...]:
    name = "resblock_dilation_sizes"
    lists = fields.content.get(name)
    if not isinstance(lists, list) or not 0 < len(lists) <= 32:
        fields.refuse(name, "is not a list of 1 to 32 lists")
    rows = JsonFields({f"{name}[{n}]": row for n, row in enumerate(lists)}, fields.source, fields.path)
    return tuple(rows.sizes(key) for key in rows.content)


def _check_heads(fields: JsonFields, name: str, heads: int, width_name: str, width: int) -> None:
    """Heads share the width evenly, and each is even: rotary positions turn pairs of numbers."""
    if width % heads or (width // heads) % 2:
        fields.refuse(name, f"is {heads}, which does not part {width_name} ({width}) into heads of an even width")
