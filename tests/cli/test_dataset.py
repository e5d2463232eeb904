"""`covoguard dataset` as a user meets it: output, exit codes, refusals."""

import json

import h5py
import pytest
import sound_files as sounds
from click.testing import CliRunner

from covoguard.cli.dataset import dataset
from covoguard.core.errors import IntegrityError, UsageError


@pytest.fixture
def run(tmp_path, monkeypatch):
    """`run(...)`: `covoguard dataset` in a folder with `clips/` of two sounds and one that is none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    for number in range(2):
        sound = sounds.pcm16(sounds.speech_like(0.5, 16_000, seed=number))
        (tmp_path / "clips" / f"{number}.wav").write_bytes(sounds.wave(sound))
    return lambda *arguments: CliRunner().invoke(dataset, [*arguments])


GENUINE = ("--label", "bonafide", "--source", "home \x1b[31m and abroad", "--licence", "own")


def test_add_says_what_became_of_each_file_and_that_no_clip_is_marked(run, tmp_path):
    (tmp_path / "clips" / "x\n.wav").write_text("words, and nothing else")
    result = run("add", "clips", "-o", "store", *GENUINE)
    assert result.exit_code == 3, result.output
    lines = result.stdout.splitlines()
    assert lines[:2] == ["added     0.50 s clips/0.wav", "added     0.50 s clips/1.wav"]
    assert lines[2].startswith("FAILED           clips/x\\n.wav: ")
    assert "store: 2 added, 0 were there already, 1 failed" in result.stderr
    assert "2 clips added carry no token mark" in result.stderr
    again = run("add", "clips", "-o", "store", "--json", "-q", *GENUINE)
    records = [json.loads(line) for line in again.stdout.splitlines()]
    assert [record["status"] for record in records] == ["already", "already", "failed"]
    assert records[2]["error"]["code"] == "not_audio"
    assert again.stderr == ""


def test_add_refuses_clips_that_nobody_labelled(run):
    assert isinstance(run("add", "clips", "-o", "store").exception, UsageError)
    assert run("add", "clips", "-o", "store", "--rate", "44100").exit_code == 2


def test_info_counts_in_80_columns_and_in_json(run):
    run("add", "clips/0.wav", "-o", "store", *GENUINE)
    run("add", "clips/1.wav", "-o", "store", "--label", "spoof", "--generator", "eleven", "--version", "2")
    result = run("info", "store", "--verify")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("2 clips, 0.00 h\nwith tokens 0, with a token mark 0\n")
    assert "       1     0.00  eleven\n" in result.stdout
    assert "\x1b" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "all 2 clips are whole" in result.stderr
    content = json.loads(run("info", "store", "--json").stdout)
    assert content["labels"] == {"bonafide": {"clips": 1, "seconds": 0.5}, "spoof": {"clips": 1, "seconds": 0.5}}
    assert (content["rates_hz"], content["duplicates"]) == ({"16000": {"clips": 2, "seconds": 1.0}}, [])
    assert content["damaged"] is None


def test_info_names_duplicates_and_damage(run, tmp_path):
    for number in range(2):  # one sound in two files
        sound = sounds.wave(sounds.pcm16(sounds.speech_like(0.5, 16_000))) + b"\0" * number
        (tmp_path / "clips" / f"{number}.wav").write_bytes(sound)
    assert run("add", "clips", "-o", "store", *GENUINE).exit_code == 0
    result = run("info", "store")
    assert "clips with the same samples: 2 in 1 groups" in result.stdout
    with h5py.File(tmp_path / "store" / "shard-00000.h5", "r+") as raw:
        raw["samples"][0] ^= 1
    result = run("info", "store", "--verify", "--json")
    assert isinstance(result.exception, IntegrityError)
    assert json.loads(result.stdout)["damaged"] == ["shard-00000.h5#0"]


def test_merge_and_export(run, tmp_path):
    run("add", "clips/0.wav", "-o", "one", *GENUINE)
    run("add", "clips", "-o", "two", *GENUINE)
    merged = run("merge", "one", "two", "-o", "all")
    assert "all: 2 clips copied, 1 were there already" in merged.stderr
    written = {"flac": "metadata.csv", "asvspoof": "protocols/all.txt", "hf": "data/train/metadata.parquet"}
    for layout, name in written.items():
        result = run("export", "all", "-o", layout, "--format", layout)
        assert result.exit_code == 0, result.output
        assert result.stderr == f"written: {layout}, 2 clips\n"
        assert (tmp_path / layout / name).is_file()
    assert isinstance(run("export", "all", "-o", "flac").exception, UsageError)
    assert isinstance(run("info", "clips").exception, UsageError)
