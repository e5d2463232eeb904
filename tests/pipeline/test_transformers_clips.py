"""`generate --backend transformers`: unmarked clips whose records say what they are, and marks refused."""

import csv
import json

import numpy as np
import pytest
import soundfile
import tiny_speech_models as tiny
from click.testing import CliRunner

from covoguard.cli.main import cli
from covoguard.core.cliprecord import read_clip_line
from covoguard.core.errors import UsageError
from covoguard.core.keyring import KeyRing


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folders by name, made once and only read."""
    root = tmp_path_factory.mktemp("models")
    for name, build, options in (
        ("vits-tiny", tiny.build_vits, {"speakers": 60}),
        ("voice-changer", tiny.build_speecht5, {"listens": True}),
    ):
        (root / name).mkdir()
        build(root / name, **options)
    (root / "vits-tiny" / "README.md").write_text("---\nlicense: mit\n---\n")
    return root


@pytest.fixture
def run(models, tmp_path, monkeypatch):
    """`run(model, ...)`: the command in a folder and with a key ring of its own."""
    monkeypatch.setenv("COVOGUARD_KEYS", str(tmp_path / "keys"))
    monkeypatch.chdir(tmp_path)

    def generate(model, *arguments):
        command = ["generate", "--backend", "transformers", "--model", str(models / model), "--device", "cpu"]
        return CliRunner().invoke(cli, [*command, *arguments])

    return generate


def manifest(folder):
    return [read_clip_line(line) for line in (folder / "manifest.jsonl").read_bytes().splitlines()]


def test_clips_are_written_at_the_rate_of_the_model_and_said_to_be_unmarked(run, tmp_path):
    result = run("vits-tiny", "--text", "hello there", "--text", "?!", "--voice", "59", "--no-mark", "-o", "out")
    assert result.exit_code == 3, result.output
    said, unsaid = manifest(tmp_path / "out")
    assert (said.kind, said.family, said.generator, said.licence) == ("tts", "VITS", "transformers", "mit")
    assert (said.mark, said.tokens, said.token_rate_hz, said.speaker) == (None, None, None, "59")
    assert said.model_id == f"vits-tiny@{said.model_sha256[:12]}"
    assert said.check.status == "not_marked"
    about = soundfile.info(tmp_path / "out" / said.path)
    assert (about.samplerate, about.channels) == (16_000, 1) == (said.sample_rate_hz, 1)
    assert about.duration == said.duration_s > 0
    assert unsaid.error.code == "bad_prompt"
    with (tmp_path / "out" / "manifest.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert (row["kind"], row["tokens"], row["mark_scheme"]) == ("tts", "", "")
    assert json.loads((tmp_path / "out" / "run.json").read_text())["settings"]["key"] is None


def test_the_same_command_makes_the_same_folder(run, tmp_path):
    for folder in ("one", "two"):
        arguments = ("--text", "hello", "-n", "2", "--seed", "4", "--no-mark", "--temperature", "0.9", "-o", folder)
        assert run("vits-tiny", *arguments).exit_code == 0
    files = [
        [(tmp_path / folder / name).read_bytes() for name in ("manifest.jsonl", "clips/000001.flac")]
        for folder in ("one", "two")
    ]
    assert files[0] == files[1]
    first, second = manifest(tmp_path / "one")
    assert first.sha256 != second.sha256


def test_speech_in_another_voice_is_of_kind_vc(run, tmp_path):
    soundfile.write(tmp_path / "q.wav", 0.1 * np.random.default_rng(0).normal(size=44_100), 44_100)
    result = run("voice-changer", "--audio-prompt", "q.wav", "--no-mark", "-o", "out")
    assert result.exit_code == 0, result.output
    (record,) = manifest(tmp_path / "out")
    assert (record.kind, record.speaker, record.prompt.text) == ("vc", "ann", "[q.wav]")
    assert len(dict(record.sampling)["prompt_audio_sha256"]) == 64


@pytest.mark.parametrize("more", [(), ("--recoverer", "anything")])
def test_without_no_mark_it_is_refused_before_a_key_is_made(run, tmp_path, more):
    result = run("vits-tiny", "--text", "hello", "-o", "out", *more)
    assert isinstance(result.exception, UsageError)
    assert "carries no token mark; use --no-mark" in result.exception.message
    assert not (tmp_path / "out").exists()
    assert KeyRing(tmp_path / "keys").default_id() is None


def test_of_many_voices_a_message_names_some(run):
    result = run("vits-tiny", "--text", "hello", "--voice", "60", "--no-mark", "-o", "out")
    assert isinstance(result.exception, UsageError)
    assert "38, 39 … 59 (60 in all)" in result.exception.message
