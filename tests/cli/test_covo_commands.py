"""Covo-Audio through the real command line, on a tiny checkpoint of random weights: import, generate, ask, resume."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from covo_checkpoint import write_checkpoint

QUICK = ("--max-seconds", "1", "--batch", "1", "--temperature", "2")


@pytest.fixture(scope="module")
def checkpoint(run, tmp_path_factory):
    folder = write_checkpoint(tmp_path_factory.mktemp("covo") / "chat")
    refused = run("models", "import", "covo", str(folder))
    assert refused.returncode == 2
    assert b"--accept-licence" in refused.stderr
    done = run("models", "import", "covo", str(folder), "--accept-licence")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def prompts(tmp_path):
    soundfile.write(tmp_path / "q.wav", 0.2 * np.sin(np.arange(8000) / 9), 8_000)
    lines = [
        {"text": "One."},
        {"audio": "q.wav", "id": "heard"},
        {"turns": [{"audio": "q.wav"}, {"text": "And then?"}], "id": "talk"},
        {"text": "Two.", "partner": "self", "exchanges": 2},
        {"audio": "missing.wav"},
        {"text": "Three.", "voice": "nobody"},
        {"text": "Four."},
    ]
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def records_of(folder):
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]


def test_prompts_of_every_kind_become_clips_with_their_licence(run, checkpoint, prompts, tmp_path):
    out = tmp_path / "out"
    command = ["generate", "--model", str(checkpoint), "--prompts", str(prompts), "--no-mark", "--seed", "4", *QUICK]
    done = run(*command, "-o", str(out))
    assert done.returncode == 3, done.stderr
    records = records_of(out)
    assert [record["error"] and record["error"]["code"] for record in records] == [
        None, None, None, None, "bad_prompt", "bad_prompt", None,
    ]  # fmt: skip
    assert [len(record["replies"]) for record in records] == [1, 1, 2, 2, 0, 0, 1]
    for record in records:
        if record["path"]:
            assert "academic" in record["sampling"]["licence"]
            assert soundfile.info(out / record["path"]).samplerate == 24_000
    again = run(*command, "-o", str(out))
    assert again.returncode == 3
    assert records_of(out) == records


def test_a_killed_run_goes_on_and_ends_with_the_same_clips(run, checkpoint, tmp_path):
    command = ["generate", "--model", str(checkpoint), "--no-mark", "--seed", "4", *QUICK]
    for text in ("One.", "Two.", "Three.", "Four.", "Five.", "Six."):
        command += ["--text", text]
    assert run(*command, "-o", str(tmp_path / "whole")).returncode == 0
    killed = tmp_path / "killed"
    program = str(Path(sys.executable).with_name("covoguard"))
    keys = {**os.environ, "COVOGUARD_KEYS": str(tmp_path / "no-keys")}
    nowhere = subprocess.DEVNULL
    with subprocess.Popen([program, *command, "-o", str(killed)], stdout=nowhere, stderr=nowhere, env=keys) as process:
        manifest = killed / "manifest.jsonl"
        while process.poll() is None and not (manifest.exists() and manifest.stat().st_size):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert run(*command, "-o", str(killed)).returncode == 0
    assert records_of(killed) == records_of(tmp_path / "whole")
    names = {path.name for path in (killed / "clips").iterdir()}
    assert names == {path.name for path in (tmp_path / "whole/clips").iterdir()}


def test_a_mark_needs_a_recoverer_and_says_how_to_get_one(run, checkpoint, tmp_path):
    done = run("generate", "--model", str(checkpoint), "--text", "x", "-o", str(tmp_path / "o"), keys=tmp_path / "keys")
    assert done.returncode == 4
    assert b"covoguard recover train" in done.stderr
    assert not (tmp_path / "o").exists()
    assert not (tmp_path / "keys").exists()


def test_a_question_about_a_sound_is_answered_in_text(run, checkpoint, prompts):
    asked = ("ask", "--model", str(checkpoint), "--max-seconds", "1")
    done = run(*asked, "--audio", str(prompts.with_name("q.wav")), "What is it?")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert run(*asked).returncode == 2
    missing = run(*asked, "--audio", "missing.wav")
    assert missing.returncode == 3
    assert b"missing.wav" in missing.stderr


def test_damage_and_foreign_models_are_named(run, checkpoint, tmp_path):
    assert run("generate", "--backend", "covo", "--text", "x", "-o", str(tmp_path / "o")).returncode == 4
    broken = tmp_path / "broken"
    shutil.copytree(checkpoint, broken)
    shard = broken / "model-00002-of-00002.safetensors"
    shard.write_bytes(shard.read_bytes()[:-100])
    done = run("generate", "--model", str(broken), "--text", "x", "--no-mark", "-o", str(tmp_path / "o"))
    assert done.returncode == 4
    assert b"model-00002-of-00002.safetensors" in done.stderr
    done = run("models", "import", "covo", str(broken), "--accept-licence")
    assert done.returncode == 4
    assert b"model-00002-of-00002.safetensors" in done.stderr
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    (broken / "config.json").write_text(json.dumps({**config, "model_type": "qwen2"}), encoding="utf-8")
    done = run("models", "import", "covo", str(broken), "--accept-licence")
    assert done.returncode == 4
    assert b"model_type" in done.stderr
    done = run("generate", "--model", str(checkpoint), "--text", "x", "--no-mark", "--url", "http://x")
    assert done.returncode == 2
    assert b"--url" in done.stderr
