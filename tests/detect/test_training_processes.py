"""Trainings in processes of their own: killed ones go on to the very same weights, joined ones train as one does."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import training_tones as tones
from safetensors.torch import load_file

from covoguard.core.errors import UsageError
from covoguard.detect.training.loop import fit
from covoguard.detect.training.parallel import choose_device, is_first_process, joined_processes

KILLED = ("step0", "step7", "renaming14", "renaming15")
"""Before any checkpoint; in the middle of an epoch; as a file of tensors is put in place; and as the JSON is."""


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    """The folder in which all of them ran, and how each one ended."""
    folder = tmp_path_factory.mktemp("processes")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    script = Path(__file__).parents[1] / "training_tones.py"
    jobs = ["step:0", "step:7", "renaming:14", "renaming:15", "joined:0", "joined:1"]
    command = [sys.executable, "-P", str(script), str(folder), *jobs]
    done = subprocess.run(
        command, env={**os.environ, **meeting}, capture_output=True, text=True, timeout=300, check=False
    )
    ended = (line.split() for line in done.stdout.splitlines())
    return folder, {job + number: (int(code), done.stderr) for job, number, code in ended}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    return train(folder), folder


def train(folder):
    return fit(tones.ToneNetwork(norm=True, dropout=0.2), tones.ToneSource(), tones.RECIPE, folder, seed=5)


@pytest.mark.parametrize("killed", KILLED)
def test_a_killed_training_goes_on_to_the_same_weights(killed, processes, undisturbed):
    folder, ended = processes
    assert ended[killed][0] == -signal.SIGKILL, ended[killed][1]
    before = [path.name for path in (folder / killed).glob("checkpoint*")]
    assert bool(before) == (killed != "step0"), "it must have had something to go on with"
    went_on, (expected, undisturbed_folder) = train(folder / killed), undisturbed
    assert went_on.history == expected.history
    assert went_on.best_epoch == expected.best_epoch
    state, expected_state = went_on.network.state_dict(), expected.network.state_dict()
    assert all(torch.equal(state[name], expected_state[name]) for name in expected_state)
    # not the averages alone: network, moments and heads too, or the next step would differ
    checkpoints = [next(each.glob("checkpoint-*.safetensors")) for each in (folder / killed, undisturbed_folder)]
    assert checkpoints[0].name == checkpoints[1].name, "named by content"
    lines = [json.loads(line)["step"] for line in (folder / killed / "journal.jsonl").read_text().splitlines()]
    assert lines == sorted(lines), "what was done twice is told once"
    assert not list((folder / killed).glob(".*.part"))


def test_two_processes_train_as_one_does_with_all_rows(processes, tmp_path):
    folder, ended = processes
    assert [ended[name][0] for name in ("joined0", "joined1")] == [0, 0], ended["joined0"][1]
    first, second = (load_file(folder / f"joined_rank{rank}.safetensors") for rank in (0, 1))
    alone = fit(tones.ToneNetwork(), tones.ToneSource(), tones.JOINT_RECIPE, tmp_path, seed=5)
    start = tones.ToneNetwork().state_dict()
    for name, expected in alone.network.state_dict().items():
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], expected, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(first["bank.weight"], start["bank.weight"], atol=1e-3), "and they did train"
    written = json.loads((folder / "joined" / "checkpoint.json").read_text())
    assert written["identity"]["processes"] == 2


def test_a_process_without_a_place_is_told_so(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "2")
    with pytest.raises(UsageError, match="RANK is 2 of WORLD_SIZE 2"), joined_processes("cpu"):
        pass
    monkeypatch.setenv("RANK", "first")
    with pytest.raises(UsageError, match="RANK is 'first'"), joined_processes("cpu"):
        pass
    monkeypatch.setenv("RANK", "1")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(UsageError, match="cannot meet"), joined_processes("cpu"):
        pass
    assert not is_first_process()


def test_the_device_is_what_is_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")
    with pytest.raises(UsageError, match="no CUDA device"):
        choose_device("cuda")
    with pytest.raises(UsageError, match="no device 'tpu'"):
        choose_device("tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert choose_device("auto") == torch.device("cuda", 1)
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(UsageError, match="process 2 has no CUDA device"):
        choose_device("auto")
