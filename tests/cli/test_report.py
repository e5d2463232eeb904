"""`covoguard report`: from a run or a sound to a page, or to a sentence that says why not."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from speech_and_model import spoken, write_wav

from covoguard.cli.report import report
from covoguard.cli.scan import scan
from covoguard.core.errors import CovoguardError, UsageError
from covoguard.detect.policy import load_policy
from covoguard.pipeline.report import ReportChoices, report_on
from covoguard.reports.read import read_records


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory):
    """No keys, signers or registry of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("COVOGUARD_KEYS", "COVOGUARD_DATA", "COVOGUARD_REGISTRY"):
            patch.setenv(name, str(tmp_path_factory.mktemp("place") / name.lower()))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory, place):
    """Two sounds, something that is none, and the run of all three."""
    folder = tmp_path_factory.mktemp("clips")
    write_wav(folder / "zebra.wav", spoken(3.0))
    write_wav(folder / "other.wav", spoken(2.5, seed=2))
    (folder / "text.wav").write_text("no sound", encoding="utf-8")
    invoke(scan, *(folder / name for name in ("zebra.wav", "other.wav", "text.wav")), "-q", "--second-look", "off",
           "-o", folder / "run.jsonl", "-o", folder / "run.parquet", "--exit-zero")  # fmt: skip
    return folder


def invoke(command, *arguments):
    """Exit code and standard error; what the command line would say in one line is raised."""
    result = CliRunner().invoke(command, list(map(str, arguments)))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stderr


def made(source: Path, *arguments, code: int = 0) -> str:
    output = source.parent / "made.html"
    output.unlink(missing_ok=True)
    done, told = invoke(report, source, "-o", output, *arguments)
    assert done == code, told
    return output.read_text(encoding="utf-8")


def record_in(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="record">(.*?)</script>', page).group(1))


@pytest.mark.parametrize("run", ["run.jsonl", "run.parquet"])
def test_a_run_gives_the_page_of_the_record_that_was_chosen(folder, run):
    page = made(folder / run, "--seq", "1")
    expected = json.loads((folder / "run.jsonl").read_text().splitlines()[1])
    found = record_in(page)
    for key in ("input", "quality", "detectors", "marks", "decision", "seq"):
        assert found[key] == expected[key]
    assert 'src="data:audio/flac;base64,' in page
    assert "held out of training" in page, "the error rates of the bundled detector"


def test_a_sound_is_scanned_first_and_decided_as_scan_does(folder):
    page = made(folder / "zebra.wav", "--prior", "0.25")
    found = record_in(page)
    expected = json.loads((folder / "run.jsonl").read_text().splitlines()[0])
    assert found["input"] == expected["input"]
    assert found["detectors"][0]["log10_lr"] == expected["detectors"][0]["log10_lr"]
    assert found["decision"]["prior"] == 0.25
    assert "prior of 0.25" in page


def test_a_run_of_one_record_needs_no_number(folder):
    (folder / "one.jsonl").write_text((folder / "run.jsonl").read_text().splitlines()[0] + "\n")
    assert record_in(made(folder / "one.jsonl"))["seq"] == 0


def test_what_could_not_be_analysed_gives_a_page_that_says_so_and_exit_code_3(folder):
    for source, choice in ((folder / "run.jsonl", ("--seq", "2")), (folder / "text.wav", ())):
        page = made(source, *choice, code=3)
        assert "Could not be analysed" in page
        assert "data:audio" not in page
        assert "not_audio" in page


@pytest.mark.parametrize("harm", ["changed", "gone", "standard input", "no path"])
def test_a_sound_that_is_not_the_one_analysed_stays_out(folder, tmp_path, harm):
    record = json.loads((folder / "run.jsonl").read_text().splitlines()[0])
    write_wav(tmp_path / "clip.wav", spoken(1.0))
    paths = {"changed": tmp_path / "clip.wav", "gone": tmp_path / "none.wav", "standard input": "-", "no path": "a\0b"}
    record["input"]["path"] = str(paths[harm])
    (tmp_path / "run.jsonl").write_text(json.dumps(record))
    page = made(tmp_path / "run.jsonl")
    assert "is not in this report" in page
    assert "data:audio" not in page
    assert "data:image" not in page


def test_without_audio_there_is_neither_sound_nor_spectrogram(folder):
    page = made(folder / "run.jsonl", "--seq", "0", "--no-audio")
    assert "left out on purpose" in page
    assert "data:audio" not in page
    assert "data:image" not in page
    assert "zebra.wav" in page


def test_a_redacted_page_names_neither_file_nor_folder(folder):
    for source, choice in ((folder / "run.jsonl", ("--seq", "0")), (folder / "zebra.wav", ())):
        page = made(source, *choice, "--redact")
        assert "zebra" not in page
        assert str(folder) not in page
        assert folder.name not in page
        assert "data:audio" not in page
        assert record_in(page)["input"]["path"].startswith("sha256:")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run.jsonl"], "several records"),
        (["run.jsonl", "--seq", "9"], "no record number 9"),
        (["odd.jsonl"], "not JSON"),
        (["zebra.wav", "--seq", "0"], "gives one record only"),
        (["run.jsonl", "--seq", "0", "--prior", "0.1"], "redecide"),
        (["run.jsonl", "--seq", "0", "--policy", "mine.toml"], "not the policy that decided"),
    ],
)
def test_wrong_usage_is_told_and_nothing_is_written(folder, arguments, told):
    (folder / "odd.jsonl").write_text("{nonsense", encoding="utf-8")
    default = Path(__file__).resolve().parents[2] / "detect" / "policies" / "default.toml"
    (folder / "mine.toml").write_text(default.read_text().replace("version = 4", "version = 5"))
    paths = [folder / each if each.endswith(("l", "wav")) else each for each in arguments]
    with pytest.raises(UsageError, match=told):
        invoke(report, *paths, "-o", folder / "never.html")
    assert not (folder / "never.html").exists()


def test_error_rates_are_stated_only_where_the_policy_is_as_careful_as_their_thresholds(folder):
    policy = load_policy()
    (record,) = (each for each in read_records(folder / "run.jsonl") if each.seq == 0)
    for change in ({"synthetic_min_log10_lr": 1.0}, {"no_evidence_max_log10_lr": -1.0}):
        laxer = replace(policy, thresholds=replace(policy.thresholds, **change))
        page = report_on(record, ReportChoices(laxer, with_sound=False))
        assert "held out of training" not in page
        assert "Not known here" in page


def test_no_input_is_overwritten(folder):
    for source, output in (("zebra.wav", "zebra.wav"), ("run.jsonl", "run.jsonl"), ("run.jsonl", "zebra.wav")):
        before = (folder / output).read_bytes()
        choice = ("--seq", "0") if source.endswith("l") else ()
        with pytest.raises(UsageError, match="never overwritten"):
            invoke(report, folder / source, *choice, "-o", folder / output)
        assert (folder / output).read_bytes() == before


def test_a_page_that_cannot_be_written_leaves_nothing(folder):
    with pytest.raises(CovoguardError, match="cannot be written") as raised:
        invoke(report, folder / "run.jsonl", "--seq", "0", "-o", folder / "no-such-folder" / "page.html")
    assert raised.value.code == "output_error"
    assert not [name for name in os.listdir(folder) if name.endswith(".part")]
