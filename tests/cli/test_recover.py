"""`covoguard recover train` and what `verify` makes of its folder, with a pocket model of random weights."""

import json

import pytest
from click.testing import CliRunner
from pocket_model import build_pocket_model
from speech_and_model import spoken, write_wav

from covoguard.cli.main import cli
from covoguard.core.errors import CovoguardError, UsageError
from covoguard.core.keyring import KeyRing
from covoguard.core.modelcard import open_model
from covoguard.pipeline.train_recoverer import RecovererPlan


@pytest.fixture(scope="module")
def pocket(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pocket") / "model"
    build_pocket_model(folder)
    return folder


def invoke(*arguments):
    result = CliRunner().invoke(cli, [str(each) for each in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit | CovoguardError):
        raise result.exception
    return result


def test_a_recoverer_of_pocket_is_trained_and_used_by_verify(pocket, tmp_path, monkeypatch):
    monkeypatch.setattr(RecovererPlan.__init__, "__defaults__", _with_few_clips(RecovererPlan.__init__.__defaults__))
    prompts = tmp_path / "lines.txt"
    prompts.write_text("Hello.\nGo on.\n")
    place = tmp_path / "recoverer"
    sizes = ["--pairs", 3, "--steps", 4, "--width", 16, "--blocks", 1, "--jobs", 1]
    done = invoke("recover", "train", "--model", pocket, "-o", place, "--prompts", prompts, *sizes)
    assert done.exit_code == 0
    assert "pocket-random-recoverer@" in done.stdout
    card = open_model(place).card
    assert (card["recoverer"], card["codebook_size"], card["settings"]["width"]) == ("frames", 1024, 16)
    assert "language model from 2 prompts" in card["training"]["data"][1]
    ring = KeyRing.open(tmp_path / "keys")
    ring.new()
    monkeypatch.setenv("COVOGUARD_KEYS", str(ring.folder))
    write_wav(tmp_path / "speech.wav", spoken(2.0))
    verified = invoke("verify", tmp_path / "speech.wav", "--model", place, "--json")
    mark = json.loads(verified.stdout)["token_mark"]
    assert mark["status"] != "present", "nothing was learned in four steps"
    assert (mark["model"], mark["recoverer"]) == ("pocket-random@1", f"{card['id']}@{card['version']}")
    again = invoke("recover", "train", "--model", pocket, "-o", place, "--prompts", prompts, *sizes)
    assert "not empty" in again.exception.message


def _with_few_clips(defaults):
    """The dataclass's defaults with 12 marked clips in place of 80."""
    return tuple(12 if value == 80 else value for value in defaults)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backend", "nobody"], "no generator 'nobody'"),
        (["--device", "abacus"], "cannot be used"),
        (["--tokens", "none.jsonl"], "cannot be read as a ledger"),
        (["--tokens", "uniform", "--entropy-bits", "12"], "--entropy-bits"),
        (["--noise", "."], "no sound files here"),
    ],
)
def test_wrong_usage_is_told_before_any_work(pocket, tmp_path, monkeypatch, arguments, message):
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    model = [] if "--backend" in arguments else ["--model", pocket]
    done = invoke("recover", "train", "-o", tmp_path / "out", *model, *arguments)
    assert isinstance(done.exception, UsageError)
    assert message in done.exception.message
    assert not list(tmp_path.glob("out*"))


def test_prompts_go_with_the_language_model_only(pocket, tmp_path):
    prompts = tmp_path / "lines.txt"
    prompts.write_text("Hello.\n")
    done = invoke(
        "recover", "train", "-o", tmp_path / "out", "--model", pocket, "--tokens", "uniform", "--prompts", prompts
    )
    assert "leave one of the two out" in done.exception.message
