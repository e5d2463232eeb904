"""`redecide`, `doctor`, `models`, `explain`, and the entry point, through the real command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from covoguard.cli.completion import SHELLS, VARIABLE
from covoguard.cli.reference import MADE_WITH
from covoguard.core.reasons import REASONS, STOPS
from covoguard.detect.forensics import observation_kinds


@pytest.fixture(scope="module")
def results(run, clips, loudness_model, policy, tmp_path_factory):
    """Results of one scan as `run.jsonl` and `run.parquet`."""
    folder = tmp_path_factory.mktemp("results")
    outputs = ["-o", folder / "run.jsonl", "-o", folder / "run.parquet"]
    done = run("scan", clips, clips / "absent.wav", "--model", loudness_model, "--policy", policy, *outputs)
    assert done.returncode == 3
    return folder


def test_redeciding_with_the_same_policy_gives_the_same_bytes(run, results, policy):
    original = (results / "run.jsonl").read_bytes()
    for source in ("run.jsonl", "run.parquet"):
        done = run("redecide", results / source, "--policy", policy, "-f", "jsonl")
        assert done.stdout == original
        assert done.returncode == 3
    piped = run("redecide", "-", "--policy", policy, "-f", "jsonl", stdin=original)
    assert piped.stdout == original


def test_redeciding_with_another_policy_changes_verdicts_without_the_files(run, results, make_policy, tmp_path):
    strict = make_policy(synthetic=5.0, no_evidence=4.0)
    output = tmp_path / "strict.parquet"
    done = run("redecide", results / "run.jsonl", "--policy", strict, "-f", "jsonl", "-o", output)
    old = [json.loads(line) for line in (results / "run.jsonl").read_bytes().splitlines()]
    new = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["decision"]["verdict"] for each in new] == [
        "not_analysable" if each["decision"]["verdict"] == "not_analysable" else "no_evidence" for each in old
    ]
    assert [each["detectors"] for each in new] == [each["detectors"] for each in old]
    assert b"no_evidence 4" in done.stderr
    back = run("redecide", output, "--policy", strict, "-f", "jsonl")
    assert back.stdout == done.stdout


def test_redecide_uses_the_exit_codes_of_scan(run, results, policy):
    scored = b"".join((results / "run.jsonl").read_bytes().splitlines(keepends=True)[:3])
    code = run("redecide", "-", "--policy", policy, "--fail-on", "synthetic", "-q", stdin=scored).returncode
    assert code == 10
    assert run("redecide", results / "run.jsonl", "-q", "--exit-zero").returncode == 0


def test_redecide_refuses_what_is_no_results_file(run, results, tmp_path):
    lines = (results / "run.jsonl").read_bytes().splitlines(keepends=True)
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_bytes(lines[0] + lines[1][:40] + b"\n" + lines[2])
    done = run("redecide", damaged, "-o", tmp_path / "out.jsonl")
    assert done.returncode == 2
    assert b"damaged.jsonl, line 2: not JSON" in done.stderr
    assert b"Traceback" not in done.stderr
    assert not (tmp_path / "out.jsonl").exists()
    assert (tmp_path / "out.jsonl.partial").exists()
    assert run("redecide", tmp_path / "absent.jsonl").returncode == 2


def test_a_missing_record_is_told_on_standard_error(run, results, policy):
    lines = (results / "run.jsonl").read_bytes().splitlines(keepends=True)
    done = run("redecide", "-", "--policy", policy, "-f", "jsonl", stdin=lines[0] + lines[2])
    assert b"warning: record 2 does not follow" in done.stderr


# --- explain -----------------------------------------------------------------------------------------------


def test_explain_knows_every_code(run):
    listed = run("explain", "--json").stdout.splitlines()
    assert [json.loads(line)["code"] for line in listed] == [*REASONS, *STOPS, *observation_kinds()]
    plain = run("explain").stdout.decode()
    assert all(f"\n{code}\n" in f"\n{plain}" for code in REASONS)


def test_explain_one_code(run):
    done = run("explain", "narrowband")
    assert done.returncode == 0
    assert REASONS["narrowband"].meaning in done.stdout.decode()
    assert REASONS["narrowband"].advice in done.stdout.decode()


def test_explain_an_observation(run):
    done = run("explain", "digital_silence")
    assert done.returncode == 0
    kind = observation_kinds()["digital_silence"]
    assert kind.reading in done.stdout.decode()
    assert f"What else explains it: {kind.limits}" in done.stdout.decode()


def test_explain_an_unknown_code_suggests_a_near_one(run):
    done = run("explain", "to_short")
    assert done.returncode == 2
    assert b"too_short" in done.stderr
    assert done.stdout == b""


# --- models and doctor -------------------------------------------------------------------------------------


def test_models_list_tells_of_detectors_default_first_and_then_of_generators(run):
    done = run("models", "list", "--json")
    assert done.returncode == 0
    models = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["detector"] for each in models[:2]] == ["logband-resnet", "lfcc-gmm"]
    assert [each["generator"] for each in models[2:]] == ["pocket"]
    plain = run("models", "list").stdout.decode()
    for each in models:
        assert (each["problem"] is None) == bool(each["card"])
        assert (each.get("detector") or each["generator"]) in plain


def test_the_page_of_a_card_that_lacks_figures_names_what_is_missing(run, loudness_model):
    done = run("models", "show", "--model", loudness_model)
    assert done.returncode == 4
    assert b"the card does not say" in done.stderr
    assert b"internal" not in done.stderr


def test_doctor_checks_everything_and_says_so_by_its_exit_code(run):
    done = run("doctor", "--json")
    checks = {each["name"]: each for each in map(json.loads, done.stdout.splitlines())}
    assert {"covoguard", "av", "onnxruntime", "codecs", "model logband-resnet", "self-test"} <= checks.keys()
    assert checks["codecs"]["status"] == "ok"
    failed = any(each["status"] == "failed" for each in checks.values())
    assert done.returncode == (4 if failed else 0)
    assert len(run("doctor").stdout.splitlines()) == len(checks)


# --- entry point -------------------------------------------------------------------------------------------


def test_help_and_version(run):
    assert run("--version").stdout.startswith(b"covoguard, version ")
    done = run("--help")
    assert done.returncode == 0
    assert b"redecide" in done.stdout


@pytest.mark.parametrize("arguments", [[], ["no-such-command"], ["models", "no-such-command"]])
def test_a_wrong_command_is_code_2(run, arguments):
    done = run(*arguments)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


# --- completion and reference --------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gets_a_script(run, shell):
    done = run("completion", shell)
    assert done.returncode == 0
    assert b"_COVOGUARD_COMPLETE" in done.stdout


@pytest.mark.parametrize(
    ("words", "position", "answer"), [("covoguard sc", 1, "scan"), ("covoguard verify --on", 2, "--only")]
)
def test_commands_and_options_are_completed(run, monkeypatch, words, position, answer):
    monkeypatch.setenv(VARIABLE, "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(position))
    assert f"plain,{answer}" in run().stdout.decode().splitlines()


def test_the_reference_of_the_commands_is_fresh(tmp_path):
    page = (Path(__file__).resolve().parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
    if MADE_WITH not in page:
        pytest.skip(f"the page was made with another click than {MADE_WITH}, which words help otherwise")
    # In a process of its own: click keeps the help option that a command had when it was first called.
    made = subprocess.run(
        [sys.executable, "-m", "covoguard.cli.reference"], capture_output=True, check=True, cwd=tmp_path
    )
    assert page == made.stdout.decode("utf-8"), "run python -m covoguard.cli.reference > docs/commands.md"
