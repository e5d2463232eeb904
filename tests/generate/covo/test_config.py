"""A configuration is read whole, or refused by the name of the file and of the field."""

import copy
import json

import pytest
from covo_checkpoint import config_json, decoder_json

from covoguard.core.errors import IntegrityError
from covoguard.generate.covo.config import CovoConfig, DecoderConfig

ABSENT = object()


def changed(content, path, value):
    """A copy of `content` in which the field `path` (dots between) is `value`."""
    content = copy.deepcopy(content)
    *sections, name = path.split(".")
    place = content
    for section in sections:
        place = place.setdefault(section, {})
    place[name] = value
    if value is ABSENT:
        del place[name]
    return content


def test_the_language_models_configuration():
    config = CovoConfig.from_json(config_json(codes=64), "config.json")
    assert (config.first_audio_id, config.language.vocab_size) == (262, 326)
    assert config.audio_ids == range(262, 326)
    assert (config.adapter_downsample, config.adapter_stages, config.placeholder_id) == (8, 3, 260)
    assert (config.language.heads, config.language.kv_heads, config.language.head_width) == (4, 2, 8)
    assert (config.language.rope_theta, config.language.rms_norm_eps, config.language.max_positions) == (
        1e6,
        1e-6,
        4096,
    )
    assert (config.encoder.width, config.encoder.mel_bins, config.encoder.max_positions) == (16, 128, 1500)


def test_the_decoders_configuration():
    config = DecoderConfig.from_json(decoder_json(codes=64), "config.json")
    assert (config.flow.token_vocab_size, config.flow.upsample_factor, config.flow.latent_width) == (64, 4, 8)
    assert (config.flow.speaker_width, config.flow.width, config.flow.ffn_width) == (10, 32, 64)
    assert (config.vocoder.hop_samples, config.samples_per_token) == (240, 960)
    assert config.vocoder.resblock_dilations == ((1, 3, 5),) * 3
    assert (config.rate_hz, config.steps, config.guidance, config.rescale) == (24_000, 10, 1.0, False)


def test_the_reference_configurations_are_read(goldens):
    model = CovoConfig.from_json(json.loads((goldens / "lm_config.json").read_text()), "lm_config.json")
    decoder = DecoderConfig.from_json(json.loads((goldens / "t2w_config.json").read_text()), "t2w_config.json")
    assert model.language.rope_theta > 0
    assert (decoder.rate_hz, decoder.samples_per_token) == (24_000, 960)


def test_the_rotary_base_is_found_where_older_files_have_it():
    old = changed(changed(config_json(), "llm_config.rope_parameters", ABSENT), "llm_config.rope_theta", 5e5)
    assert CovoConfig.from_json(old, "").language.rope_theta == 5e5


def test_the_placeholder_may_be_left_to_the_tokenizer():
    assert CovoConfig.from_json(changed(config_json(), "caudio_id_local", ABSENT), "").placeholder_id is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model_type", "qwen2_audio"),
        ("model_type", ABSENT),
        ("llm_config", ABSENT),
        ("llm_config", [1]),
        ("llm_config.model_type", "llama"),
        ("llm_config.tie_word_embeddings", True),
        ("llm_config.hidden_act", "gelu"),
        ("llm_config.use_sliding_window", True),
        ("llm_config.layer_types", ["sliding_attention"]),
        ("llm_config.rope_scaling", {"type": "yarn"}),
        ("llm_config.rope_parameters.rope_type", "yarn"),
        ("llm_config.rope_parameters.rope_theta", float("nan")),
        ("llm_config.rope_parameters.rope_theta", ABSENT),
        ("llm_config.head_dim", 16),
        ("llm_config.hidden_size", ABSENT),
        ("llm_config.hidden_size", "32"),
        ("llm_config.hidden_size", True),
        ("llm_config.hidden_size", 32.0),
        ("llm_config.hidden_size", 0),
        ("llm_config.hidden_size", 10**400),
        ("llm_config.num_hidden_layers", 10**9),
        ("llm_config.num_attention_heads", 5),
        ("llm_config.num_attention_heads", 32),
        ("llm_config.num_key_value_heads", 3),
        ("llm_config.rms_norm_eps", -1),
        ("encoder_config.model_type", "wav2vec2"),
        ("encoder_config.activation_function", "relu"),
        ("encoder_config.scale_embedding", True),
        ("encoder_config.encoder_attention_heads", 3),
        ("whisper_feats_dim", 17),
        ("adapter_downsample", 6),
        ("audio_token_index", 326),
        ("caudio_id_local", 262),
    ],
)
def test_what_cannot_be_run_faithfully_is_refused_by_name(path, value):
    with pytest.raises(IntegrityError) as refusal:
        CovoConfig.from_json(changed(config_json(codes=64), path, value), "folder/config.json")
    assert str(refusal.value).startswith(f"folder/config.json: {path} ")
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model.type", "Vocos"),
        ("model.token2latent", None),
        ("model.token2latent.upsample_factor", 3),
        ("model.token2latent.transformer.modulation", False),
        ("model.token2latent.transformer.alibi_bias", True),
        ("model.token2latent.transformer.rotary_bias", False),
        ("model.token2latent.transformer.qk_norm", True),
        ("model.token2latent.transformer.num_heads", 3),
        ("model.token2latent.transformer.hidden_size", 24),
        ("model.wavegan.resblock", "2"),
        ("model.wavegan.activation", "snake"),
        ("model.wavegan.snake_logscale", False),
        ("model.wavegan.causal", False),
        ("model.wavegan.latent_dim", 9),
        ("model.wavegan.upsample_rates", "[5, 3]"),
        ("model.wavegan.upsample_rates", []),
        ("model.wavegan.upsample_kernel_sizes", [10, 6]),
        ("model.wavegan.upsample_kernel_sizes", [4, 6, 4, 4, 4, 4]),
        ("model.wavegan.upsample_initial_channel", 96),
        ("model.wavegan.resblock_dilation_sizes", [[1, 3, 5]]),
        ("model.wavegan.resblock_dilation_sizes", 3),
        ("data.audio.sample_rate", -24_000),
        ("inference.s_steps", 1),
        ("inference.cfg_alpha", "1.0"),
        ("inference.cfg_alpha", float("inf")),
        ("inference.dynamic_thr", True),
        ("inference.rescale_logits", 1),
    ],
)
def test_what_the_decoder_cannot_do_is_refused_by_name(path, value):
    with pytest.raises(IntegrityError) as refusal:
        DecoderConfig.from_json(changed(decoder_json(), path, value), "token2wav/config.json")
    assert str(refusal.value).startswith(f"token2wav/config.json: {path} ")


def test_a_wrong_number_in_a_list_is_named_with_its_place():
    wrong = changed(decoder_json(), "model.wavegan.resblock_dilation_sizes", [[1, 3, 5], [1, 3, 0], [1, 3, 5]])
    with pytest.raises(IntegrityError, match=r"model\.wavegan\.resblock_dilation_sizes\[1\]\[2\] is 0"):
        DecoderConfig.from_json(wrong, "config.json")


@pytest.mark.parametrize("content", [[], None, "covo", 3])
def test_a_file_that_is_no_object_is_refused(content):
    for kind in (CovoConfig, DecoderConfig):
        with pytest.raises(IntegrityError, match=r"config\.json: not a JSON object"):
            kind.from_json(content, "config.json")
