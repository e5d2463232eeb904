import numpy as np
import pytest
import soundfile
from scipy.signal import firwin, lfilter

from covoguard.core.audio import Audio, resample
from covoguard.core.audio.levels import SoundStatistics
from covoguard.core.audio.quality import snr_db
from covoguard.core.records import Segment


def test_known_signal_over_known_noise():
    """Noise everywhere, a tone 20 dB above it in the middle."""
    rng = np.random.default_rng(0)
    samples = 0.01 * rng.standard_normal(64_000).astype(np.float32)
    samples[16_000:48_000] += 0.1 * np.sqrt(2) * np.sin(np.arange(32_000) / 3).astype(np.float32)
    assert snr_db(samples, [Segment(1.0, 3.0)]) == pytest.approx(20, abs=0.3)


def test_bounds_and_the_undefined():
    tone = np.sin(np.arange(32_000) / 3).astype(np.float32)
    gated = np.concatenate([tone, np.zeros(16_000, np.float32)])
    assert snr_db(gated, [Segment(0.0, 2.0)]) == 60  # digital silence outside
    assert snr_db(gated[::-1].copy(), [Segment(0.0, 1.0)]) == -10  # nothing inside
    assert snr_db(tone, []) is None
    assert snr_db(np.zeros(0, np.float32), [Segment(0.0, 1.0)]) is None
    assert snr_db(tone[:100], [Segment(0.0, 0.006)]) is None  # less than one frame


@pytest.fixture(scope="module")
def clean_speech(corpus, vad):
    """Twenty long stretches of very clean speech with pauses, and their regions."""
    found = []
    for start in range(0, len(corpus), 11):
        samples, _ = soundfile.read(corpus[start], dtype="float32")
        regions = vad.segments(Audio(samples, 16_000))
        estimate = snr_db(samples, regions)
        if estimate is not None and estimate > 45:
            found += [samples, np.zeros(6_000, np.float32)]
        if len(found) == 80:
            break
    return [np.concatenate(found[i : i + 4]) for i in range(0, len(found), 4)]


@pytest.mark.parametrize("target_db", [5, 10, 20, 30])
def test_estimate_of_real_speech_in_added_noise(clean_speech, vad, target_db):
    rng = np.random.default_rng(target_db)
    errors = []
    for speech in clean_speech:
        regions = vad.segments(Audio(speech, 16_000))
        inside = np.concatenate([speech[round(r.start_s * 16_000) : round(r.end_s * 16_000)] for r in regions])
        power = np.mean(np.square(inside, dtype=np.float64)) / 10 ** (target_db / 10)
        noisy = (speech + np.sqrt(power) * rng.standard_normal(len(speech))).astype(np.float32)
        estimate = snr_db(noisy, vad.segments(Audio(noisy, 16_000)))
        errors.append(estimate - target_db)
    assert abs(np.mean(errors)) < 1.0
    assert np.max(np.abs(errors)) < 4.0


def _bandwidth(samples, rate_hz, bits=16):
    steps = np.rint(np.atleast_2d(samples) * 2 ** (bits - 1)) / 2 ** (bits - 1)
    block = steps.astype(np.float32)
    statistics = SoundStatistics()
    for piece in np.array_split(block, 7, axis=1):
        statistics.add(piece, piece.mean(axis=0), rate_hz)
    return statistics.bandwidth_hz(bits)


@pytest.mark.parametrize("cutoff_hz", [3_400, 5_500, 8_000, 12_000, 16_000, 20_000])
@pytest.mark.parametrize("level", [0.1, 0.003])
def test_bandwidth_of_filtered_noise(cutoff_hz, level):
    noise = level * np.random.default_rng(0).standard_normal(48_000 * 3)
    low = lfilter(firwin(1001, cutoff_hz, window=("kaiser", 10), fs=48_000), 1, noise)
    assert _bandwidth(low, 48_000) == pytest.approx(cutoff_hz, abs=250)


@pytest.mark.parametrize(("from_hz", "to_hz"), [(8_000, 16_000), (8_000, 48_000), (16_000, 44_100), (22_050, 48_000)])
def test_bandwidth_of_resampled_material_is_that_of_its_source(from_hz, to_hz):
    noise = (0.1 * np.random.default_rng(0).standard_normal(from_hz * 3)).astype(np.float32)
    assert _bandwidth(resample(noise, from_hz, to_hz), to_hz) == pytest.approx(from_hz / 2, rel=0.06)


def test_quiet_full_band_noise_at_sixteen_bits_keeps_its_band():
    noise = 0.001 * np.random.default_rng(0).standard_normal(48_000)
    assert _bandwidth(noise, 16_000) == 8_000


def test_rounding_noise_is_no_content():
    """A quiet tone stands less than 50 dB above the noise of 8-bit rounding."""
    rng = np.random.default_rng(0)
    tone = 0.1 * np.sin(2 * np.pi * 997 * np.arange(48_000) / 16_000) + rng.uniform(-1, 1, 48_000) / 256
    assert _bandwidth(tone, 16_000, bits=8) == pytest.approx(1_000, abs=150)


def test_silence_has_no_bandwidth():
    assert _bandwidth(np.zeros(16_000), 16_000) is None
    assert SoundStatistics().bandwidth_hz(16) is None


def test_bandwidth_of_real_speech(corpus):
    """Full-band clips stay far from the telephone band, and telephone copies of them fall into it."""
    for clip in corpus[::60]:
        samples, _ = soundfile.read(clip, dtype="float32")
        phone = resample(resample(samples, 16_000, 8_000), 8_000, 16_000)
        assert 2_000 < _bandwidth(phone, 16_000) < 4_100


def test_clipping_needs_runs_at_the_ceiling():
    rng = np.random.default_rng(0)
    sound = (0.2 * rng.standard_normal((2, 48_000))).clip(-0.98, 0.98).astype(np.float32)

    def share(block):
        statistics = SoundStatistics()
        statistics.add(block, block.mean(axis=0), 16_000)
        return statistics.clipping_share()

    assert share(sound) == 0
    touched = sound.copy()
    touched[0, 100:48_000:100] = 1.0  # single peaks: normalised, not clipped
    assert share(touched) == 0
    overdriven = np.clip(touched, None, 0.98)
    overdriven[0, 100:48_000:100] = overdriven[0, 101:48_000:100] = overdriven[0, 102:48_000:100] = -1.0
    assert share(overdriven) == pytest.approx(479 * 3 / 96_000)
