"""Where someone speaks: Silero VAD, straight from the model file in its package.

The package itself is not imported, because its import loads torch. Model: Silero Team, silero-vad 6 (MIT).
"""

import importlib.util
import threading
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelMissing
from ..onnx import onnxruntime
from ..rates import DETECTOR_RATE_HZ
from ..records import Audio, Float32Array, Segment

MODEL_NAME = "silero_vad_16k_sequence.onnx"
"""The variant that takes many windows per call: the same probabilities as the others, in a third of the time."""

WINDOW_SAMPLES = 512
CONTEXT_SAMPLES = 64
"""Each window is preceded by the end of the one before it."""
STATE_SHAPE = (1, 1, 128)
WINDOWS_PER_CALL = 512

ENTER_PROBABILITY = 0.5
LEAVE_PROBABILITY = 0.35
MIN_SPEECH_S = 0.25
MIN_SILENCE_S = 0.1
PADDING_S = 0.03


class VoiceActivity:
    """Finds speech in 16 kHz audio. One instance may serve several threads: nothing is kept between calls."""

    def __init__(self) -> None:
        """The model is loaded on first use."""
        self._session: Any = None
        self._lock = threading.Lock()

    def segments(self, audio: Audio) -> tuple[Segment, ...]:
        """Speech regions in seconds, in order, not overlapping, the same for the same samples every time.

        Speech starts where the probability reaches 0.5 and ends where it falls below 0.35 for 0.1 s or more;
        regions of up to 0.25 s are dropped, the others widened by 0.03 s on both sides. Raises `ValueError`
        for audio that is not at 16 kHz, `ModelMissing` where the model file is not installed.
        """
        if audio.rate_hz != DETECTOR_RATE_HZ:
            raise ValueError(f"voice activity needs {DETECTOR_RATE_HZ} Hz, not {audio.rate_hz}")
        regions = _speech_regions(self.probabilities(audio.samples), len(audio.samples))
        return tuple(Segment(start / DETECTOR_RATE_HZ, end / DETECTOR_RATE_HZ) for start, end in regions)

    def probabilities(self, samples: Float32Array) -> Float32Array:
        """Speech probability per window of 512 samples at 16 kHz: (n,) -> (ceil(n / 512),)."""
        session = self._load()
        count = -(-len(samples) // WINDOW_SAMPLES)
        windows = np.zeros((count, WINDOW_SAMPLES), np.float32)
        windows.reshape(-1)[: len(samples)] = samples
        contexts = np.zeros((count, CONTEXT_SAMPLES), np.float32)
        contexts[1:] = windows[:-1, -CONTEXT_SAMPLES:]
        inputs = np.concatenate([contexts, windows], axis=1)
        hidden = cell = np.zeros(STATE_SHAPE, np.float32)
        found = [np.zeros(0, np.float32)]
        for start in range(0, count, WINDOWS_PER_CALL):
            block = inputs[start : start + WINDOWS_PER_CALL]
            values, hidden, cell = session.run(["speech_probs", "hn", "cn"], {"input": block, "h": hidden, "c": cell})
            found.append(values.reshape(-1))
        return np.concatenate(found)

    def _load(self) -> Any:
        with self._lock:
            if self._session is None:
                runtime = onnxruntime()
                options = runtime.SessionOptions()
                options.intra_op_num_threads = options.inter_op_num_threads = 1
                options.log_severity_level = 3  # the file holds unused weights, which is worth a warning to ORT
                self._session = runtime.InferenceSession(model_path(), options, providers=["CPUExecutionProvider"])
            return self._session


def model_path() -> Path:
    """The model file inside the silero-vad package. Raises `ModelMissing`."""
    package = importlib.util.find_spec("silero_vad")
    if package is None or package.origin is None:
        raise ModelMissing("the package silero-vad is not installed; run `pip install 'silero-vad>=6.2.3,<7'`")
    path = Path(package.origin).parent / "data" / MODEL_NAME
    if not path.is_file():
        raise ModelMissing(f"{path} is missing; run `pip install --force-reinstall 'silero-vad>=6.2.3,<7'`")
    return path


def _speech_regions(probabilities: Float32Array, total_samples: int) -> list[tuple[int, int]]:
    """Start and end in samples; hysteresis, minimum durations and padding as `segments` describes them."""
    regions = [
        (start, end)
        for start, end in _runs(probabilities, total_samples)
        if end - start > MIN_SPEECH_S * DETECTOR_RATE_HZ
    ]
    padding = round(PADDING_S * DETECTOR_RATE_HZ)
    padded: list[tuple[int, int]] = []
    for start, end in regions:
        before = max(0, start - padding)
        if padded and padded[-1][1] > before:  # neighbours share the gap between them
            middle = (padded[-1][1] - padding + start) // 2
            padded[-1] = (padded[-1][0], middle)
            before = middle
        padded.append((before, min(total_samples, end + padding)))
    return padded


def _runs(probabilities: Float32Array, total_samples: int) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    start: int | None = None
    quiet: int | None = None
    for window, probability in enumerate(probabilities.tolist()):
        now = window * WINDOW_SAMPLES
        if probability >= ENTER_PROBABILITY:
            start = now if start is None else start
            quiet = None
        elif start is not None and probability < LEAVE_PROBABILITY:
            quiet = now if quiet is None else quiet
            if now - quiet >= MIN_SILENCE_S * DETECTOR_RATE_HZ:
                runs.append((start, quiet))
                start = quiet = None
    if start is not None:
        runs.append((start, total_samples))
    return runs
