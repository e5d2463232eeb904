"""The bundled model through the real command line: speech made, damaged, verified and scanned."""

import json

import pytest
import soundfile
from pocket_model import complete
from scan_output import lines

from covoguard.core.keyring import KeyRing
from covoguard.datasets.degrade.codec import CODECS, round_trip
from covoguard.datasets.degrade.playback import change_tempo

pytestmark = pytest.mark.skipif(not complete(), reason="the bundled model is not complete")

TEXT = (
    "The meeting moved from two fifteen to eleven twenty. Please press five for sales, or hold the line. "
    "Her brother painted the garage gray and white. It will be sunny in London on Friday."
)


@pytest.fixture(scope="module")
def made(run, tmp_path_factory):
    """A marked and an unmarked clip of the same words, made by two commands; -> folder and key ring."""
    folder = tmp_path_factory.mktemp("made")
    keys = folder / "keys"
    for name, more in (("marked", []), ("unmarked", ["--no-mark"])):
        done = run("generate", "--text", TEXT, "--seed", "5", "-o", str(folder / name), *more, keys=keys)
        assert done.returncode == 0, done.stderr
    return folder, keys


def readings(run, keys, *arguments):
    done = run("verify", "--json", *map(str, arguments), keys=keys)
    assert done.returncode == 0, done.stderr
    return [json.loads(line)["token_mark"] for line in done.stdout.splitlines()]


def test_a_marked_clip_is_found_and_an_unmarked_one_is_not(run, made):
    folder, keys = made
    marked, unmarked = readings(run, keys, folder / "marked/clips/000000.flac", folder / "unmarked/clips/000000.flac")
    assert marked["status"] == "present"
    assert marked["log10_p"] < -15
    assert unmarked["status"] == "absent"
    assert unmarked["log10_p"] > -3


def test_damage_does_not_hide_it_and_another_key_does_not_find_it(run, made, tmp_path):
    folder, keys = made
    samples, rate_hz = soundfile.read(folder / "marked/clips/000000.flac", dtype="float32")
    soundfile.write(tmp_path / "opus.wav", round_trip(samples, CODECS["opus"], 16_000), rate_hz)
    soundfile.write(tmp_path / "faster.wav", change_tempo(samples, 1.05), rate_hz)
    for reading in readings(run, keys, tmp_path / "opus.wav", tmp_path / "faster.wav"):
        assert reading["status"] == "present"
    other = tmp_path / "other-keys"
    KeyRing.open(other).new()
    assert [each["status"] for each in readings(run, other, tmp_path / "opus.wav")] == ["absent"]


def test_a_scan_calls_it_synthetic_for_its_mark(run, made):
    folder, keys = made
    done = run("scan", str(folder / "marked/clips"), "-f", "jsonl", keys=keys)
    (record,) = lines(done.stdout)
    assert record["decision"]["verdict"] == "synthetic"
    assert record["decision"]["reasons"][0] == "token_mark"


def test_the_same_seed_gives_the_same_tokens(run, made, tmp_path):
    folder, keys = made
    done = run("generate", "--text", TEXT, "--seed", "5", "-o", str(tmp_path / "again"), keys=keys)
    assert done.returncode == 0, done.stderr
    first, again = (
        json.loads((place / "manifest.jsonl").read_text(encoding="utf-8").splitlines()[0])
        for place in (folder / "marked", tmp_path / "again")
    )
    assert first["tokens"] == again["tokens"]
    assert first["sha256"] == again["sha256"]
