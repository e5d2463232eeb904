"""Every broken or hostile input through the real command line: its documented record, and the batch goes on."""

import base64
import json
import os

import jsonschema
import pytest
from hostile_files import build_hostile_files

from covoguard.core.reasons import REASONS


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    return folder, build_hostile_files(folder)


@pytest.fixture(scope="module")
def scanned(run, hostile, loudness_model, clips, tmp_path_factory):
    """One run over all of them and a good file at the end: the process, its records, a table and a CSV file."""
    folder, expected = hostile
    # A folder that is named is searched, not opened.
    paths = [folder / name for name in expected if not (folder / name).is_dir()]
    outputs = [tmp_path_factory.mktemp("shown") / name for name in ("table.txt", "rows.csv")]
    done = run(
        "scan", *paths, clips / "a-loud.wav", "--model", loudness_model, "--jobs", "2", "-f", "jsonl",
        "-o", outputs[0], "-o", outputs[1],
    )  # fmt: skip
    return done, [json.loads(line) for line in done.stdout.splitlines()], outputs


def test_each_hostile_input_gives_its_documented_record(scanned, hostile):
    folder, expected = hostile
    done, records, _ = scanned
    codes = {}
    for record in records[:-1]:
        facts = record["input"]
        raw = base64.b64decode(facts["path_b64"]).decode() if facts["path_b64"] else facts["path"]
        codes[raw.removeprefix(f"{folder}/")] = record["error"] and record["error"]["code"]
    assert codes == {name: code for name, code in expected.items() if not (folder / name).is_dir()}
    assert done.returncode == 3
    assert b"Traceback" not in done.stderr


def test_the_batch_goes_on_behind_them(scanned):
    _, records, _ = scanned
    assert records[-1]["detectors"][0]["status"] == "scored"


def test_their_records_are_valid_and_explained(scanned, request):
    schema_path = request.config.rootpath / "reports" / "schema" / "scan-record-1.schema.json"
    validator = jsonschema.Draft202012Validator(json.loads(schema_path.read_text()))
    for record in scanned[1]:
        validator.validate(record)
        reasons = record["decision"]["reasons"]
        assert set(reasons) <= REASONS.keys()
        if record["error"]:
            assert record["decision"]["verdict"] == "not_analysable"
            assert reasons[0] == record["error"]["code"]


def test_nothing_that_a_terminal_could_obey_is_shown(scanned):
    done, records, outputs = scanned
    for shown in (done.stderr, *(path.read_bytes() for path in outputs)):
        assert b"\x1b" not in shown
    assert len(outputs[1].read_text().splitlines()) == 1 + len(records)


def test_a_folder_of_them_is_searched_to_its_end(run, hostile, loudness_model):
    folder, expected = hostile
    done = run("scan", f"{folder}/*.wav", "--model", loudness_model, "-f", "csv")
    named = [name for name in expected if name.endswith(".wav") and os.path.lexists(folder / name)]
    assert len(done.stdout.splitlines()) == len(named)  # a header more, folder.wav less
    assert done.returncode == 3
