"""`covoguard generate` as a user meets it: output, exit codes, keys, resume, refusals."""

import csv
import json

import pytest
import soundfile
from click.testing import CliRunner
from secret_leaks import assert_no_secret
from speech_and_model import build_loudness_model
from tone_generator import ToneGenerator, ToneRecoverer, build_tone_model

from covoguard.cli.main import cli
from covoguard.core.cliprecord import read_clip_line
from covoguard.core.errors import CovoguardError, InputError, KeyMissing, ModelMissing, UsageError
from covoguard.core.keyring import KeyRing
from covoguard.generate.registry import GENERATORS
from covoguard.pipeline import mark_evidence

LONG = " ".join(["word"] * 26)


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tone-model")
    build_tone_model(folder)
    return folder


@pytest.fixture
def run(model_folder, tmp_path, monkeypatch):
    """`run(...)`: `covoguard generate` with tones, in a folder and with a key ring of its own."""
    GENERATORS.names()
    monkeypatch.setitem(GENERATORS._classes, "tone", ToneGenerator)
    monkeypatch.setattr(mark_evidence, "load_recoverer", lambda folder: ToneRecoverer(ToneGenerator.load(folder).model))
    monkeypatch.setenv("COVOGUARD_KEYS", str(tmp_path / "keys"))
    monkeypatch.chdir(tmp_path)

    def generate(*arguments, stdin=None):
        command = ["generate", "--model", str(model_folder), *map(str, arguments)]
        return CliRunner().invoke(cli, command, input=stdin)

    return generate


def refused(result, kind):
    """The error that the command ended with, which `main` turns into one line and an exit code."""
    assert isinstance(result.exception, kind), result.output
    assert isinstance(result.exception, CovoguardError)
    return result.exception


def manifest(folder):
    return [read_clip_line(line) for line in (folder / "manifest.jsonl").read_bytes().splitlines()]


def test_the_first_run_makes_a_key_marks_and_says_so(run, tmp_path):
    result = run("--text", LONG, "-o", "out")
    assert result.exit_code == 0, result.output
    (record,) = manifest(tmp_path / "out")
    key = KeyRing(tmp_path / "keys").default()
    assert record.mark.key_id == key.key_id
    assert record.check.status == "mark_found"
    assert soundfile.info(tmp_path / "out" / record.path).duration == 10.4
    assert f"there was no key yet, so {key.key_id} was made" in result.stderr
    assert str(tmp_path / "keys") in result.stderr
    assert "marks read back: found 1" in result.stderr
    assert "000000  10.40 s found" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert_no_secret(result.output, key)
    again = run("--text", LONG, "-o", "other")
    assert "no key yet" not in again.stderr


def test_no_mark_makes_no_key_and_is_recorded(run, tmp_path):
    result = run("--text", "one two", "--no-mark", "-o", "out")
    assert result.exit_code == 0, result.output
    (record,) = manifest(tmp_path / "out")
    assert record.mark is None
    assert record.check.status == "not_marked"
    assert not (tmp_path / "keys").exists()
    assert "marking" not in result.stderr


def test_a_named_key_is_used_and_an_unknown_one_is_missing(run, tmp_path):
    ring = KeyRing(tmp_path / "keys")
    ring.new()
    named = ring.new(label="newsroom")
    run("--text", "one", "--key", "newsroom", "-o", "out")
    assert manifest(tmp_path / "out")[0].mark.key_id == named.key_id
    refused(run("--text", "one", "--key", "nobody", "-o", "b"), KeyMissing)


def test_json_prints_the_manifest(run, tmp_path):
    result = run("--text", "one", "--text", "two", "-n", "2", "--json", "-o", "out")
    assert result.stdout.encode() == (tmp_path / "out" / "manifest.jsonl").read_bytes()
    assert len(result.stdout.splitlines()) == 4


def test_a_batch_with_a_bad_prompt_ends_with_3_and_all_the_others(run, tmp_path):
    (tmp_path / "lines.txt").write_bytes(b"one two\n\xff\xfe\nthree\n")
    result = run("--prompts", "lines.txt", "-o", "out")
    assert result.exit_code == 3
    assert [record.error is None for record in manifest(tmp_path / "out")] == [True, False, True]
    assert "bad_prompt 1" in result.stderr
    assert "NO CLIP" in result.stdout
    again = run("--prompts", "lines.txt", "-o", "out", "--seed", "1")
    refused(again, UsageError)
    same = run("--prompts", "lines.txt", "-o", "out")
    assert same.exit_code == 3, "the whole run counts, whenever its clips were made"
    assert "3 of 3 were there already" in same.stderr


def test_prompts_come_from_standard_input(run, tmp_path):
    result = run("--prompts", "-", "-o", "out", stdin=b'{"text": "one", "voice": "high"}\n')
    assert result.exit_code == 0, result.output
    assert manifest(tmp_path / "out")[0].speaker == "high"


def test_the_same_seed_and_key_give_the_same_bytes(run, tmp_path):
    for folder in ("a", "b"):
        assert run("--text", "one two", "--seed", "3", "-o", folder).exit_code == 0
    a, b = ((tmp_path / folder / "manifest.jsonl").read_bytes() for folder in ("a", "b"))
    assert a == b


def test_a_payload_is_recorded(run, tmp_path):
    assert run("--text", LONG, "--payload", "1:42:2026-03-01", "-o", "out").exit_code == 0
    assert manifest(tmp_path / "out")[0].mark.payload == (1, 42, 20_513)


def test_text_that_a_terminal_could_obey_is_shown_harmless(run):
    result = run("--text", "\x1b[31m\u202e unspeakable", "--no-mark", "-o", "out")
    assert "\x1b" not in result.output
    assert "\u202e" not in result.output


def test_the_spreadsheet_opens_with_one_row_per_clip(run, tmp_path):
    run("--text", "one", "--text", "unspeakable", "-o", "out")
    with (tmp_path / "out" / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["check"] != "" for row in rows] == [True, False]
    assert rows[1]["error_code"] == "bad_prompt"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--text", "a", "--prompts", "x.txt"),
        ("--text", "a", "--no-mark", "--key", "k1"),
        ("--text", "a", "--no-mark", "--payload", "1:2"),
        ("--text", "a", "--voice", "tenor"),
        ("--text", "a", "--payload", "99:2"),
    ],
)
def test_contradictions_are_refused_and_make_nothing(run, tmp_path, arguments):
    refused(run(*arguments, "-o", "out"), UsageError)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("text", ["", "1", "1:", "a:b", "1:2:3", "1:2:2026-13-01", "1:2:2026-01-01:4"])
def test_a_malformed_payload_is_wrong_usage(run, text):
    result = run("--text", "a", "--payload", text)
    assert result.exit_code == 2
    assert "MODEL:TENANT" in result.stderr


def test_missing_files_models_and_backends_are_told_apart(run, tmp_path):
    refused(run("--prompts", "none.txt"), InputError)
    refused(run("--text", "a", "--model", tmp_path / "none"), ModelMissing)
    refused(run("--text", "a", "--backend", "pocket"), UsageError)
    build_loudness_model(tmp_path)
    assert "detector" in refused(run("--text", "a", "--model", tmp_path), UsageError).message


def test_quiet_says_nothing_but_the_rows(run):
    run("--text", "a", "-o", "first")
    result = run("--text", "a", "-o", "out", "--quiet", "--json")
    assert result.stderr == ""
    assert json.loads(result.stdout)["clip_id"] == "000000"


def test_an_interruption_says_how_to_go_on(run, tmp_path, monkeypatch):
    real, calls = ToneGenerator.generate, []

    def interrupted(self, prompt, *, mark, seed):
        calls.append(seed)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(self, prompt, mark=mark, seed=seed)

    monkeypatch.setattr(ToneGenerator, "generate", interrupted)
    result = run("--text", "a", "-n", "3", "-o", "out")
    assert result.exit_code != 0
    assert "1 of 3 are done; the same command goes on from there" in result.stderr
    assert run("--text", "a", "-n", "3", "-o", "out").exit_code == 0
    assert [record.take for record in manifest(tmp_path / "out")] == [0, 1, 2]
