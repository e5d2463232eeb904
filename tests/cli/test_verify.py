"""`covoguard verify`, `covoguard watermark selfcheck` and marks in `covoguard scan`.

The recoverer is one that needs no trained model, so these run in the test's own process; what concerns errors and
exit codes runs through the real command line.
"""

import json
import signal
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner
from marked_sound import SpelledRecoverer, marked_tokens, plain_tokens, spelled, spelled_model
from scan_output import lines
from secret_leaks import assert_no_secret
from speech_and_model import write_wav

import covoguard.cli.watermark
from covoguard.cli.main import cli
from covoguard.core.errors import CovoguardError
from covoguard.core.keyring import KeyRing
from covoguard.pipeline import mark_evidence

SCHEMA = json.loads(
    (Path(__file__).resolve().parents[2] / "reports" / "schema" / "verify-record-1.schema.json").read_text()
)


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    """Two keys, the first with two epochs."""
    ring = KeyRing.open(tmp_path_factory.mktemp("config") / "keys")
    first = ring.new("newsroom")
    ring.new("archive")
    ring.rotate(first.key_id)
    return ring


@pytest.fixture(scope="module")
def folder(tmp_path_factory, ring):
    folder = tmp_path_factory.mktemp("clips")
    new, old = (ring.get("newsroom", epoch) for epoch in (2, 1))
    write_wav(folder / "a-new.wav", spelled(marked_tokens(new, 75)))
    write_wav(folder / "b-old.wav", spelled(marked_tokens(old, 75, seed=1)))
    write_wav(folder / "c-archive.wav", spelled(marked_tokens(ring.get("archive"), 75, seed=2)))
    write_wav(folder / "d-plain.wav", spelled(plain_tokens(8)))
    write_wav(folder / "e-silent.wav", 0 * spelled(plain_tokens(75)))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return spelled_model(tmp_path_factory.mktemp("spelled"))


@pytest.fixture
def command(ring, model, monkeypatch):
    """`command("verify", ...)`: what it printed and its exit code, after a look for secrets in all of it."""
    monkeypatch.setenv("COVOGUARD_KEYS", str(ring.folder))
    monkeypatch.setenv("COLUMNS", "80")
    for module in (mark_evidence, covoguard.cli.watermark):
        monkeypatch.setattr(module, "load_recoverer", lambda folder=None: SpelledRecoverer(model))

    stored = ring.keys()

    def invoke(*arguments, stdin=None):
        result = CliRunner().invoke(cli, [str(each) for each in arguments], input=stdin)
        for key in stored:
            assert_no_secret(result.output, key)
        if result.exception is not None and not isinstance(result.exception, SystemExit | CovoguardError):
            raise result.exception
        return result

    return invoke


def records(result):
    found = [json.loads(line) for line in result.stdout.splitlines()]
    for record in found:
        jsonschema.validate(record, SCHEMA)
    return {Path(record["input"]["path"]).name: record["token_mark"] for record in found}


def test_all_epochs_of_the_default_key_are_looked_for(command, folder, ring):
    result = command("verify", folder, "--json")
    marks = records(result)
    assert {name: mark["status"] for name, mark in marks.items()} == {
        "a-new.wav": "present", "b-old.wav": "present", "c-archive.wav": "absent", "d-plain.wav": "absent",
        "e-silent.wav": "not_checked",
    }  # fmt: skip
    assert [key["epoch"] for key in marks["a-new.wav"]["keys"]] == [2, 1]
    assert marks["b-old.wav"]["spans"][0]["epoch"] == 1
    assert result.exit_code == 0
    assert "token marks: present 2, absent 2, not_checked 1" in result.stderr
    assert "no evidence of human speech" in result.stderr
    assert "over random keys" in result.stderr


def test_named_keys_and_all_keys(command, folder, ring):
    archive = ring.get("archive").key_id
    named = records(command("verify", folder / "c-archive.wav", "--key", "archive", "--json"))["c-archive.wav"]
    everything = records(command("verify", folder / "c-archive.wav", "--all-keys", "--json"))["c-archive.wav"]
    assert named["spans"][0]["key_id"] == everything["spans"][0]["key_id"] == archive
    assert (len(named["keys"]), len(everything["keys"])) == (1, 3)
    assert everything["log10_p"] > named["log10_p"]


def test_the_table_fits_80_columns_and_says_where_and_how_sure(command, folder, ring):
    output = command("verify", folder, "--all-keys").stdout
    assert max(map(len, output.splitlines())) <= 80
    flat = " ".join(output.split())
    key = ring.get("newsroom")
    assert f"key {key.key_id} epoch 2: 0." in flat
    assert "no_speech: see `covoguard explain no_speech`" in flat
    assert "short: a mark would need about" in flat
    assert "sharp*" in flat


def test_alpha_decides(command, folder):
    log10_p = records(command("verify", folder / "a-new.wav", "--json"))["a-new.wav"]["log10_p"]
    strict = command("verify", folder / "a-new.wav", "--alpha", f"1e{int(log10_p) - 2}", "--json")
    assert records(strict)["a-new.wav"]["status"] == "absent"
    for alpha in ("0", "1", "nan", "x"):
        assert command("verify", folder, "--alpha", alpha).exit_code == 2


def test_standard_input_and_output_files(command, folder, tmp_path):
    output = tmp_path / "marks.jsonl"
    piped = command("verify", "-", "--json", "-o", output, "-q", stdin=(folder / "a-new.wav").read_bytes())
    assert records(piped)["-"]["status"] == "present"
    assert output.read_text() == piped.stdout
    assert piped.stderr == ""
    assert command("verify", folder, "-o", tmp_path / "marks.csv").exit_code != 0
    table = tmp_path / "marks.txt"
    assert command("verify", folder, "-o", table, "-q").stdout == ""
    assert "present" in table.read_text()


@pytest.mark.parametrize(
    ("names", "fail_on", "code"),
    [
        (["a-new.wav", "d-plain.wav"], "never", 0),
        (["a-new.wav", "d-plain.wav"], "present", 10),
        (["d-plain.wav", "e-silent.wav"], "present", 0),
        (["a-new.wav", "b-old.wav"], "not-present", 0),
        (["a-new.wav", "e-silent.wav"], "not-present", 11),
        (["a-new.wav", "absent.wav"], "present", 3),
    ],
)
def test_exit_codes(command, folder, names, fail_on, code):
    paths = [folder / name for name in names]
    assert command("verify", *paths, "--fail-on", fail_on).exit_code == code


def test_scan_looks_for_marks_where_there_are_keys(command, folder, loudness_model):
    def scanned(*arguments):
        result = command("scan", folder, "--model", loudness_model, "-f", "jsonl", *arguments)
        return lines(result.stdout.encode()), result

    with_marks, result = scanned()
    assert [each["marks"]["token"]["status"] for each in with_marks] == [
        "present", "present", "absent", "absent", "not_checked",
    ]  # fmt: skip
    assert [each["decision"]["reasons"][0] == "token_mark" for each in with_marks] == [True, True, False, False, False]
    assert "token marks: present 2" in result.stderr
    assert {each["marks"]["token"] for each in scanned("--no-marks")[0]} == {None}
    assert scanned("--all-keys")[0][2]["decision"]["verdict"] == "synthetic"
    assert isinstance(scanned("--no-marks", "--all-keys")[1].exception, CovoguardError)


def test_selfcheck_reports_what_it_counted(command, folder):
    result = command("watermark", "selfcheck", folder, "--keys", "5", "--seed", "1", "--json", "--jobs", "1")
    found = json.loads(result.stdout)
    assert (found["outcome"], found["files"], found["keys"], found["pairs"]) == ("within_bounds", 4, 5, 20)
    assert result.exit_code == 0
    plain = command("watermark", "selfcheck", folder, folder / "absent.wav", "--keys", "2", "--seed", "1")
    assert "4 files x 2 dummy keys = 8 pairs (seed 1)" in plain.stdout
    assert "left out" in plain.stderr
    assert isinstance(command("watermark", "selfcheck", folder / "absent.wav").exception, CovoguardError)


def test_a_selfcheck_that_tested_nothing_is_no_success(command, folder):
    result = command("watermark", "selfcheck", folder / "e-silent.wav", "--keys", "2", "--seed", "1")
    assert "Nothing was tested" in result.stdout
    assert result.exit_code == 3


def test_selfcheck_that_is_interrupted_says_what_is_done(command, folder, monkeypatch):
    def interrupted(records, total, title):
        for number, record in enumerate(records):
            if number == 3:
                signal.raise_signal(signal.SIGINT)
            yield record

    monkeypatch.setattr(covoguard.cli.watermark, "shows_progress", lambda **_: True)
    monkeypatch.setattr(covoguard.cli.watermark, "with_progress", interrupted)
    result = command("watermark", "selfcheck", folder, "--keys", "1000", "--seed", "1", "--jobs", "1")
    assert result.exit_code == 130
    assert "4 files x 4 dummy keys = 16 pairs" in result.stdout


# --- the real command line ---------------------------------------------------------------------------------


def test_without_any_key_verify_says_what_is_missing_and_scan_goes_on(run, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("COVOGUARD_KEYS", str(tmp_path / "none"))
    for asked in (["--only", "token"], ["--ledger", folder / "none.jsonl"]):
        done = run("verify", folder, *asked)
        assert done.returncode == 4
        assert b"no keys" in done.stderr
    done = run("verify", folder / "d-plain.wav", "--only", "token", "--only", "credentials", "--key", "x")
    assert done.returncode == 4
    done = run("verify", folder / "d-plain.wav", "--json")
    assert done.returncode == 0
    record = json.loads(done.stdout)
    assert record["token_mark"] is None
    assert record["decision"]["verdict"]
    assert b"token marks: not looked for" in done.stderr
    assert run("scan", folder, "-q", "--exit-zero").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "no input"),
        (["x.wav", "--key", "nobody"], 4, "no key 'nobody'"),
        (["x.wav", "--key", "k"], 2, "may mean"),
        (["x.wav", "--model", "/"], 4, "no model here"),
    ],
)
def test_wrong_usage_is_told_in_one_line(run, ring, monkeypatch, arguments, code, message):
    monkeypatch.setenv("COVOGUARD_KEYS", str(ring.folder))
    done = run("verify", *arguments)
    assert (done.returncode, done.stdout) == (code, b"")
    assert message in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_a_key_folder_open_to_others_is_refused_by_verify_and_scan(run, folder, tmp_path, monkeypatch):
    ring = KeyRing.open(tmp_path / "keys")
    ring.new()
    ring.folder.chmod(0o755)
    monkeypatch.setenv("COVOGUARD_KEYS", str(ring.folder))
    for name in ("verify", "scan"):
        done = run(name, folder)
        assert done.returncode == 4
        assert b"chmod" in done.stderr
    assert run("scan", folder, "--no-marks", "-q", "--exit-zero").returncode == 0
