"""The list of tensors equals that of the official modules, and that of ours."""

import ast
import json

import pytest
import torch
from covo_checkpoint import config_json, decoder_json
from safetensors import safe_open

from covoguard.core.errors import IntegrityError
from covoguard.generate.covo.checkpoint.expected_keys import check_shapes, decoder_keys, language_model_keys
from covoguard.generate.covo.config import (
    CovoConfig,
    DecoderConfig,
    EncoderShape,
    FlowShape,
    LanguageShape,
    VocoderShape,
)
from covoguard.generate.covo.language.language_model import CovoLanguageModel
from covoguard.generate.covo.token2wav.flow import FlowTransformer
from covoguard.generate.covo.token2wav.vocoder import Vocoder

FULL_SIZE = CovoConfig(
    LanguageShape(168_055, 3584, 18_944, 28, 28, 4, 1e6, 1e-6, 131_072),
    EncoderShape(1280, 32, 20, 5120, 128, 1500),
    first_audio_id=151_671,
    adapter_downsample=8,
    placeholder_id=151_666,
)
FULL_SIZE_DECODER = DecoderConfig(
    FlowShape(4, 16_384, 512, 64, 1024, 12, 1024, 4096, 16),
    VocoderShape(64, (5, 3, 2, 2, 2, 2), (10, 6, 4, 4, 4, 4), 1536, (3, 7, 11), ((1, 3, 5),) * 3),
    rate_hz=24_000,
    steps=10,
    guidance=1.0,
    rescale=False,
)


def shapes_in(path):
    with safe_open(path, "pt") as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def shapes_of(module):
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def test_the_full_size_list_is_the_official_one(goldens):
    lines = (goldens / "full_size_keys.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    official = {name: ast.literal_eval(shape) for name, shape, *_ in rows}
    assert language_model_keys(FULL_SIZE) | decoder_keys(FULL_SIZE_DECODER) == official


def test_the_lists_of_another_size_are_those_of_the_reference_weights(goldens):
    config = CovoConfig.from_json(json.loads((goldens / "lm_config.json").read_text()), "")
    decoder = DecoderConfig.from_json(json.loads((goldens / "t2w_config.json").read_text()), "")
    assert language_model_keys(config) == shapes_in(goldens / "lm_state.safetensors")
    assert decoder_keys(decoder) == shapes_in(goldens / "t2w_state.safetensors")


def test_our_modules_hold_just_these_tensors():
    config, decoder = CovoConfig.from_json(config_json(), ""), DecoderConfig.from_json(decoder_json(), "")
    with torch.device("meta"):
        parts = {
            "": CovoLanguageModel(config),
            "token2latent.": FlowTransformer(decoder.flow),
            "wavegan.": Vocoder(decoder.vocoder),
        }
    ours = {prefix + name: shape for prefix, part in parts.items() for name, shape in shapes_of(part).items()}
    # the vocoder works its weight norm out when it is loaded
    folded = {
        name.replace(".weight_v", ".weight"): shape
        for name, shape in decoder_keys(decoder).items()
        if not name.endswith(".weight_g")
    }
    assert ours == language_model_keys(config) | folded


def test_every_kind_of_difference_is_counted_and_named():
    expected = {f"layer.{n}.weight": (2, 3) for n in range(20)}
    found = {f"layer.{n}.weight": (2, 3) for n in range(1, 5)} | {"layer.5.weight": (3, 2), "stray": (1,)}
    with pytest.raises(IntegrityError) as refusal:
        check_shapes(expected, found, "folder")
    message = str(refusal.value)
    assert message.startswith("folder: ")
    assert "15 missing: layer.0.weight, layer.6.weight" in message
    assert "and 5 more" in message
    assert "1 unexpected: stray" in message
    assert "1 of another shape: layer.5.weight is [3, 2], not [2, 3]" in message
