"""Covo-Audio's language model: Whisper's ear, an adapter, and a Qwen2 backbone that writes text and audio ids.

Sound takes the place of placeholder ids in the prompt; what is written is text ids and, from `first_audio_id` on,
codes of the speech codec. Parameter names equal those of the official checkpoint (Tencent/Covo-Audio, commit 710384c).
Qwen2: Yang et al. 2024, arXiv 2407.10671.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from ..config import CovoConfig, LanguageShape
from .audio_encoder import AudioAdapter, whisper_encoder
from .features import MelWindow

WINDOWS_AT_ONCE = 8
"""Windows in one pass of the encoder: a long sound needs no more memory than these."""


class CovoLanguageModel(nn.Module):
    """`llm`, `encoder` and `audio_adapter` under the official names."""

    def __init__(self, config: CovoConfig) -> None:
        """Random weights; under `torch.device("meta")` none, and then `reset_buffers` after they are assigned."""
        super().__init__()
        self.config = config
        self.llm = qwen2(config.language)
        self.encoder = whisper_encoder(config.encoder)
        self.audio_adapter = AudioAdapter(
            config.encoder.width, config.language.hidden_size, stages=config.adapter_stages
        )

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.parameters()).device

    def reset_buffers(self) -> None:
        """Compute what no checkpoint holds: the rotary frequencies, in float32, on the device of the weights.

        To be called after weights were assigned to a model made on the meta device, and after the model was cast:
        frequencies rounded to bfloat16 would put long prompts at other positions.
        """
        rotary = self.llm.model.rotary_emb
        self.llm.model.rotary_emb = type(rotary)(self.llm.config).to(self.device)

    @torch.no_grad()
    def hear(self, windows: Iterable[MelWindow]) -> Tensor:
        """Rows (r, hidden_size) of consecutive windows, of each as many as its sound has."""
        weight = self.encoder.conv1.weight
        heard = [weight.new_empty(0, self.config.language.hidden_size)]
        for batch in _batches(windows, WINDOWS_AT_ONCE):
            log_mels = torch.stack([window.log_mel for window in batch]).to(weight)
            rows = self.audio_adapter(self.encoder(log_mels).last_hidden_state)
            heard += [row[: window.rows] for row, window in zip(rows, batch, strict=True)]
        return torch.cat(heard)

    @torch.no_grad()
    def embed(self, ids: Tensor, heard: Tensor | None, placeholder_id: int | None = None) -> Tensor:
        """Embeddings (n, hidden_size) of `ids` (n,), with the rows `heard` (r, hidden_size) in place of placeholders.

        `placeholder_id` None is that of the configuration. Raises `ValueError` where that has none, and unless there
        are as many rows as placeholders.
        """
        placeholder_id = self.config.placeholder_id if placeholder_id is None else placeholder_id
        if placeholder_id is None:
            raise ValueError("the configuration does not name the placeholder; take its id from the tokenizer")
        ids = ids.to(self.device)
        places = (ids == placeholder_id).nonzero()[:, 0]
        embeds: Tensor = self.llm.model.embed_tokens(ids)
        rows = embeds[:0] if heard is None else heard
        if len(rows) != len(places):
            raise ValueError(f"{len(rows)} rows of sound for {len(places)} placeholders")
        return embeds.index_copy(0, places, rows.to(embeds))

    @torch.no_grad()
    def forward(self, embeds: Tensor, cache: Any = None) -> tuple[Tensor, Any]:
        """Logits (n, vocab_size) after each of `embeds` (n, hidden_size), and the key/value cache that goes on.

        `cache` is what an earlier call returned; it is extended in place.
        """
        output = self.llm(inputs_embeds=embeds[None], past_key_values=cache, use_cache=True)
        return output.logits[0], output.past_key_values


def qwen2(shape: LanguageShape) -> Any:
    """The backbone with an output head of its own (Qwen2ForCausalLM of transformers), fused attention."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    # transformers hides from type checkers that every configuration takes `attn_implementation`
    config: Any = Qwen2Config
    return Qwen2ForCausalLM(
        config(
            vocab_size=shape.vocab_size,
            hidden_size=shape.hidden_size,
            intermediate_size=shape.intermediate_size,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.kv_heads,
            max_position_embeddings=shape.max_positions,
            rms_norm_eps=shape.rms_norm_eps,
            rope_parameters={"rope_type": "default", "rope_theta": shape.rope_theta},
            tie_word_embeddings=False,
            attn_implementation="sdpa",
        )
    )


def _batches(windows: Iterable[MelWindow], size: int) -> Iterator[list[MelWindow]]:
    rest = iter(windows)
    while batch := list(islice(rest, size)):
        yield batch
