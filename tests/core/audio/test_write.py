import stat

import numpy as np
import pytest

from covoguard.core.audio import AudioReader, open_input, write_audio
from covoguard.core.errors import UsageError


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".FLAC"])
def test_whole_steps_come_back_exactly(reader: AudioReader, tmp_path, suffix):
    steps = np.concatenate([[-32768, 32767, 0, 1, -1], np.random.default_rng(0).integers(-32768, 32768, 16_000)])
    samples = (steps / 32768).astype(np.float32)
    path = tmp_path / f"x{suffix}"
    write_audio(path, samples, 16_000)
    with open_input(path) as opened:
        decoded = reader.read(opened)
    np.testing.assert_array_equal(decoded.audio.samples, samples)
    assert decoded.facts.rate_hz == 16_000
    assert stat.S_IMODE(path.stat().st_mode) & stat.S_IRUSR
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_others_are_at_most_half_a_step_off(reader, tmp_path):
    samples = np.random.default_rng(0).uniform(-1.2, 1.2, 24_000).astype(np.float32)
    write_audio(tmp_path / "x.wav", samples, 24_000)
    import soundfile

    back, rate_hz = soundfile.read(tmp_path / "x.wav", dtype="float64")
    assert rate_hz == 24_000
    np.testing.assert_allclose(back, np.clip(samples, -1, 1 - 2**-15), atol=2**-16)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.wav"
    write_audio(path, np.zeros(10, np.float32), 16_000)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="finite"):
        write_audio(path, np.array([0, np.nan], np.float32), 16_000)
    with pytest.raises(Exception, match=r"Error opening|rate"):
        write_audio(path, np.zeros(10, np.float32), -5)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.wav"]


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"\.mp3"):
        write_audio(tmp_path / "x.mp3", np.zeros(10, np.float32), 16_000)
