"""The contract of every registered waveform mark, with what is installed here or made for the test."""

import numpy as np
import pytest
from waveform_mark_parts import install_program, key_file, save_audioseal, voice

from covoguard.core.errors import CovoguardError, InputError, UsageError
from covoguard.core.reasons import REASONS
from covoguard.core.records import Audio
from covoguard.core.waveformrecord import WAVEFORM_STATUSES
from covoguard.core.waveformsettings import WaveformSettings
from covoguard.watermark.issued import IssuedMessages
from covoguard.watermark.registry import WAVEFORM_MARKS

MESSAGES = {"perth": b"", "audioseal": b"\xbe\xef", "audiowmark": bytes(range(16))}


@pytest.fixture(scope="module", params=WAVEFORM_MARKS.names())
def mark(request, tmp_path_factory):
    """Ready to use; nothing was issued but one message of audiowmark's."""
    folder = tmp_path_factory.mktemp(request.param)
    register = folder / "issued.sqlite"
    IssuedMessages(register).issue("audiowmark", 16)
    settings = WaveformSettings(issued=register, speed_sweep=False)
    if request.param == "perth":
        pytest.importorskip("perth", reason="needs the extra perth")
    if request.param == "audioseal":
        generator, detector = (save_audioseal(folder / part, part) for part in ("generator", "detector"))
        settings = WaveformSettings(generator, detector, issued=register)
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "audiowmark":
            install_program(folder)
            patch.setenv("PATH", str(folder))
            settings = WaveformSettings(audiowmark_key=key_file(folder), issued=register)
        yield WAVEFORM_MARKS.get(request.param).open(settings)


def message_of(mark):
    return MESSAGES[mark.traits.method]


def test_it_says_what_it_is(mark):
    assert mark.traits.method in WAVEFORM_MARKS.names()
    assert len(mark.traits.limits) > 60
    assert "Source:" in type(mark).__doc__
    assert mark.message_bytes == len(message_of(mark))


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(64_000, np.float32), "no_speech"),
        (np.zeros(0, np.float32), "too_short"),
        (np.ones(160, np.float32), "too_short"),
        (np.full(64_000, np.nan, np.float32), "not_finite"),
        (np.full(64_000, np.inf, np.float32), "not_finite"),
        (np.ones((2, 64_000), np.float32), "not_mono"),
    ],
    ids=["silence", "empty", "10 ms", "NaN", "infinite", "stereo"],
)
def test_what_is_no_mono_sound_is_not_checked_and_not_marked(mark, samples, reason):
    audio = Audio(samples, 16_000)
    finding = mark.find(audio)
    assert (finding.status, finding.reason, finding.score) == ("not_checked", reason, None)
    assert finding.detail
    assert finding.message is None
    with pytest.raises(InputError) as raised:
        mark.embed(audio, message_of(mark))
    assert raised.value.code == reason


def test_unmarked_speech_is_not_called_marked_and_twice_the_same(mark):
    finding = mark.find(voice())
    assert finding.status == "not_detected"
    assert finding.message is None
    assert finding.segments == ()
    assert mark.find(voice()) == finding


@pytest.mark.parametrize(
    ("rate_hz", "length"), [(16_000, 64_001), (8_000, 32_003), (44_100, 176_399), (48_000, 192_000)]
)
def test_a_marked_sound_has_the_same_length_and_rate_and_is_near_the_original(mark, rate_hz, length):
    audio = Audio(voice(rate_hz, 4.1).samples[:length], rate_hz, "speech.wav")
    marked, again = (mark.embed(audio, message_of(mark)) for _ in range(2))
    assert marked.samples.shape == (length,)
    assert (marked.samples.dtype, marked.rate_hz, marked.source) == (np.float32, rate_hz, "speech.wav")
    np.testing.assert_array_equal(marked.samples, again.samples)
    assert np.isfinite(marked.samples).all()
    assert not np.array_equal(marked.samples, audio.samples)
    if mark.traits.method != "audioseal":  # whose weights are random here
        assert np.abs(marked.samples - audio.samples).max() < 0.2


def test_a_message_of_the_wrong_length_is_refused(mark):
    with pytest.raises(UsageError, match=r"message|bytes"):
        mark.embed(voice(), message_of(mark) + b"x")


def test_the_evidence_is_of_its_kind_and_says_no_more_than_the_finding(mark):
    finding = mark.find(voice())
    evidence = finding.to_evidence()
    assert (evidence.kind, evidence.method, evidence.status) == ("waveform_mark", mark.traits.method, finding.status)
    assert (evidence.score, evidence.p_value, evidence.log10_lr) == (finding.score, finding.p_value, None)
    assert evidence.model_sha256 == finding.model_sha256


@pytest.mark.parametrize("name", WAVEFORM_MARKS.names())
def test_without_anything_it_is_not_checked_and_says_what_to_do(name, monkeypatch, tmp_path):
    for package in ("perth", "audioseal", "audioseal.loader"):
        monkeypatch.setitem(__import__("sys").modules, package, None)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("COVOGUARD_DATA", str(tmp_path / "data"))
    mark = WAVEFORM_MARKS.get(name).open()
    finding = mark.find(voice())
    assert finding.status == "not_checked"
    assert finding.status in WAVEFORM_STATUSES
    assert finding.reason in REASONS
    assert "install" in finding.detail or "--" in finding.detail
    with pytest.raises(CovoguardError) as raised:
        mark.embed(voice(), MESSAGES[name])
    assert (raised.value.exit_code, raised.value.code) == (4, finding.reason)
    assert not (tmp_path / "data").exists()
