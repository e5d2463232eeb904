"""From a file to its quality facts, whole."""

import numpy as np
import sound_files as sounds
from speech_and_model import spoken

from covoguard.core.audio import measure_quality


def test_facts_and_speech_come_together(read_bytes, vad):
    speech = spoken(4.0)
    rng = np.random.default_rng(0)
    pause = np.zeros(16_000, np.float32)
    sound = np.concatenate([pause, speech, pause]) + 0.001 * rng.standard_normal(96_000).astype(np.float32)
    decoded = read_bytes(sounds.wave(sounds.pcm16(sound)))
    quality = measure_quality(decoded, vad)
    assert quality.speech_s > 2
    assert quality.speech[0].start_s > 0.8
    assert quality.speech[-1].end_s < 5.3
    assert 25 < quality.snr_db < 60
    facts = decoded.facts
    assert quality.bandwidth_hz == facts.bandwidth_hz
    assert quality.clipping_share == facts.clipping_share == 0
    assert not quality.partial
    assert not quality.too_long


def test_silence(read_bytes, vad):
    quality = measure_quality(read_bytes(sounds.wave(bytes(64_000))), vad)
    assert quality.speech == ()
    assert quality.speech_s == 0
    assert quality.snr_db is None
    assert quality.bandwidth_hz is None
