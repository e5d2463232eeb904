"""`covoguard dataset build` as a user meets it: output, exit codes, refusals."""

import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sound_files as sounds
from click.testing import CliRunner

from covoguard.cli.dataset import dataset
from covoguard.core.errors import CovoguardError, InputError, KeyMissing, UsageError
from covoguard.core.keyring import KeyRing
from covoguard.datasets.store import Store
from covoguard.datasets.store.journal import JournaledFile


@pytest.fixture
def run(tmp_path, monkeypatch):
    """`run(...)`: `covoguard dataset` in a folder with a manifest of one genuine clip and one that is not there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COVOGUARD_KEYS", str(tmp_path / "keys"))
    (tmp_path / "a.wav").write_bytes(sounds.wave(sounds.pcm16(sounds.speech_like(0.5, 16_000))))
    (tmp_path / "whole.csv").write_text("clip,file,label\na,a.wav,bonafide\n")
    (tmp_path / "lacking.csv").write_text("clip,file,label\na,a.wav,bonafide\nb,\x1b[31mb.wav,bonafide\n")
    (tmp_path / "spoofs.csv").write_text("clip,file,label\na,a.wav,spoof\n")
    return lambda *arguments: CliRunner().invoke(dataset, ["build", *arguments])


GRIFFIN = ("-o", "new", "--spoof", "griffin-lim")


def test_each_clip_has_a_line_and_the_command_can_be_repeated(run):
    result = run("whole.csv", *GRIFFIN, "--keep-bonafide", "--degrade", "1")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("made      0.") for line in lines)
    assert ".griffin-lim of a.wav" in result.stdout
    assert lines[1].endswith("level)") or "packet_loss" in lines[1]
    assert result.stderr == "new: 4 made, 0 were there already, 0 failed\n"
    again = run("whole.csv", *GRIFFIN, "--keep-bonafide", "--degrade", "1", "--json", "-q")
    assert [json.loads(line)["status"] for line in again.stdout.splitlines()] == ["already"] * 4
    assert (again.exit_code, again.stderr) == (0, "")
    info = json.loads(CliRunner().invoke(dataset, ["info", "new", "--verify", "--json"]).stdout)
    assert {label: share["clips"] for label, share in info["labels"].items()} == {"bonafide": 2, "spoof": 2}
    assert info["damaged"] == []


def test_a_clip_that_fails_is_a_line_and_exit_code_3(run):
    result = run("lacking.csv", *GRIFFIN)
    assert result.exit_code == 3, result.output
    assert "\x1b" not in result.stdout
    assert "FAILED " in result.stdout
    assert "1 made, 0 were there already, 1 failed" in result.stderr


def test_wrong_usage_is_refused_and_nothing_is_written(run, tmp_path):
    assert isinstance(run("spoofs.csv", *GRIFFIN).exception, UsageError)
    assert isinstance(run("whole.csv", "-o", "new", "--spoof", "x").exception, UsageError)
    assert isinstance(run("whole.csv", *GRIFFIN, "--degrade", "1").exception, UsageError)
    for wrong in (("-o", "new"), (*GRIFFIN, "--degrade", "-1"), (*GRIFFIN, "--seed", "-1")):
        assert run("whole.csv", *wrong).exit_code == 2
    assert not (tmp_path / "new").exists()


def test_a_codec_as_a_spoof_comes_with_a_warning(run):
    result = run("whole.csv", "-o", "new", "--spoof", "codec-mu-law", "--keep-bonafide", "--codec", "opus")
    assert result.exit_code == 0, result.output
    assert "only encoded are labelled as spoofs" in result.stderr
    assert result.stdout.count("(opus:8000)") == 2


# --- from prompts -------------------------------------------------------------------------------------------

SAY = ("-o", "said", "--spoof", "generate")


def store_of(folder):
    """All that two builds of the same must have in common."""
    with Store(Path(folder)) as store:
        assert list(store.verify()) == []
        return [(clip.row, clip.token_ids.tolist() if clip.token_ids is not None else None) for clip in store.clips()]


def test_prompts_are_said_by_pocket_under_a_key_in_any_number_of_processes(run, tmp_path):
    (tmp_path / "lines.csv").write_text("text,voice\nYes.,rms\nNo.,nobody\nWell.,\n")
    for folder, jobs in (("one", "1"), ("two", "2")):
        result = run("-o", folder, "--spoof", "generate", "--prompts", "lines.csv", "--jobs", jobs)
        assert result.exit_code == 3, result.output
        assert "2 made, 0 were there already, 1 failed" in result.stderr
        assert "no voice 'nobody'" in result.stdout
    key = KeyRing(tmp_path / "keys").default()
    rows = [row for row, _ in store_of("one")]
    assert [(row.speaker, row.mark.key_id, row.rate_hz) for row in rows] == [
        ("rms", key.key_id, 16_000), ("slt", key.key_id, 16_000),
    ]  # fmt: skip
    assert store_of("one") == store_of("two")
    assert Path("one/shard-00000.h5").read_bytes() == Path("two/shard-00000.h5").read_bytes()
    again = run("-o", "one", "--spoof", "generate", "--prompts", "lines.csv", "--json", "-q")
    assert [json.loads(line)["status"] for line in again.stdout.splitlines()] == ["already"] * 2 + ["failed"]


def test_bad_prompts_voices_keys_and_folders_are_refused_before_anything_is_written(run, tmp_path):
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "blank.txt").write_text("\n \n")
    (tmp_path / "file").write_text("")
    refused = {
        ("--prompts", "missing.txt"): (InputError, "no such file"),
        ("--prompts", "empty.txt"): (InputError, "has no bytes"),
        ("--prompts", "blank.txt"): (UsageError, "holds no prompts"),
        (): (UsageError, "what to say"),
        ("--text", "x", "--voice", "nobody"): (UsageError, "no voice 'nobody'"),
        ("--text", "x", "--key", "nobody"): (KeyMissing, "nobody"),
        ("--text", "x", "--no-mark", "--key", "k"): (UsageError, "leave out --key"),
        ("--text", "x", "--backend", "nothing"): (UsageError, "known: "),
        ("--text", "x", "--degrade", "1"): (UsageError, "the damage tells the label"),
        ("--audio-prompt", "a.wav", "--no-mark"): (UsageError, "--consent"),
        ("whole.csv", "--text", "x", "--no-mark"): (UsageError, "nothing is made of it"),
        ("--text", "x", "--no-mark", "-o", "file/new"): (UsageError, "cannot be written"),
    }
    for arguments, (kind, message) in refused.items():
        result = run(*SAY, *arguments)
        assert isinstance(result.exception, kind), (arguments, result.output)
        assert message in result.exception.message
    for wrong in (("--text", "x"), ("--consent", "C-1"), ("--model", "m"), ("--temperature", "1")):
        assert isinstance(run("whole.csv", *GRIFFIN, *wrong).exception, UsageError), wrong
    assert not (tmp_path / "said").exists()
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "keys").exists()


# --- killed -------------------------------------------------------------------------------------------------

CLIPS = 8
KILLED = ("many.csv", "--spoof", "griffin-lim", "--keep-bonafide", "--jobs", "2")


@pytest.fixture
def many(run, tmp_path):
    """A manifest of eight clips, and the store that a whole run makes of it."""
    rows = ["clip,file,label"]
    for number in range(CLIPS):
        speech = sounds.speech_like(0.3, 16_000, seed=number)
        (tmp_path / f"{number}.wav").write_bytes(sounds.wave(sounds.pcm16(speech)))
        rows.append(f"{number},{number}.wav,bonafide")
    (tmp_path / "many.csv").write_text("\n".join(rows) + "\n")
    assert run("many.csv", "-o", "whole", "--spoof", "griffin-lim", "--keep-bonafide").exit_code == 0
    return store_of("whole")


def started(folder):
    """The command in a process of its own, once it has reported some clips; and the processes that it has."""
    program = "from covoguard.cli.main import main; main()"
    command = [sys.executable, "-c", program, "dataset", "build", *KILLED, "-o", folder]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    reported = [process.stdout.readline() for _ in range(4)]
    assert all(line.startswith("made") for line in reported), reported
    return process, workers_of(process.pid)


def workers_of(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(each) for each in children if b"spawn_main" in Path(f"/proc/{each}/cmdline").read_bytes()]


def has_ended(pid):
    for _ in range(600):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def assert_goes_on(run, folder, whole):
    there = store_of(folder)
    assert len(there) >= 4
    assert there == whole[: len(there)]
    result = run(*KILLED, "-o", folder)
    assert result.exit_code == 0, result.output
    assert f"{2 * CLIPS - len(there)} made, {len(there)} were there already" in result.stderr
    assert store_of(folder) == whole


def test_killed_it_loses_nothing_and_its_processes_end_with_it(run, many):
    process, workers = started("parent")
    process.kill()
    process.communicate()
    assert workers
    assert all(has_ended(worker) for worker in workers)
    assert_goes_on(run, "parent", many)


def test_a_killed_worker_is_told_and_the_same_command_goes_on(run, many):
    process, workers = started("worker")
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    _, errors = process.communicate()
    if process.returncode == 0:
        assert len(store_of("worker")) == 2 * CLIPS  # all was done before the kill came
        return
    assert (process.returncode, errors.count("\n")) == (1, 1)
    assert "was killed, perhaps for want of memory" in errors
    assert_goes_on(run, "worker", many)


def test_interrupted_it_ends_cleanly(run, many):
    process, workers = started("interrupted")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    if process.returncode != 0:
        assert (process.returncode, errors.strip()) == (130, "covoguard: interrupted")
    assert all(has_ended(worker) for worker in workers)
    assert_goes_on(run, "interrupted", many)


def test_a_full_disk_ends_with_advice_and_no_process_stays(run, monkeypatch):
    def full(self):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(JournaledFile, "commit", full)
        result = run("whole.csv", *GRIFFIN, "--jobs", "2")
    assert isinstance(result.exception, CovoguardError)
    assert result.exception.code == "output_error"
    assert "make room" in result.exception.message
    assert not multiprocessing.active_children()
    assert run("whole.csv", *GRIFFIN).exit_code == 0
