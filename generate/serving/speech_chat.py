"""One clip as a chat completion: the request's body, and what its answer must hold.

As vLLM-Omni 0.30 serves Covo-Audio (its page `online_serving/covo_audio` and `entrypoints/openai/serving_chat.py`):
sampling settings come per stage in `sampling_params_list` (top-level `vllm_xargs` do not reach the stages), the answer
has one choice with the text and, when asked for, its token ids, and another with the sound as base64 of a WAV file.
`/v1/audio/speech` is not used: it gives no token ids and takes no settings for the mark.
"""

import base64
import binascii
import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.errors import InputError, UsageError
from ...core.rates import COVO_RATE_HZ, LATENT_RATE_HZ, SAMPLES_PER_TOKEN, TOKEN_RATE_HZ
from ...core.records import Audio, Int32Array, Prompt
from ..covo.decoding.sampling import CovoSampling
from .errors import ServerError
from .mark_request import MarkRequest
from .served_model import ServedModel

MAX_NEW_TOKENS = 2048
"""Of one reply, text and audio together: what the served model's second stage takes."""
MISSING_FRAMES = 3
"""The reference decoder's voice prompt is 3 latent frames longer than its tokens; they take the place of the reply's
first three, and are cut: a reply of N tokens has 4 N - 3 frames. Put back as silence, so that tokens and sound line
up."""
MISSING_SAMPLES = MISSING_FRAMES * COVO_RATE_HZ // LATENT_RATE_HZ


@dataclass(frozen=True)
class SpokenAnswer:
    """A reply of a served model."""

    audio: Audio
    codes: Int32Array
    """int32 (n,), in 0 … codebook_size - 1; the sound has 960 n samples."""
    text: str
    is_whole: bool
    """False: cut at the largest number of tokens."""


def chat_body(
    prompt: Prompt, model: ServedModel, name: str, sampling: CovoSampling, *, seed: int, mark: MarkRequest | None
) -> dict[str, Any]:
    """The body of the request. Raises `UsageError` for a prompt that a server cannot be given."""
    if prompt.later or prompt.exchanges:
        raise UsageError("a server is asked for one reply at a time; leave the later turns out")
    content: list[dict[str, Any]] = []
    if prompt.audio is not None:
        content.append({"type": "audio_url", "audio_url": {"url": _data_url(prompt.audio)}})
    if prompt.text:
        content.append({"type": "text", "text": prompt.text})
    if not content:
        raise UsageError("the prompt has neither text nor sound; give it one")
    language: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_k": sampling.top_k or -1,
        "top_p": sampling.top_p,
        "repetition_penalty": sampling.repetition_penalty,
        "max_tokens": sampling.max_new_tokens,
        "seed": seed,
        "stop_token_ids": list(model.stop_ids),
        "ignore_eos": True,  # the model writes its end-of-text id before it has spoken
        "detokenize": True,
        "extra_args": mark.to_arguments() if mark else {},
    }
    decoder: dict[str, Any] = {"temperature": 0.0, "max_tokens": MAX_NEW_TOKENS, "seed": seed, "detokenize": False}
    return {
        "model": name,
        "messages": [{"role": "system", "content": model.system_text}, {"role": "user", "content": content}],
        "modalities": ["text", "audio"],
        "stream": False,
        "return_token_ids": True,
        "sampling_params_list": [language, decoder],
    }


def read_answer(answer: object, model: ServedModel) -> SpokenAnswer:
    """The reply in a chat completion.

    Raises `InputError` when this one reply is of no use, `ServerError` when no reply of such a server can be.
    """
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list) or not all(isinstance(each, dict) for each in choices):
        raise ServerError("the server's answer is no chat completion; is it a vLLM-Omni server?")
    with_ids = [each for each in choices if isinstance(each.get("token_ids"), list)]
    spoken = [each for each in choices if isinstance(_message(each).get("audio"), dict)]
    if choices and not with_ids:
        raise ServerError("the server gives no token ids (return_token_ids); it needs vLLM-Omni of 0.14 or later")
    # the choice with the sound may repeat the decoder's own ids: the text's come first
    text_choice = next((each for each in with_ids if each not in spoken), with_ids[0] if with_ids else {})
    codes = _codes(text_choice.get("token_ids") or [], model)
    if not spoken or not len(codes):
        raise InputError("the model answered without speech; word the prompt otherwise, or speak it", code="no_speech")
    samples = _aligned(_samples(_message(spoken[0])["audio"].get("data")), len(codes))
    text = _message(text_choice).get("content")
    return SpokenAnswer(
        Audio(samples, COVO_RATE_HZ),
        codes,
        text if isinstance(text, str) else "",
        text_choice.get("finish_reason") != "length",
    )


def _message(choice: dict[str, Any]) -> dict[str, Any]:
    message = choice.get("message")
    return message if isinstance(message, dict) else {}


def _codes(token_ids: list[Any], model: ServedModel) -> Int32Array:
    """The audio tokens among the ids, from 0. Raises `ServerError` for ids that the model has not."""
    if not all(type(each) is int for each in token_ids):
        raise ServerError("the server's token ids are not whole numbers; is it a vLLM-Omni server?")
    if any(each >= model.audio_ids.stop for each in token_ids):
        raise ServerError(f"the server gave tokens beyond {model.audio_ids.stop - 1}; it runs another model")
    return np.array([each - model.first_audio_id for each in token_ids if each in model.audio_ids], np.int32)


def _samples(data: object) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """Mono sound at 24 kHz from base64 of a file. Raises `InputError`."""
    import soundfile

    try:
        content = base64.b64decode(data if isinstance(data, str) else "", validate=True)
        samples, rate_hz = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    except (binascii.Error, ValueError) as error:
        raise InputError("the sound in the server's answer is not base64", code="not_audio") from error
    except (soundfile.LibsndfileError, TypeError) as error:
        raise InputError("the sound in the server's answer cannot be decoded", code="not_audio") from error
    if rate_hz != COVO_RATE_HZ or samples.shape[1] != 1:
        raise InputError(f"the server's sound has {samples.shape[1]} channels at {rate_hz} Hz, not 1 at {COVO_RATE_HZ}")
    if not np.isfinite(samples).all():
        raise InputError("the server's sound is not finite", code="not_audio")
    mono: np.ndarray[Any, np.dtype[np.float32]] = samples[:, 0]
    return mono


def _aligned(
    samples: "np.ndarray[Any, np.dtype[np.float32]]", n_tokens: int
) -> "np.ndarray[Any, np.dtype[np.float32]]":
    expected = n_tokens * SAMPLES_PER_TOKEN
    if len(samples) == expected - MISSING_SAMPLES:
        return np.concatenate([np.zeros(MISSING_SAMPLES, np.float32), samples])
    if len(samples) != expected:
        raise InputError(
            f"the server gave {n_tokens / TOKEN_RATE_HZ:.2f} s of tokens and {len(samples) / COVO_RATE_HZ:.2f} s of "
            "sound: they are not of the same reply"
        )
    return samples


def _data_url(audio: Audio) -> str:
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, audio.samples, audio.rate_hz, format="WAV", subtype="PCM_16")
    return f"data:audio/wav;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
