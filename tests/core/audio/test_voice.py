"""Speech regions equal those of the package's own code, without its torch."""

import subprocess
import sys
import threading
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from speech_and_model import spoken

from covoguard.core.audio import Audio, VoiceActivity
from covoguard.core.audio import voice as voice_module
from covoguard.core.errors import ModelMissing


def _with_pauses(clips, rng):
    parts = []
    for clip in clips:
        samples, _ = soundfile.read(clip, dtype="float32")
        parts += [samples, 0.001 * rng.standard_normal(int(rng.integers(0, 16_000))).astype(np.float32)]
    return np.concatenate(parts)


def test_regions_are_those_of_the_original_code(vad, corpus):
    import torch
    from silero_vad import get_speech_timestamps, load_silero_vad

    model = load_silero_vad(onnx=True)
    rng = np.random.default_rng(0)
    found = 0
    for start in range(0, 1000, 50):
        samples = _with_pauses(corpus[start : start + 3], rng)
        expected = get_speech_timestamps(torch.from_numpy(samples), model)
        ours = vad.segments(Audio(samples, 16_000))
        pairs = [(round(s.start_s * 16_000), round(s.end_s * 16_000)) for s in ours]
        assert pairs == [(region["start"], region["end"]) for region in expected]
        found += len(pairs)
    assert found > 60


def test_made_speech_is_found_and_noise_is_not(vad):
    speech = spoken(4.0)
    regions = vad.segments(Audio(speech, 16_000))
    assert sum(region.duration_s for region in regions) > 2
    assert list(regions) == sorted(regions)
    assert all(a.end_s <= b.start_s for a, b in pairwise(regions))
    assert regions[-1].end_s <= 4.0
    noise = 0.1 * np.random.default_rng(0).standard_normal(64_000).astype(np.float32)
    for silent in (noise, np.zeros(64_000, np.float32), np.zeros(10, np.float32), np.zeros(0, np.float32)):
        assert vad.segments(Audio(silent, 16_000)) == ()


def test_probabilities_are_the_same_bit_for_bit_in_every_thread(vad):
    speech = spoken(20.0)  # more than one call's worth of windows
    first = VoiceActivity().probabilities(speech)
    assert len(first) == -(-len(speech) // 512)
    found = []
    threads = [threading.Thread(target=lambda: found.append(vad.probabilities(speech))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for probabilities in found:
        np.testing.assert_array_equal(probabilities, first)


@pytest.mark.parametrize(
    ("probabilities", "regions"),
    [
        ([0.4] * 20, []),  # never reaches the upper threshold
        ([0.9] * 7, []),  # 7 windows are 0.224 s
        ([0.9] * 8, [(0, 4096)]),
        ([0.1] * 2 + [0.9] + [0.4] * 9, [(1024 - 480, 6144)]),  # stays in between the thresholds
        ([0.9] * 10 + [0.1] * 10, [(0, 5120 + 480)]),
        ([0.9] * 10 + [0.1] * 3 + [0.9] * 10, [(0, 23 * 512)]),  # a pause of 0.096 s
        ([0.9] * 10 + [0.1] * 5 + [0.9] * 10, [(0, 5120 + 480), (7680 - 480, 12800)]),
    ],
)
def test_thresholds_and_durations(probabilities, regions):
    values = np.array(probabilities, np.float32)
    assert voice_module._speech_regions(values, len(values) * 512) == regions


def test_another_rate_is_refused(vad):
    with pytest.raises(ValueError, match="16000 Hz"):
        vad.segments(Audio(np.zeros(8_000, np.float32), 8_000))


def test_a_missing_model_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelMissing, match="pip install"):
        VoiceActivity().probabilities(np.zeros(512, np.float32))
    monkeypatch.undo()
    monkeypatch.setattr(voice_module, "MODEL_NAME", "no-such-file.onnx")
    with pytest.raises(ModelMissing, match=r"no-such-file\.onnx"):
        VoiceActivity().probabilities(np.zeros(512, np.float32))


def test_torch_is_not_loaded():
    script = (
        "import sys, numpy as np\n"
        "from covoguard.core.audio import Audio, VoiceActivity\n"
        "VoiceActivity().segments(Audio(np.zeros(16000, np.float32), 16000))\n"
        "print('torch' in sys.modules, 'silero_vad' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "False"]
