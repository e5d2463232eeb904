"""Settings and fixtures for all tests."""

import importlib.util
import json
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from scipy.signal import lfilter

from covoguard.core.modelcard import seal_model

# Tests never time anything: a busy machine must not fail them. Fixed examples, so that a run can be repeated.
settings.register_profile("covoguard", deadline=None, derandomize=True)
settings.load_profile("covoguard")


def _load_helper(name: str) -> None:
    """Make tests/<name>.py importable by its bare name, without this folder, with its `datasets`, on the path."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


_load_helper("sound_files")
_load_helper("hostile_files")

# --- sound and a model that every machine can make ----------------------------------------------------------


def _make_speech(duration_s: float, *, rate_hz: int = 16_000, seed: int = 1) -> np.ndarray:
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


def _write_wav(path: Path, samples: np.ndarray, rate_hz: int = 16_000) -> Path:
    """16-bit mono WAV."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="session")
def loudness_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole model folder for `logband-resnet` whose network measures loudness: louder is "more synthetic"."""
    from onnx import TensorProto, helper, save_model

    folder = tmp_path_factory.mktemp("loudness-model")
    nodes = [
        helper.make_node("Abs", ["samples"], ["magnitude"]),
        helper.make_node("ReduceMean", ["magnitude", "axis"], ["score"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "loudness",
        [helper.make_tensor_value_info("samples", TensorProto.FLOAT, [1, "n"])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, [1])],
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
    return folder


@pytest.fixture(scope="session")
def make_speech() -> Callable[..., np.ndarray]:
    """`make_speech(duration_s, rate_hz=..., seed=...)`: see `_make_speech`."""
    return _make_speech


@pytest.fixture(scope="session")
def write_wav() -> Callable[..., Path]:
    """`write_wav(path, samples, rate_hz=...)`: see `_write_wav`."""
    return _write_wav


_load_helper("speech_and_model")
