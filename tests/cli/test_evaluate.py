"""`covoguard evaluate` as a user meets it: a detector or scores in, a summary and reports out, refusals."""

import csv
import json

import pytest
from click.testing import CliRunner
from speech_and_model import build_loudness_model, spoken, write_wav

from covoguard.cli.main import cli
from covoguard.core.errors import CovoguardError, InputError, UsageError

LOUDNESS = {"b0": 0.5, "b1": 0.6, "b2": 0.9, "s0": 0.8, "s1": 1.0, "s2": 0.95}
"""The model takes louder speech for more synthetic."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    build_loudness_model(folder_of(folder / "model"))
    speech = spoken(3.0)
    for clip, level in LOUDNESS.items():
        write_wav(folder / f"{clip}.wav", level * speech)
    write_manifest(folder / "manifest.csv", LOUDNESS)
    return folder


def folder_of(path):
    path.mkdir()
    return path


def write_manifest(path, clips):
    rows = [
        (clip, f"{clip}.wav", "spoof" if clip[0] == "s" else "bonafide", int(clip[1]) % 2, f"G{clip[1]}", "S", clip)
        for clip in clips
    ]
    write_csv(path, ("clip", "file", "label", "fold", "generator", "source", "speaker"), rows)


def write_csv(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def run(*arguments):
    return CliRunner().invoke(cli, ["evaluate", *map(str, arguments)])


def refused(result, kind):
    assert isinstance(result.exception, kind), result.output
    assert isinstance(result.exception, CovoguardError)
    return result.exception.message


FEW = ("--bootstrap", 0, "--min-clips", 1)


def test_a_detector_is_measured_and_reported(corpus, tmp_path):
    page, data = tmp_path / "report.html", tmp_path / "report.json"
    command = (corpus / "manifest.csv", "--model", corpus / "model", *FEW, "--jobs", 1, "-o", page, "-o", data)
    result = run(*command)
    assert result.exit_code == 0, result.output
    assert max(map(len, result.output.splitlines())) <= 80
    evaluation = json.loads(data.read_text())
    assert evaluation["system"]["name"] == "loudness@1"
    # In order of loudness: b b s b s s; at s1 and above fpr is 0 and fnr 1/3, with b2 both are 1/3.
    assert evaluation["pooled"]["eer"]["value"] == pytest.approx(1 / 3)
    assert "33.3 %" in result.output
    assert page.read_text().startswith("<!doctype html>")


def test_stored_results_of_a_scan_give_the_same(corpus, tmp_path):
    runner, stored = CliRunner(), tmp_path / "run.jsonl"
    scan = ["scan", str(corpus), "--model", str(corpus / "model"), "--no-marks", "-q", "-o", str(stored)]
    runner.invoke(cli, scan)
    outputs = []
    for source in (("--scores", stored), ("--model", corpus / "model")):
        path = tmp_path / "out.json"
        assert run(corpus / "manifest.csv", *source, *FEW, "-o", path, "-q").exit_code == 0
        outputs.append(json.loads(path.read_text()))
    assert outputs[0] == outputs[1]


def test_json_on_standard_output_is_the_file(corpus, tmp_path):
    path = tmp_path / "out.json"
    result = run(corpus / "manifest.csv", "--model", corpus / "model", *FEW, "-o", path, "--json", "-q")
    assert json.loads(result.stdout) == json.loads(path.read_text())


def test_a_clip_that_cannot_be_scored_is_counted_and_gives_code_3(corpus, tmp_path):
    manifest = corpus / "with-gap.csv"
    write_manifest(manifest, [*LOUDNESS, "s9"])
    result = run(manifest, "--model", corpus / "model", *FEW)
    assert result.exit_code == 3, result.output
    assert "1 spoof clips have no score (not_found 1)" in result.output.replace("\n", " ")


def test_scores_of_another_system(corpus, tmp_path):
    path = write_csv(tmp_path / "s.csv", ("clip", "score"), [(clip, -level) for clip, level in LOUDNESS.items()])
    result = run(corpus / "manifest.csv", "--scores", path, "--higher-is-bonafide", *FEW, "--threshold", 0.85)
    assert result.exit_code == 0, result.output
    assert "33.3 %" in result.output
    assert "not measured" in result.output


def test_quiet_prints_nothing(corpus, tmp_path):
    path = write_csv(tmp_path / "s.csv", ("clip", "score"), LOUDNESS.items())
    result = run(corpus / "manifest.csv", "--scores", path, *FEW, "-q")
    assert (result.exit_code, result.output) == (0, "")


def test_segments_are_measured_on_the_windows(corpus, tmp_path):
    path = write_csv(tmp_path / "seg.csv", ("clip", "start_s", "end_s", "label"), [("s1", 0, 3, "spoof")])
    result = run(corpus / "manifest.csv", "--model", corpus / "model", *FEW, "--segments", path, "--threshold", -9)
    assert result.exit_code == 0, result.output
    assert "segments: precision 100.0 %" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "one of them"),
        (("--detector", "logband-resnet", "--scores", "x.csv"), "one of them"),
        (("--scores", "x.jsonl", "--higher-is-bonafide"), "scores of a CSV"),
        (("--detector", "nobody"), "nobody"),
        (("--detector", "logband-resnet", "-o", "x.docx"), ".docx"),
        (("--detector", "logband-resnet", "--bootstrap", 10), "1000 or more"),
        (("--detector", "logband-resnet", "--threshold", "nan"), "no finite number"),
    ],
)
def test_wrong_options_are_refused(corpus, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in refused(run(corpus / "manifest.csv", *arguments), UsageError)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_a_report_that_could_not_be_made(corpus, tmp_path):
    scores = write_csv(tmp_path / "s.csv", ("clip", "score"), [("b0", "nan")])
    result = run(corpus / "manifest.csv", "--scores", scores, "-o", tmp_path / "report.html")
    assert "line 2" in refused(result, UsageError)
    assert [path.name for path in tmp_path.iterdir()] == ["s.csv"]


def test_inputs_are_never_overwritten_and_missing_ones_are_named(corpus, tmp_path):
    scores = write_csv(tmp_path / "s.json", ("clip", "score"), LOUDNESS.items())
    assert "never overwritten" in refused(run(corpus / "manifest.csv", "--scores", scores, "-o", scores), UsageError)
    assert "none.csv" in refused(run(tmp_path / "none.csv", "--scores", scores), InputError)
