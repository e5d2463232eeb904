"""`mark_file`, `covoguard mark` and `find_waveform_marks`."""

import hashlib
import json

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from waveform_mark_parts import install_program, key_file, voice

from covoguard.cli.main import cli
from covoguard.core.errors import CovoguardError, InputError, ModelMissing, UsageError
from covoguard.core.jsonrecord import from_json
from covoguard.core.records import Audio
from covoguard.core.waveformrecord import MarkTraits, WaveformFinding
from covoguard.core.waveformsettings import WaveformSettings
from covoguard.pipeline import mark_file as mark_file_module
from covoguard.pipeline.mark_file import MarkedFile, mark_file
from covoguard.pipeline.waveform_marks import find_waveform_marks, open_waveform_marks
from covoguard.watermark.issued import IssuedMessages
from covoguard.watermark.registry import WAVEFORM_MARKS

TRAITS = MarkTraits("offset", keyless=True, removable=True, limits="For tests.")


class OffsetMark:
    """A hundredth of full scale is added to every sample, and heard as the mean."""

    traits = TRAITS
    message_bytes = 2

    def embed(self, audio, message=b""):
        assert len(message) == 2
        return Audio(audio.samples + np.float32(0.01), audio.rate_hz)

    def find(self, audio):
        score = float(audio.samples.mean()) * 100
        return WaveformFinding("detected" if score > 0.9 else "not_detected", TRAITS, score=score, threshold=0.9)


@pytest.fixture
def issued(tmp_path):
    return IssuedMessages(tmp_path / "issued.sqlite")


def written(path, subtype="PCM_16", rate_hz=44_100, channels=2, **settings):
    samples = voice(rate_hz, 1.01).samples[: rate_hz + 13, None].repeat(channels, axis=1)
    samples -= samples.mean()
    samples[:, 0] *= 0.5
    soundfile.write(path, samples, rate_hz, subtype=subtype, **settings)
    return path


@pytest.mark.parametrize(
    ("name", "subtype", "kept"),
    [
        ("speech.wav", "PCM_16", "PCM_16"),
        ("speech.wav", "PCM_24", "PCM_24"),
        ("speech.wav", "FLOAT", "PCM_24"),
        ("speech.wav", "ULAW", "PCM_16"),
        ("speech.flac", "PCM_24", "PCM_24"),
        ("speech.aiff", "PCM_16", "PCM_16"),
    ],
)
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_rate_channels_length_and_bits_stay(tmp_path, issued, name, subtype, kept, suffix):
    source, output = written(tmp_path / name, subtype), tmp_path / f"marked{suffix}"
    before = source.read_bytes()
    marked = mark_file(source, output, OffsetMark(), issued)
    original, _ = soundfile.read(source)
    result, rate_hz = soundfile.read(output)
    assert (rate_hz, soundfile.info(output).subtype) == (44_100, kept)
    np.testing.assert_allclose(result, original + 0.01, atol=2**-15)
    assert source.read_bytes() == before
    assert marked.source_sha256 == hashlib.sha256(before).hexdigest()
    assert marked.sha256 == hashlib.sha256(output.read_bytes()).hexdigest()
    assert issued.find("offset", [bytes.fromhex(marked.message)]).file_sha256 == marked.sha256


def test_a_mark_that_cannot_be_heard_again_is_not_written(tmp_path, issued):
    class Faint(OffsetMark):
        def embed(self, audio, message=b""):
            return audio

    with pytest.raises(InputError, match="cannot be heard again"):
        mark_file(written(tmp_path / "a.wav"), tmp_path / "b.wav", Faint(), issued)
    assert not (tmp_path / "b.wav").exists()


def test_the_input_is_never_overwritten(tmp_path, issued):
    source = written(tmp_path / "a.wav")
    (tmp_path / "link.wav").symlink_to(source)
    for output in (source, tmp_path / "link.wav"):
        with pytest.raises(UsageError, match="never overwritten"):
            mark_file(source, output, OffsetMark(), issued)


def test_other_formats_are_refused_by_name(tmp_path, issued):
    source = written(tmp_path / "a.wav")
    with pytest.raises(UsageError, match=r"\.wav or \.flac"):
        mark_file(source, tmp_path / "b.mp3", OffsetMark(), issued)
    lossy = written(tmp_path / "a.ogg", "VORBIS", format="OGG")
    with pytest.raises(InputError, match="export it as WAV or FLAC"):
        mark_file(lossy, tmp_path / "b.wav", OffsetMark(), issued)
    (tmp_path / "c.wav").write_bytes(b"RIFF but no more")
    with pytest.raises(InputError, match="cannot be read"):
        mark_file(tmp_path / "c.wav", tmp_path / "b.wav", OffsetMark(), issued)
    with pytest.raises(InputError, match="no such file"):
        mark_file(tmp_path / "none.wav", tmp_path / "b.wav", OffsetMark(), issued)


def test_a_full_disk_leaves_nothing(tmp_path, issued, monkeypatch):
    def full(path, pieces):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mark_file_module, "write_whole", full)
    with pytest.raises(CovoguardError, match="No space left") as raised:
        mark_file(written(tmp_path / "a.wav"), tmp_path / "b.wav", OffsetMark(), issued)
    assert raised.value.code == "output_error"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "issued.sqlite"]


# --- the command -------------------------------------------------------------------------------------------


def run(*arguments):
    return CliRunner().invoke(cli, ["mark", *map(str, arguments)])


def test_the_command_marks_hears_again_and_prints(tmp_path, issued, monkeypatch):
    source = tmp_path / "speech.wav"
    soundfile.write(source, voice().samples, 16_000, subtype="PCM_16")
    install_program(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    options = ("--audiowmark-key", key_file(tmp_path), "--issued", issued.path, "--json")
    result = run("audiowmark", source, "-o", tmp_path / "marked.flac", *options)
    assert result.exit_code == 0, result.output
    marked = from_json(MarkedFile, json.loads(result.stdout))
    assert marked.finding.status == "detected"
    assert marked.finding.message == marked.message
    assert issued.count("audiowmark") == 1


def test_the_command_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "perth", None)
    source = written(tmp_path / "speech.wav")
    result = run("perth", source, "-o", tmp_path / "marked.wav")
    assert isinstance(result.exception, ModelMissing)
    assert "covoguard[perth]" in result.exception.message
    assert not (tmp_path / "marked.wav").exists()


def test_a_checkpoint_without_its_hash_is_refused(tmp_path):
    result = run("audioseal", tmp_path / "a.wav", "-o", tmp_path / "b.wav", "--audioseal-detector", tmp_path / "c")
    assert isinstance(result.exception, UsageError)
    assert "--audioseal-detector-sha256" in result.exception.message


# --- looking -----------------------------------------------------------------------------------------------


def test_every_mark_answers_for_itself(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(__import__("sys").modules, "perth", None)
    marks = open_waveform_marks(WaveformSettings(issued=tmp_path / "issued.sqlite"))
    findings = find_waveform_marks(voice(), marks)
    assert [finding.traits.method for finding in findings] == WAVEFORM_MARKS.names()
    assert {finding.status for finding in findings} == {"not_checked"}
    assert len(open_waveform_marks(names=["perth"])) == 1
    with pytest.raises(UsageError, match="audioseal, audiowmark, perth"):
        open_waveform_marks(names=["audiowatermark"])
