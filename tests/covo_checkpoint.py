"""A Covo-Audio checkpoint of random weights, a few MB small, in the form in which the real one is downloaded."""

import json
from math import sqrt
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from covoguard.generate.covo.checkpoint.expected_keys import decoder_keys, language_model_keys
from covoguard.generate.covo.config import CovoConfig, DecoderConfig
from covoguard.pipeline.import_covo import ImportOptions, import_covo

SPECIAL_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|begofcAUDIO|>", "<|cAUDIO|>", "<|endofcAUDIO|>",
)  # fmt: skip
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
INDEX = "model.safetensors.index.json"
TEXT_IDS = 256 + len(SPECIAL_TOKENS)
VOICE = "default_female"
PROMPT_TOKENS, EXTRA_FRAMES = 7, 3


def write_checkpoint(
    folder: Path, *, seed: int = 0, codes: int = 64, hidden: int = 32, layers: int = 2, latent_width: int = 8,
    flow_width: int = 32, first_width: int = 64, voices: tuple[str, ...] = (VOICE,), dtype: torch.dtype = torch.float32,
) -> Path:  # fmt: skip
    """Write it to `folder`, which need not be there, and return that. Equal arguments give equal files.

    `voices` are written as `voices/NAME/*.npy`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "token2wav").mkdir(exist_ok=True)
    generator = torch.Generator().manual_seed(seed)
    write_tokenizer(folder)
    config, decoder = config_json(codes, hidden, layers), decoder_json(codes, latent_width, flow_width, first_width)
    write_json(folder / "config.json", config)
    write_json(folder / "token2wav" / "config.json", decoder)
    _write_shards(folder, random_tensors(language_model_keys(CovoConfig.from_json(config, "")), generator, dtype))
    state = random_tensors(decoder_keys(DecoderConfig.from_json(decoder, "")), generator)
    torch.save(state, folder / "token2wav" / "model.pt")
    statistics = np.stack([np.linspace(-1, 1, latent_width), np.linspace(0.5, 2, latent_width)])
    np.save(folder / "token2wav" / "global_mean_var.npy", statistics.astype(np.float32))
    for n, name in enumerate(voices):
        write_voice(folder / "voices" / name, decoder, seed=seed + n)
    return folder


def imported_checkpoint(folder: Path, **sizes: object) -> Path:
    """The same, imported: a model folder that opens."""
    write_checkpoint(folder, **sizes)
    import_covo(str(folder), ImportOptions(accept_licence=True))
    return folder


def config_json(codes: int = 64, hidden: int = 32, layers: int = 2) -> dict:
    """`config.json`."""
    return {
        "model_type": "covo_audio",
        "audio_token_index": TEXT_IDS,
        "adapter_downsample": 8,
        "whisper_feats_dim": 16,
        "caudio_id_local": 256 + SPECIAL_TOKENS.index("<|cAUDIO|>"),
        "llm_config": {
            "model_type": "qwen2", "vocab_size": TEXT_IDS + codes, "hidden_size": hidden,
            "intermediate_size": 2 * hidden, "num_hidden_layers": layers, "num_attention_heads": 4,
            "num_key_value_heads": 2, "rms_norm_eps": 1e-6,
            "max_position_embeddings": 4096, "rope_parameters": {"rope_theta": 1e6, "rope_type": "default"},
            "tie_word_embeddings": False,
        },
        "encoder_config": {
            "model_type": "whisper", "d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 2,
            "encoder_ffn_dim": 32, "num_mel_bins": 128, "max_source_positions": 1500,
        },
    }  # fmt: skip


def decoder_json(codes: int = 64, latent_width: int = 8, flow_width: int = 32, first_width: int = 64) -> dict:
    """`token2wav/config.json`."""
    return {
        "data": {"audio": {"sample_rate": 24_000, "hop_size": 480}},
        "model": {
            "type": "Token2WavDecoder",
            "token2latent": {
                "upsample_factor": 4, "token_vocab_size": codes, "token_input_dim": 12, "z_dim": latent_width,
                "spkr_embed_dim": 10,
                "transformer": {
                    "num_layers": 2, "hidden_size": flow_width, "ffn_hidden_size": 2 * flow_width, "num_heads": 2,
                    "modulation": True, "alibi_bias": False, "rotary_bias": True, "qk_norm": False,
                },
            },
            "wavegan": {
                "type": "BigVGANFlowVAE", "upsample_rates": [5, 3, 2, 2, 2, 2],
                "upsample_kernel_sizes": [10, 6, 4, 4, 4, 4], "upsample_initial_channel": first_width,
                "resblock": "1", "resblock_kernel_sizes": [3, 7, 11], "resblock_dilation_sizes": [[1, 3, 5]] * 3,
                "activation": "snakebeta", "snake_logscale": True, "latent_dim": latent_width, "causal": True,
            },
        },
        "inference": {"s_steps": 10, "cfg_alpha": 1.0, "dynamic_thr": False, "rescale_logits": False},
    }  # fmt: skip


def write_json(path: Path, content: object) -> None:
    """Write one JSON file."""
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def write_tokenizer(folder: Path) -> None:
    """One id for each byte, so that any text can be said, and then the special tokens."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: n for n, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL_TOKENS])
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>"})


def write_voice(folder: Path, decoder: dict, seed: int = 0) -> Path:
    """Tokens, latents and speaker vector of a voice that nobody has; file names tell nothing, shapes do."""
    rng = np.random.default_rng(seed)
    shape = decoder["model"]["token2latent"]
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "a.npy", rng.integers(0, shape["token_vocab_size"], (1, PROMPT_TOKENS)))
    frames = PROMPT_TOKENS * shape["upsample_factor"] + EXTRA_FRAMES
    np.save(folder / "b.npy", rng.standard_normal((1, frames, shape["z_dim"])).astype(np.float32))
    np.save(folder / "c.npy", rng.standard_normal((1, shape["spkr_embed_dim"])).astype(np.float32))
    return folder


def random_tensors(
    shapes: dict[str, tuple[int, ...]], generator: torch.Generator, dtype: torch.dtype = torch.float32
) -> dict[str, torch.Tensor]:
    """Weights that keep the size of what passes through them, as far as random ones do; sound stays finite."""
    return {name: _tensor(name, shape, generator).to(dtype) for name, shape in shapes.items()}


def _tensor(name: str, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    if name.endswith("inv_freq"):
        return 50_000.0 ** -(torch.arange(shape[0]) / shape[0])
    if name.endswith("filter"):  # any low pass of unit sum does for a test
        window = torch.hann_window(shape[-1] + 2, periodic=False)[1:-1]
        return (window / window.sum()).expand(shape).clone()
    if name.endswith("conv_post.weight_g"):  # a sound that is not clipped
        return torch.full(shape, 0.1)
    if name.endswith(("norm.weight", "weight_g")):
        return torch.ones(shape)
    noise = torch.randn(shape, generator=generator)
    if len(shape) == 1:
        return 0.05 * noise
    fan_in = noise[0].numel()
    return noise / sqrt(fan_in)


def _write_shards(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Two files and their index."""
    names = list(tensors)
    parts = dict(zip(SHARDS, (names[: len(names) // 2], names[len(names) // 2 :]), strict=True))
    for shard, part in parts.items():
        save_file({name: tensors[name] for name in part}, folder / shard, metadata={"format": "pt"})
    weight_map = {name: shard for shard, part in parts.items() for name in part}
    write_json(folder / INDEX, {"metadata": {}, "weight_map": weight_map})
