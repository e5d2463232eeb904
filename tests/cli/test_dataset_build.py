"""`covoguard dataset build` as a user meets it: output, exit codes, refusals."""

import json

import pytest
import sound_files as sounds
from click.testing import CliRunner

from covoguard.cli.dataset import dataset
from covoguard.core.errors import UsageError


@pytest.fixture
def run(tmp_path, monkeypatch):
    """`run(...)`: `covoguard dataset` in a folder with a manifest of one genuine clip and one that is not there."""
    monkeypatch.chdir(tmp_path)
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
