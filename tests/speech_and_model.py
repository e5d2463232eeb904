"""Sound that voice activity detection takes for speech, and a model that scores it, made on the spot.

Loaded by `conftest.py` under its own name, because the folders of `tests` are no packages.
"""

import json
from pathlib import Path

import numpy as np
import sound_files as sounds
from scipy.signal import lfilter

from covoguard.core.modelcard import seal_model


def spoken(duration_s: float, *, rate_hz: int = 16_000, seed: int = 1) -> np.ndarray:
    """Vowels from a pulse train through formant filters, float32 (n,): voice activity detection takes it for speech.

    Seed 1 gives about three seconds of speech in four; other seeds give less.
    """
    rng = np.random.default_rng(seed)
    n = round(duration_s * rate_hz)
    time_s = np.arange(n) / rate_hz
    cycles = np.cumsum(120 + 20 * np.sin(2 * np.pi * 0.7 * time_s) + 3 * rng.normal()) / rate_hz
    source = np.diff(np.floor(cycles), prepend=0) + 0.003 * rng.standard_normal(n)
    vowels = [(730, 1090, 2440), (270, 2290, 3010), (570, 840, 2410), (530, 1840, 2480), (300, 870, 2240)]
    speech = np.zeros(n)
    syllable = round(0.18 * rate_hz)
    radius = np.exp(-np.pi * 80 / rate_hz)
    for start in range(0, n, syllable):
        sound = source[start : start + syllable]
        for formant_hz in vowels[rng.integers(5)]:
            poles = [1, -2 * radius * np.cos(2 * np.pi * formant_hz / rate_hz), radius**2]
            sound = lfilter([1 - radius], poles, sound)
        speech[start : start + syllable] = sound * np.hanning(len(sound))
    return (0.5 * speech / np.abs(speech).max()).astype(np.float32)


def write_wav(path: Path, samples: np.ndarray) -> None:
    """16-bit mono WAV at 16 kHz."""
    path.write_bytes(sounds.wave(sounds.pcm16(samples)))


def build_loudness_model(folder: Path, domain: bytes | None = None) -> None:
    """A whole model folder for `logband-resnet` whose network measures loudness: louder is "more synthetic".

    With a `domain` for the file of that name, it gives an embedding, too: mean magnitude and mean.
    """
    from onnx import TensorProto, helper, save_model

    nodes = [
        helper.make_node("Abs", ["samples"], ["magnitude"]),
        helper.make_node("ReduceMean", ["magnitude", "axis"], ["score"], keepdims=0),
    ]
    outputs = [helper.make_tensor_value_info("score", TensorProto.FLOAT, [1])]
    if domain is not None:
        nodes += [
            helper.make_node("ReduceMean", ["samples", "axis"], ["mean"], keepdims=1),
            helper.make_node("ReduceMean", ["magnitude", "axis"], ["level"], keepdims=1),
            helper.make_node("Concat", ["level", "mean"], ["embedding"], axis=1),
        ]
        outputs.append(helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, 2]))
        (folder / "domain.safetensors").write_bytes(domain)
    graph = helper.make_graph(
        nodes,
        "loudness",
        [helper.make_tensor_value_info("samples", TensorProto.FLOAT, [1, "n"])],
        outputs,
        [helper.make_tensor("axis", TensorProto.INT64, [1], [1])],
    )
    opset = [helper.make_opsetid("", 18)]
    save_model(helper.make_model(graph, opset_imports=opset, ir_version=9), str(folder / "model.onnx"))
    card = {
        "id": "loudness",
        "detector": "logband-resnet",
        "version": 1,
        "licence": "Apache-2.0",
        "weights": "model.onnx",
        "summary": "Mean magnitude; for tests.",
        "data": "none",
        "figures": {},
        "not_for": "anything but tests",
    }
    # log10 LR 0 at a mean magnitude of 0.02, and 100 per unit of magnitude
    calibration = {"bins": [{"min_speech_s": 0.0, "slope": 100.0, "offset": -2.0}], "clip_log10_lr": 3.0}
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    (folder / "calibration.json").write_text(json.dumps(calibration), encoding="utf-8")
    seal_model(folder)
