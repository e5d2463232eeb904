"""audiowmark, by a stand-in for the program: what it prints, and what it does wrong."""

import pytest
from waveform_mark_parts import install_program, key_file, voice

from covoguard.core.errors import InputError, KeyMissing
from covoguard.core.waveformsettings import WaveformSettings
from covoguard.watermark.issued import IssuedMessages
from covoguard.watermark.waveform.audiowmark import AudiowmarkMark


@pytest.fixture
def register(tmp_path):
    return IssuedMessages(tmp_path / "issued.sqlite")


@pytest.fixture
def mark(tmp_path, monkeypatch, register):
    """`mark(get, code=0, start_s=60.0)`: with a program that answers so; honestly where `get` is empty."""

    def make(get="", *, code=0, start_s=60.0):
        install_program(tmp_path, get, code=code)
        monkeypatch.setenv("PATH", str(tmp_path))
        return AudiowmarkMark(
            WaveformSettings(audiowmark_key=key_file(tmp_path), issued=register.path), start_s=start_s
        )

    return make


def test_an_issued_message_is_found_bit_for_bit(mark, register):
    message = register.issue("audiowmark", 16)
    honest = mark()
    finding = honest.find(honest.embed(voice(), message))
    assert (finding.status, finding.message, finding.speed) == ("detected", message.hex(), 1.0)
    assert finding.p_value == 2 / 2**128
    assert finding.issued_utc is not None
    assert not finding.traits.keyless


def test_candidates_on_unmarked_sound_are_chance(mark, register):
    register.issue("audiowmark", 16)
    finding = mark().find(voice())
    assert (finding.status, finding.message, finding.p_value) == ("not_detected", None, None)


def test_a_message_with_one_bit_wrong_is_no_message(mark, register):
    message = register.issue("audiowmark", 16)
    wrong = message[:-1] + bytes([message[-1] ^ 1])
    assert mark(f"print('pattern   all {wrong.hex()} 9.9 0.0')").find(voice()).status == "not_detected"
    assert mark(f"print('pattern   all {message.hex()} 0.1 0.5')").find(voice()).status == "detected"


def test_the_speed_is_that_of_the_match(mark, register):
    message = register.issue("audiowmark", 16).hex()
    fast = mark(f"print('speed 1.049966\\npattern  0:05 {message} 1.209 0.147 A-SPEED')").find(voice())
    assert (fast.status, fast.speed) == ("detected", 1.049966)
    assert mark(f"print('speed 1.2\\npattern  0:05 {message} 1.209 0.147 A')").find(voice()).speed == 1.0


def test_without_an_issued_message_nothing_could_be_told_from_chance(mark, register):
    finding = mark().find(voice())
    assert (finding.status, finding.reason) == ("not_checked", "no_issued_messages")
    assert not register.path.exists()


@pytest.mark.parametrize(
    ("get", "code", "says"),
    [
        ("", 3, "ended with code 3"),
        ("print('Segmentation fault')", 0, "no candidate"),
        ("sys.stdout.buffer.write(bytes(range(256)) * 40)", 0, "no candidate"),
        ("for _ in range(20000): print('x' * 100)", 0, "printed more than"),
        ("pass", 0, "no candidate"),
    ],
    ids=["fails", "garbage", "bytes", "flood", "nothing"],
)
def test_a_program_that_fails_is_not_an_answer(mark, register, get, code, says):
    register.issue("audiowmark", 16)
    finding = mark(get, code=code).find(voice())
    assert (finding.status, finding.reason) == ("not_checked", "mark_failed")
    assert says in finding.detail


def test_a_program_that_hangs_is_ended_with_all_that_it_started(mark, register, tmp_path):
    register.issue("audiowmark", 16)
    child = f"import os; os.fork() or open({str(tmp_path / 'child')!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    finding = mark(child, start_s=0.0).find(voice(duration_s=3.0))
    assert (finding.status, finding.reason) == ("not_checked", "mark_failed")
    assert "took longer" in finding.detail


def test_what_the_program_writes_must_be_the_same_length_and_rate(mark, register, monkeypatch):
    honest = mark()
    monkeypatch.setattr(
        "covoguard.watermark.waveform.audiowmark.run_program",
        lambda command, limit_s: __import__("soundfile").write(command[5], [0.1] * 7, 16_000),
    )
    with pytest.raises(InputError, match="7, 1"):
        honest.embed(voice(), bytes(16))


def test_a_program_that_writes_nothing_marks_nothing(mark, monkeypatch):
    honest = mark()
    monkeypatch.setattr("covoguard.watermark.waveform.audiowmark.run_program", lambda command, limit_s: "")
    with pytest.raises(InputError, match="wrote no sound"):
        honest.embed(voice(), bytes(16))


def test_keys_are_private_files(tmp_path):
    key = key_file(tmp_path)
    AudiowmarkMark.open(WaveformSettings(audiowmark_key=key))
    key.chmod(0o644)
    with pytest.raises(KeyMissing, match="chmod 600"):
        AudiowmarkMark.open(WaveformSettings(audiowmark_key=key))
    for wrong in (tmp_path / "none", tmp_path):
        with pytest.raises(KeyMissing, match="key"):
            AudiowmarkMark.open(WaveformSettings(audiowmark_key=wrong))


def test_a_relative_entry_of_the_path_is_not_run(tmp_path, monkeypatch, register):
    register.issue("audiowmark", 16)
    install_program(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", ".")
    mark = AudiowmarkMark(WaveformSettings(audiowmark_key=key_file(tmp_path), issued=register.path))
    assert mark.find(voice()).reason == "mark_not_installed"
