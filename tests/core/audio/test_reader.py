"""The decoder process: re-used over files, and the only thing that a hostile file can take down."""

import os
import signal
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest
import sound_files as sounds

from covoguard.core.audio import AudioReader, DecodeLimits, open_input
from covoguard.core.audio import reader as reader_module
from covoguard.core.audio.wire import (
    ProtocolError,
    error_from_json,
    facts_from_json,
    facts_to_json,
    receive_message,
    receive_samples,
    sample_count_from_json,
)
from covoguard.core.errors import InputError


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.wav"
    path.write_bytes(sounds.wave(sounds.pcm16(sounds.speech_like(1.0, 16_000))))
    return path


def _read(reader, path):
    with open_input(path) as opened:
        return reader.read(opened)


def _code_of(reader, path):
    with pytest.raises(InputError) as caught:
        _read(reader, path)
    return caught.value.code


def test_one_process_serves_many_files_and_ends_with_the_reader(clip, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"RIFF1234WAVE")
    with AudioReader() as reader:
        first = _read(reader, clip)
        pid = reader._child.pid
        assert _code_of(reader, tmp_path / "bad.wav") == "nothing_decoded"
        second = _read(reader, clip)
        assert reader._child.pid == pid
        assert os.getsid(pid) == pid  # a session of its own: Ctrl-C ends the scan, not the decoder under it
    np.testing.assert_array_equal(first.audio.samples, second.audio.samples)
    assert first.facts == second.facts
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_record_belongs_to_the_bytes_that_were_hashed(clip, tmp_path):
    """The path is swapped after hashing: the sound is that of the hashed file."""
    with AudioReader() as reader, open_input(clip) as opened:
        other = tmp_path / "other.wav"
        other.write_bytes(sounds.wave(bytes(1000)))
        other.replace(clip)
        decoded = reader.read(opened)
    assert decoded.audio.sha256 == opened.sha256
    assert decoded.audio.source == str(clip)
    assert decoded.facts.duration_s == 1.0


def test_a_file_that_changes_while_it_is_read(clip):
    with AudioReader() as reader, open_input(clip) as opened:
        os.utime(clip, ns=(1, 1))
        with pytest.raises(InputError) as caught:
            reader.read(opened)
        assert caught.value.code == "changed_while_read"
        assert _read(reader, clip).facts.duration_s == 1.0


def test_what_fails_on_a_file_that_changes_is_not_blamed_on_its_hashed_bytes(tmp_path):
    path = tmp_path / "cut.wav"
    path.write_bytes(sounds.wave(sounds.pcm16(sounds.speech_like(1.0, 16_000))))
    with AudioReader() as reader, open_input(path) as opened:
        os.truncate(path, 30)
        with pytest.raises(InputError) as caught:
            reader.read(opened)
    assert caught.value.code == "changed_while_read"


def test_a_decoder_that_cannot_be_started_is_no_fault_of_the_file(clip, monkeypatch):
    with AudioReader() as reader:
        for executable in ("/nowhere/python", "/bin/false"):
            with monkeypatch.context() as patch:
                patch.setattr(sys, "executable", executable)
                assert _code_of(reader, clip) == "internal_error"
        assert _read(reader, clip).facts.duration_s == 1.0


def test_a_killed_decoder_costs_one_file(clip, monkeypatch):
    with AudioReader() as reader:
        _read(reader, clip)
        pid = reader._child.pid

        def kill_first(connection, deadline_s):
            os.kill(pid, signal.SIGKILL)
            return receive_message(connection, deadline_s)

        os.kill(pid, signal.SIGSTOP)  # it cannot have answered by then
        with monkeypatch.context() as patch:
            patch.setattr(reader_module, "receive_message", kill_first)
            assert _code_of(reader, clip) == "decoder_crashed"
        assert _read(reader, clip).facts.duration_s == 1.0
        assert reader._child.pid != pid


def test_a_decoder_that_died_between_files_costs_none(clip):
    with AudioReader() as reader:
        _read(reader, clip)
        os.kill(reader._child.pid, signal.SIGKILL)
        reader._child.wait()
        assert _read(reader, clip).facts.duration_s == 1.0


def test_a_decoder_that_hangs_is_stopped(clip):
    with AudioReader(DecodeLimits(timeout_s=0.3)) as reader:
        reader._connect()
        pid = reader._child.pid
        os.kill(pid, signal.SIGSTOP)
        assert _code_of(reader, clip) == "decode_timeout"
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not limit address space")
def test_a_decoder_that_eats_memory_is_refused_it(clip, tmp_path):
    path = tmp_path / "two-hours.flac"  # 461 MB as samples
    sounds.flac_of_silence(path, 2 * 3600)
    with AudioReader(DecodeLimits(memory_bytes=480 << 20, max_duration_s=2 * 3600)) as reader:
        assert _code_of(reader, path) in {"decode_memory", "decoder_crashed"}
        assert _read(reader, clip).facts.duration_s == 1.0


def test_readers_in_several_threads_agree(clip):
    found = []

    def work():
        with AudioReader() as reader:
            found.extend(_read(reader, clip).audio.samples for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 15
    for samples in found:
        np.testing.assert_array_equal(samples, found[0])


def test_modules_lying_in_the_current_folder_are_not_run(clip, tmp_path, monkeypatch):
    for name in ("av", "numpy", "soxr", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('run from the current folder')")
    monkeypatch.chdir(tmp_path)
    with AudioReader() as reader:
        assert _read(reader, clip).facts.duration_s == 1.0


def test_the_decoder_ends_when_its_reader_is_gone(clip):
    """What a decoder sees of the death of its parent is that the socket closes."""
    with AudioReader() as reader:
        _read(reader, clip)
        reader._connection.close()
        assert reader._child.wait(timeout=60) == 0


def test_the_decoder_loads_what_it_needs_and_no_more():
    script = (
        "import sys, covoguard.core.audio.worker\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} "
        "& {'av', 'scipy', 'torch', 'onnxruntime', 'soundfile', 'sklearn', 'pyarrow'}))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "['av']"


def test_importing_the_package_loads_numpy_only():
    script = (
        "import sys, covoguard.core.audio\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} - sys.stdlib_module_names - {'covoguard'}))"
    )
    ran = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.strip()[1:-1].replace("'", "").split(", "))
    assert {name for name in loaded if not name.startswith("_")} <= {"numpy", "covoguard", "cython_runtime"}


# --- what comes from a decoder that was taken over -----------------------------------------------------------


@pytest.fixture
def good_facts(read_bytes):
    decoded = read_bytes(sounds.wave(sounds.pcm16(sounds.speech_like(0.1, 16_000))))
    return decoded.facts


def test_facts_survive_the_wire(good_facts):
    assert facts_from_json(facts_to_json(good_facts) | {"channel_levels_dbfs": [-16.0]}, DecodeLimits()).rate_hz
    as_json = facts_to_json(good_facts)
    as_json["channel_levels_dbfs"] = list(as_json["channel_levels_dbfs"])
    assert facts_from_json(as_json, DecodeLimits()) == good_facts


@pytest.mark.parametrize(
    "forged",
    [
        {"container": "<script>"},
        {"codec": 7},
        {"rate_hz": 0},
        {"rate_hz": 16_000.5},
        {"rate_hz": True},
        {"channels": 2},
        {"channels": 1_000},
        {"duration_s": float("nan")},
        {"duration_s": 1e9},
        {"duration_s": "1"},
        {"declared_duration_s": -1},
        {"partial": 1},
        {"mix": "median"},
        {"channel_levels_dbfs": ["loud"]},
        {"peak": float("inf")},
        {"clipping_share": 2},
        {"extra": 1},
    ],
)
def test_forged_facts_are_refused(good_facts, forged):
    as_json = facts_to_json(good_facts) | {"channel_levels_dbfs": [-16.0]}
    with pytest.raises(ProtocolError):
        facts_from_json(as_json | forged, DecodeLimits())


def test_forged_errors_and_counts_are_refused():
    with pytest.raises(ProtocolError):
        error_from_json({"code": "no_such_code", "message": "x"})
    error = error_from_json({"code": "bad_header", "message": "a\x1b[31m\nb" + "c" * 1000})
    assert "\x1b" not in error.message
    assert "\n" not in error.message
    assert len(error.message) <= 500
    for count in (-1, 1.0, None, 10**12):
        with pytest.raises(ProtocolError):
            sample_count_from_json(count, DecodeLimits())


def test_forged_messages_are_refused():
    for data in (b"\xff\xff\xff\xff", b"\0\0\0\x02[]", b"\0\0\0\x02{x", b"\0\0\0\x09{}"):
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                theirs.sendall(data)
            with pytest.raises(ProtocolError):
                receive_message(ours)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1.5, -2.0])
def test_forged_samples_are_refused(value):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(np.array([0, value, 0], "<f4").tobytes())
        with pytest.raises(ProtocolError):
            receive_samples(ours, 3)
