"""Each broken or hostile input has its documented outcome, through one reader that serves them all."""

import os
import tempfile
from pathlib import Path

import hostile_files
import numpy as np
import pytest
import sound_files as sounds

from covoguard.core.audio import AudioReader, open_input
from covoguard.core.errors import InputError
from covoguard.core.reasons import REASONS


@pytest.fixture(scope="module")
def hostile_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    return folder, hostile_files.build_hostile_files(folder)


def test_each_input_has_its_code(reader, hostile_folder):
    folder, expected = hostile_folder
    assert len(expected) >= 25
    errors = {}
    for name in expected:
        try:
            with open_input(folder / name) as opened:
                reader.read(opened)
        except InputError as error:
            errors[name] = error
    assert {name: error.code for name, error in errors.items()} == {n: c for n, c in expected.items() if c}
    assert {error.code for error in errors.values()} <= REASONS.keys()
    for name, error in errors.items():
        assert repr(str(folder / name)) in error.message
        assert "\n" not in error.message


def _facts(reader, folder, name):
    with open_input(folder / name) as opened:
        return reader.read(opened).facts


def test_hours_of_silence_are_cut_at_the_cap(reader, hostile_folder):
    folder, _ = hostile_folder
    assert (folder / "three-hours.flac").stat().st_size < 1 << 20
    facts = _facts(reader, folder, "three-hours.flac")
    assert facts.too_long
    assert not facts.partial
    assert facts.duration_s == 3600
    assert facts.declared_duration_s == 3 * 3600
    assert facts.channel_levels_dbfs == (None,)
    assert facts.bandwidth_hz is None


def test_the_analysed_ones_say_what_is_odd(reader, hostile_folder):
    folder, _ = hostile_folder
    assert _facts(reader, folder, "nan.wav").partial
    assert _facts(reader, folder, "cut-half.flac").partial
    assert _facts(reader, folder, "seven-channels.wav").channels == 7
    assert _facts(reader, folder, "opposite-phase.wav").mix == "loudest_channel"
    assert _facts(reader, folder, "ten-milliseconds.wav").duration_s == 0.01
    assert _facts(reader, folder, "wrong-suffix.mp3").container == "flac"


def test_a_cap_that_is_met_exactly_is_not_exceeded(tmp_path):
    path = tmp_path / "two.wav"
    path.write_bytes(sounds.wave(sounds.pcm16(sounds.speech_like(2.0, 44_100)), rate_hz=44_100))
    from covoguard.core.audio import DecodeLimits

    for cap_s, too_long in ((2.0, False), (1.9, True)):
        with AudioReader(DecodeLimits(max_duration_s=cap_s)) as reader, open_input(path) as opened:
            decoded = reader.read(opened)
        assert decoded.facts.too_long is too_long
        assert decoded.facts.duration_s == pytest.approx(cap_s)
        assert not decoded.facts.partial


@pytest.mark.skipif(os.geteuid() != 0, reason="other users get this case from build_hostile_files")
def test_no_permission_as_another_user():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "forbidden.wav"
        path.write_bytes(sounds.wave(bytes(100)))
        path.chmod(0)
        Path(folder).chmod(0o755)
        os.seteuid(65_534)
        try:
            with pytest.raises(InputError) as caught:
                open_input(path)
        finally:
            os.seteuid(0)
    assert caught.value.code == "no_permission"


def test_a_playlist_in_a_container_reaches_no_other_file(read_bytes, tmp_path):
    """An MP4 whose data reference names another file: FFmpeg must not open it."""
    sound = sounds.speech_like(1.0, 16_000)
    (tmp_path / "target.wav").write_bytes(sounds.wave(sounds.pcm16(sound)))
    data = sounds.encode("mov", "pcm_s16be", sound, 16_000)
    start = data.index(b"dref")
    assert data[start + 12 : start + 20] == (12).to_bytes(4, "big") + b"url "
    # Clear the flag "the data is in this file", so that the reference counts.
    data = data[: start + 20] + bytes(4) + data[start + 24 :]
    decoded = read_bytes(data)
    np.testing.assert_allclose(decoded.audio.samples, sound, atol=2**-15)
