from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from covo_checkpoint import decoder_json, random_tensors
from tokenizers import AddedToken
from tokenizers.pre_tokenizers import ByteLevel
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen2Tokenizer

from covoguard.generate.covo.checkpoint.expected_keys import decoder_keys, language_model_keys
from covoguard.generate.covo.config import CovoConfig, DecoderConfig, EncoderShape, LanguageShape, VocoderShape
from covoguard.generate.covo.language.language_model import CovoLanguageModel
from covoguard.generate.covo.language.prompt import PromptWriter
from covoguard.generate.covo.token2wav.decoder import CovoDecoder, VoicePrompt
from covoguard.generate.covo.token2wav.flow import FlowTransformer
from covoguard.generate.covo.token2wav.vocoder import Vocoder

SPECIAL_TOKENS = ("<|im_start|>", "<|im_end|>", "<|begofcAUDIO|>", "<|cAUDIO|>", "<|endofcAUDIO|>")


def byte_tokenizer(special_tokens=SPECIAL_TOKENS):
    """A tokenizer of Qwen2's kind with an id per byte and a few merges; `<tool>` is added, yet not special."""
    vocabulary = {letter: n for n, letter in enumerate(sorted(ByteLevel.alphabet()))}
    vocabulary |= {"us": 256, "er": 257, "user": 258}
    tokenizer = Qwen2Tokenizer(vocab=vocabulary, merges=[("u", "s"), ("e", "r"), ("us", "er")])
    tokenizer.add_special_tokens({"additional_special_tokens": list(special_tokens)})
    tokenizer.add_tokens([AddedToken("<tool>", special=False)])
    return tokenizer


def tiny_config(**changes):
    """64 audio ids after 300 of text; windows of 1 s, in which 6.25 rows are heard."""
    settings = {
        "language": LanguageShape(
            vocab_size=364,
            hidden_size=32,
            intermediate_size=48,
            layers=2,
            heads=4,
            kv_heads=2,
            rope_theta=10_000.0,
            rms_norm_eps=1e-6,
            max_positions=512,
        ),
        "encoder": EncoderShape(width=16, layers=2, heads=2, ffn_width=24, mel_bins=20, max_positions=50),
        "first_audio_id": 300,
        "adapter_downsample": 8,
        "placeholder_id": None,
    }
    return CovoConfig(**settings | changes)


@pytest.fixture(scope="session")
def make_config():
    return tiny_config


@pytest.fixture(scope="session")
def config():
    return tiny_config()


@pytest.fixture(scope="session")
def make_tokenizer():
    return byte_tokenizer


@pytest.fixture(scope="session")
def tokenizer():
    return byte_tokenizer()


@pytest.fixture(scope="session")
def writer(tokenizer, config):
    return PromptWriter(tokenizer, config)


@pytest.fixture(scope="session")
def model(config):
    with torch.device("meta"):
        made = CovoLanguageModel(config)
    weights = random_tensors(language_model_keys(config), torch.Generator().manual_seed(0))
    made.load_state_dict(weights, assign=True)
    made.reset_buffers()
    return made.requires_grad_(False).eval()


@pytest.fixture(scope="session")
def goldens():
    """The folder of reference outputs beside the repository."""
    folder = Path(__file__).resolve().parents[4] / "shared/goldens/covo"
    if not folder.is_dir():
        pytest.skip("needs ../shared/goldens/covo beside the repository")
    return folder


@pytest.fixture(scope="session")
def backbone():
    """A random Qwen2 of its own, lively enough that replies differ: 40 text ids, then 64 audio ids."""
    shape = Qwen2Config(
        vocab_size=104,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=False,
    )
    model = Qwen2ForCausalLM(shape).requires_grad_(False).eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.normal_(0.0, 0.4, generator=generator)
    return model


@pytest.fixture(scope="session")
def decoder_config():
    """64 codes, latents 8 wide, 240 samples per latent as in the released one, by way of fewer layers."""
    config = DecoderConfig.from_json(decoder_json(), "config.json")
    return replace(config, vocoder=VocoderShape(8, (16, 15), (32, 30), 16, (3, 5), ((1, 3), (1, 2))), steps=4)


@pytest.fixture(scope="session")
def decoder_state(decoder_config):
    """Random weights by their official names."""
    return random_tensors(decoder_keys(decoder_config), torch.Generator().manual_seed(1))


def _part(state, prefix):
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


@pytest.fixture
def flow(decoder_config, decoder_state):
    made = FlowTransformer(decoder_config.flow)
    made.load_state_dict(_part(decoder_state, "token2latent."))
    return made.requires_grad_(False).eval()


@pytest.fixture
def vocoder(decoder_config, decoder_state):
    made = Vocoder(decoder_config.vocoder)
    made.load_state_dict(_part(decoder_state, "wavegan."))
    return made.requires_grad_(False).eval()


def random_voice(config, tokens, surplus, seed):
    rng = np.random.default_rng(seed)
    frames = config.flow.upsample_factor * tokens + surplus
    return VoicePrompt(
        rng.integers(0, config.flow.token_vocab_size, tokens),
        rng.standard_normal((frames, config.flow.latent_width)).astype(np.float32),
        rng.standard_normal(config.flow.speaker_width).astype(np.float32),
    )


@pytest.fixture
def make_decoder(decoder_config, flow, vocoder):
    """Voices "ann", with three latents too many as the released one, "bob", with none, and "eve", a speaker alone."""
    voices = {"ann": random_voice(decoder_config, 6, 3, 0), "bob": random_voice(decoder_config, 4, 0, 1)}
    voices["eve"] = VoicePrompt(speaker=random_voice(decoder_config, 1, 0, 2).speaker)
    mean, variance = torch.linspace(-1, 1, 8), torch.linspace(0.5, 2, 8)

    def make(**settings):
        return CovoDecoder(decoder_config, flow, vocoder, mean, variance, voices, **settings)

    return make
