"""The card of an imported Covo-Audio checkpoint: what it is, what may be done with it, what it was made of."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from ..config import CovoConfig, DecoderConfig
from ..decoding.sampling import CovoSampling
from .expected_keys import Shapes, decoder_keys, language_model_keys
from .licence import LICENCE

MODEL_ID = "covo-audio-chat"
GENERATOR = "covo"


def covo_card(
    config: CovoConfig,
    decoder_config: DecoderConfig,
    *,
    version: str,
    weights: str,
    accepted_utc: str,
    origin: Mapping[str, str],
    voices: Sequence[str],
    turn_end: int,
    left_out: Sequence[str],
) -> dict[str, Any]:
    """The content of `card.json`.

    `weights` names the file that stands for all weights, `accepted_utc` is when the licence was accepted, `origin`
    the SHA-256 of every file that was imported, `turn_end` the id that ends a reply, `left_out` the tensors of
    `model.pt` that were not taken over.
    """
    language, decoder = language_model_keys(config), decoder_keys(decoder_config)
    return {
        "id": MODEL_ID,
        "version": version,
        "generator": GENERATOR,
        "weights": weights,
        "family": "covo",
        "summary": "Covo-Audio-Chat of Tencent (arXiv 2602.09823), imported from a local copy and run by our own code.",
        "licence": LICENCE,
        "licence_accepted_utc": accepted_utc,
        "not_for": [
            "commercial or production use, which its licence forbids under any circumstances",
            "speech that is meant to pass for a person",
        ],
        "limits": ["Nothing was measured on these weights at import; that they are whole and in form was checked."],
        "sampling": dict(CovoSampling().pairs),
        "parts": [
            _part("ear", "sound to rows of the language model's width", language, "encoder.", "audio_adapter."),
            _part("language model", "Qwen2 backbone: text and speech tokens in turn", language, "llm."),
            _part("flow transformer", "speech tokens to latents", decoder, "token2latent."),
            _part("vocoder", "latents to sound", decoder, "wavegan."),
        ],
        "training": {"data": ["not stated with the weights; see the authors' report"], "recipe": {}},
        "figures": [],
        "voices": list(voices),
        "serving": {"first_audio_id": config.first_audio_id, "stop_ids": [turn_end]},
        "left_out": list(left_out),
        "origin": dict(origin),
    }


def _part(name: str, what: str, shapes: Shapes, *prefixes: str) -> dict[str, Any]:
    count = sum(prod(shape) for key, shape in shapes.items() if key.startswith(prefixes))
    return {"name": name, "what": what, "parameters": count}
