"""`covoguard scan` on real files, through the real command line."""

import csv
import io
import os
import subprocess
import sys

import numpy as np
import pytest
from scan_output import lines, names
from speech_and_model import build_loudness_model

from covoguard.detect.domain import fit_domain

EXPECTED = {
    "a-loud.wav": ("synthetic", ["strong_artifacts"]),
    "b-quiet.wav": ("no_evidence", ["below_threshold"]),
    "c-middle.wav": ("inconclusive", ["between_thresholds"]),
    "d-silent.wav": ("not_analysable", ["no_speech"]),
    "e-text.wav": ("not_analysable", ["not_audio"]),
    "f-copy.wav": ("synthetic", ["strong_artifacts"]),
}


def without_run(record: dict) -> dict:
    """What must not depend on when, where and with how many threads the scan ran."""
    return {key: value for key, value in record.items() if key not in ("run_id", "timing", "prev_hash")}


def test_a_folder_gives_one_record_per_media_file_in_order(scan, clips):
    result = scan(clips, "-f", "jsonl", "--jobs", "2")
    records = lines(result.stdout)
    verdicts = {
        os.path.basename(each["input"]["path"]): (each["decision"]["verdict"], each["decision"]["reasons"][:1])
        for each in records
    }
    assert verdicts == EXPECTED
    assert list(verdicts) == list(EXPECTED)
    assert [each["seq"] for each in records] == list(range(6))
    assert len({each["run_id"] for each in records}) == 1
    assert result.returncode == 3
    assert b"6 files" in result.stderr
    assert b"synthetic 2, inconclusive 1, no_evidence 1, not_analysable 2" in result.stderr
    assert b"left out of folders: 1" in result.stderr


def test_facts_of_a_scored_file_are_in_its_record(scan, clips, loudness_model):
    (record,) = lines(scan(clips / "a-loud.wav", "-f", "jsonl").stdout)
    assert (record["input"]["container"], record["input"]["codec"]) == ("wav", "pcm_s16le")
    assert (record["input"]["sample_rate_hz"], record["input"]["channels"]) == (16_000, 1)
    assert record["input"]["duration_s"] == record["input"]["declared_duration_s"] == 4.0
    assert record["input"]["size_bytes"] == (clips / "a-loud.wav").stat().st_size
    (detector,) = record["detectors"]
    assert detector["id"] == "loudness@1"
    assert detector["model_sha256"] in (loudness_model / "SHA256SUMS").read_text()
    assert detector["log10_lr"] == pytest.approx(100 * detector["score"] - 2)
    assert (record["marks"]["token"], record["marks"]["waveform"]) == (None, [])
    assert record["marks"]["credentials"]["state"] in ("absent", "not_checked")
    odds = 10 ** detector["log10_lr"] * 0.2 / 0.8
    assert record["decision"]["posterior"] == pytest.approx(odds / (1 + odds))
    assert record["case"] is None
    assert min(record["timing"].values()) >= 0


def test_the_number_of_jobs_changes_nothing(scan, clips):
    one, three = (lines(scan(clips, clips, "-f", "jsonl", "--jobs", jobs).stdout) for jobs in ("1", "3"))
    assert len(one) == 12
    assert [without_run(each) for each in one] == [without_run(each) for each in three]


def test_equal_bytes_are_scored_once(scan, clips):
    records = lines(scan(clips, "-f", "jsonl").stdout)
    first, copy = records[0], records[5]
    assert (first["duplicate_of"], copy["duplicate_of"]) == (None, 0)
    assert copy["detectors"] == first["detectors"]
    assert copy["decision"] == first["decision"]
    assert set(copy["timing"].values()) == {None}
    assert copy["input"]["path"] != first["input"]["path"]


def test_case_item_and_examiner_go_into_every_record(scan, clips):
    records = lines(scan(clips, "-f", "jsonl", "--case", "17", "--examiner", "J. Doe").stdout)
    assert all(each["case"] == {"id": "17", "item": None, "examiner": "J. Doe"} for each in records)


# --- exit codes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "options", "code"),
    [
        (["a-loud", "b-quiet"], [], 0),
        (["a-loud", "b-quiet"], ["--fail-on", "synthetic"], 10),
        (["c-middle", "b-quiet"], ["--fail-on", "synthetic"], 0),
        (["c-middle", "b-quiet"], ["--fail-on", "inconclusive"], 11),
        (["c-middle", "a-loud"], ["--fail-on", "inconclusive"], 10),
        (["a-loud", "e-text"], ["--fail-on", "synthetic"], 3),
        (["d-silent"], [], 3),
        (["a-loud", "e-text"], ["--fail-on", "synthetic", "--exit-zero"], 0),
        (["b-quiet"], ["--fail-on", "inconclusive"], 0),
    ],
)
def test_exit_codes_of_a_finished_scan(scan, clips, files, options, code):
    assert scan(*[clips / f"{name}.wav" for name in files], "-q", *options).returncode == code


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        ([], 2, "no input"),
        (["-0", "x.wav"], 2, "--files-from"),
        (["-", "--files-from", "-"], 2, "only once"),
        (["x.wav", "--files-from", "absent.txt"], 2, "cannot be opened"),
        (["x.wav", "--policy", "absent.toml"], 2, "cannot read the policy"),
        (["x.wav", "-o", "out.xlsx"], 2, "suffix"),
        (["x.wav", "-o", "nowhere/out.csv"], 2, "cannot be created"),
        (["x.wav", "--detector", "other"], 2, "this model is for logband-resnet"),
        (["x.wav", "--jobs", "0"], 2, "--jobs"),
        (["x.wav", "--jobs", "100000"], 2, "--jobs"),
        (["x.wav", "--timeout-per-file", "nan"], 2, "NaN"),
        (["x.wav", "--timeout-per-file", "inf"], 2, "--timeout-per-file"),
        (["x.wav", "--max-duration", "nan"], 2, "NaN"),
        (["x.wav", "--max-duration", "1e300"], 2, "--max-duration"),
        (["x.wav", "--examiner", b"\xff"], 2, "not UTF-8"),
        (["x.wav", "--no-such-option"], 2, "No such option"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(scan, tmp_path, arguments, code, complaint):
    result = scan(*arguments, cwd=tmp_path)
    assert result.returncode == code
    assert complaint in result.stderr.decode()
    assert b"Traceback" not in result.stderr
    assert result.stdout == b""
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_detector_is_refused_with_the_known_ones(run, clips):
    result = run("scan", clips, "--detector", "oracle")
    assert result.returncode == 2
    assert b"logband-resnet" in result.stderr


def test_audio_bytes_on_standard_input(scan, clips):
    content = (clips / "a-loud.wav").read_bytes()
    (from_stdin,) = lines(scan("-", "-f", "jsonl", stdin=content).stdout)
    (from_file,) = lines(scan(clips / "a-loud.wav", "-f", "jsonl").stdout)
    assert from_stdin["input"]["path"] == "-"
    assert from_stdin["input"]["sha256"] == from_file["input"]["sha256"]
    assert from_stdin["detectors"] == from_file["detectors"]


def test_nothing_on_standard_input_is_a_record(scan):
    result = scan("-", "-f", "jsonl")
    assert lines(result.stdout)[0]["error"]["code"] == "empty_file"
    assert result.returncode == 3


def test_paths_from_a_list_separated_by_newlines_or_nul(scan, clips, tmp_path):
    strange = tmp_path / "two\nlines *.wav"
    strange.write_bytes((clips / "a-loud.wav").read_bytes())
    nul = b"\0".join(map(os.fsencode, [strange, clips / "b-quiet.wav"])) + b"\0"
    result = scan("--files-from", "-", "-0", "-f", "jsonl", stdin=nul)
    assert names(result.stdout) == ["two\nlines *.wav", "b-quiet.wav"]
    assert result.returncode == 0
    listing = tmp_path / "list.txt"
    listing.write_bytes(os.fsencode(clips / "b-quiet.wav") + b"\n\n" + os.fsencode(clips / "c-middle.wav"))
    result = scan(clips / "a-loud.wav", "--files-from", listing, "-f", "jsonl")
    assert names(result.stdout) == ["a-loud.wav", "b-quiet.wav", "c-middle.wav"]


def test_listed_names_are_taken_literally(scan, clips, tmp_path):
    listing = tmp_path / "list.txt"
    listing.write_bytes(os.fsencode(clips) + b"/*.wav\n-\n")
    records = lines(scan("--files-from", listing, "-f", "jsonl", cwd=tmp_path).stdout)
    assert [each["error"]["code"] for each in records] == ["not_found", "not_found"]


def test_globs_are_expanded_when_the_shell_did_not(scan, clips):
    assert names(scan(f"{clips}/[ab]-*.wav", "-f", "jsonl").stdout) == ["a-loud.wav", "b-quiet.wav"]
    missing = scan(f"{clips}/*.flac", "-f", "jsonl")
    assert lines(missing.stdout)[0]["error"]["code"] == "not_found"
    assert missing.returncode == 3


def test_all_files_takes_what_has_no_media_suffix(scan, clips):
    result = scan(clips, "--all-files", "-f", "jsonl")
    assert names(result.stdout)[-1] == "notes.md"
    assert lines(result.stdout)[-1]["error"]["code"] == "not_audio"


def test_an_empty_folder_is_no_error_and_says_so(scan, tmp_path):
    result = scan(tmp_path, "-f", "jsonl")
    assert (result.returncode, result.stdout) == (0, b"")
    assert b"0 files" in result.stderr


def test_names_that_are_not_utf8_or_carry_markup_survive(scan, clips, tmp_path):
    import base64

    hostile = [b"\xff\xfe.wav", b"[red]\x1b[31mx\n.wav", "e\u202egpj.wav".encode(), b"=cmd.wav", b"-f.wav"]
    for name in hostile:
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write((clips / "b-quiet.wav").read_bytes())
    result = scan(tmp_path, "-f", "jsonl")
    found = set()
    for record in lines(result.stdout):
        facts = record["input"]
        raw = base64.b64decode(facts["path_b64"]) if facts["path_b64"] else facts["path"].encode()
        found.add(os.path.basename(raw))
    assert found == set(hostile)
    assert result.returncode == 0
    for style in ("table", "csv"):
        shown = scan(tmp_path, "-f", style)
        assert b"\x1b" not in shown.stdout + shown.stderr
        assert "\u202e".encode() not in shown.stdout
        assert shown.returncode == 0


# --- outputs -----------------------------------------------------------------------------------------------


def without_unknown(value):
    """Without the keys whose value is None, at any depth."""
    if isinstance(value, dict):
        return {key: without_unknown(each) for key, each in value.items() if each is not None}
    return [without_unknown(each) for each in value] if isinstance(value, list) else value


def test_all_outputs_of_one_run_tell_the_same(scan, clips, tmp_path):
    import pyarrow.parquet as pq

    files = [tmp_path / f"out.{suffix}" for suffix in ("jsonl", "csv", "parquet", "txt")]
    options = [part for path in files for part in ("-o", path)]
    result = scan(clips, *options, "-f", "jsonl")
    assert files[0].read_bytes() == result.stdout
    records = lines(result.stdout)
    assert [without_unknown(each) for each in pq.read_table(files[2]).to_pylist()] == [
        without_unknown(each) for each in records
    ]  # a table has a column for what a line leaves out
    rows = list(csv.DictReader(io.StringIO(files[1].read_text())))
    assert [row["verdict"] for row in rows] == [each["decision"]["verdict"] for each in records]
    assert files[3].read_text().count("\n  ") >= len(records)
    assert sorted(tmp_path.iterdir()) == sorted(files)


def test_with_an_output_file_standard_output_stays_empty(scan, clips, tmp_path):
    result = scan(clips / "a-loud.wav", "-o", tmp_path / "out.csv")
    assert result.stdout == b""
    assert b"out.csv" in result.stderr


def test_the_default_is_a_table_and_standard_error_is_silent_when_asked(scan, clips):
    result = scan(clips, "-q")
    assert b"verdict" in result.stdout.splitlines()[0]
    assert max(len(line) for line in result.stdout.decode().splitlines()) <= 80
    assert result.stderr == b""


def test_parquet_goes_through_a_pipe(scan, clips, tmp_path):
    import pyarrow.parquet as pq

    content = scan(clips, "-f", "parquet").stdout
    assert pq.read_table(io.BytesIO(content)).num_rows == 6


# --- what a scan is made of --------------------------------------------------------------------------------


def test_scanning_loads_no_torch_and_reads_no_other_heavy_library(clips, loudness_model):
    script = (
        "import sys, os\n"
        "from covoguard.cli.main import cli\n"
        f"cli.main(['scan', {str(clips)!r}, '--model', {str(loudness_model)!r}, '-q', '--second-look', 'off'],"
        " standalone_mode=False)\n"
        "print('LOADED', *(name for name in ('torch', 'transformers', 'sklearn', 'av', 'pyarrow', 'onnxruntime')"
        " if name in sys.modules))\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "LOADED onnxruntime"


# --- second look -------------------------------------------------------------------------------------------


STABILITY = """
[stability]
max_range_log10_lr = {limit}
"""


@pytest.fixture
def judging_policy(policy, tmp_path):
    """`judging_policy(limit)`: the policy of the other tests, which judges second looks as well."""

    def write_policy(limit):
        text = policy.read_text().replace("[prior]", STABILITY.format(limit=limit) + "\n[prior]")
        path = tmp_path / f"{limit}.toml"
        path.write_text(text.replace("[effects]", '[effects]\nunstable_score = "inconclusive"'))
        return path

    return write_policy


def stabilities(result):
    return {
        os.path.basename(each["input"]["path"]): detector.get("stability")
        for each in lines(result.stdout)
        for detector in each["detectors"]
    }


def test_a_second_look_is_taken_where_a_score_decides(run, clips, loudness_model, judging_policy):
    files = [clips / name for name in ("a-loud.wav", "c-middle.wav", "d-silent.wav")]
    command = ["scan", "--model", loudness_model, "--policy", judging_policy(1.0), "-f", "jsonl", *files]
    looked = stabilities(run(*command))
    assert looked["c-middle.wav"] is looked["d-silent.wav"] is None
    assert [each["codec"] for each in looked["a-loud.wav"]["scores"]] == ["mp3-64k", "opus-24k", "aac-64k"]
    assert 0 < looked["a-loud.wav"]["range_log10_lr"] < 1.0
    assert set(stabilities(run(*command, "--second-look", "off")).values()) == {None}
    everything = stabilities(run(*command, "--second-look", "all"))
    assert everything["a-loud.wav"] == looked["a-loud.wav"]
    assert everything["c-middle.wav"] is not None
    assert everything["d-silent.wav"] is None


def test_an_unstable_score_is_not_decided_and_another_policy_may_say_so_later(
    run, clips, loudness_model, judging_policy, policy, tmp_path
):
    strict = judging_policy(0.0)
    scan_all = ["scan", "--model", loudness_model, clips / "a-loud.wav", "-f", "jsonl", "--second-look", "all"]
    (record,) = lines(run(*scan_all, "--policy", strict).stdout)
    assert record["decision"]["verdict"] == "inconclusive"
    assert record["decision"]["reasons"] == ["unstable_score", "strong_artifacts"]
    assert record["timing"]["second_look_s"] > 0
    results = tmp_path / "results.jsonl"
    results.write_bytes(run(*scan_all, "--policy", policy).stdout)
    (before,) = lines(results.read_bytes())
    assert before["decision"]["verdict"] == "synthetic"
    (after,) = lines(run("redecide", results, "--policy", strict, "-f", "jsonl").stdout)
    assert after["decision"] == record["decision"]


def test_a_recording_that_the_model_was_not_made_for_is_not_decided(run, clips, policy, tmp_path):
    rng = np.random.default_rng(2)
    known, held_out = rng.normal(5.0, 0.1, (100, 2)), rng.normal(5.0, 0.1, (200, 2))
    build_loudness_model(tmp_path, fit_domain(known, ["bonafide", "spoof"] * 50, held_out).to_bytes())
    careful = tmp_path / "careful.toml"
    careful.write_text(policy.read_text().replace("[effects]", '[effects]\nout_of_domain = "inconclusive"'))
    command = ["scan", clips / "a-loud.wav", "--model", tmp_path, "-f", "jsonl", "--policy"]
    (record,) = lines(run(*command, careful).stdout)
    assert record["detectors"][0]["domain"]["verdict"] == "out"
    assert record["decision"]["reasons"] == ["out_of_domain", "strong_artifacts"]
    assert record["decision"]["verdict"] == "inconclusive"
    (noted,) = lines(run(*command, policy).stdout)
    assert noted["decision"]["verdict"] == "synthetic"
    assert noted["decision"]["reasons"] == ["strong_artifacts", "out_of_domain"]


def test_a_policy_that_judges_no_second_look_costs_none(scan, clips):
    assert stabilities(scan(clips / "a-loud.wav", "-f", "jsonl")) == {"a-loud.wav": None}
