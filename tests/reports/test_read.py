"""Reading results back refuses what is not a scan record and says where."""

import json
from pathlib import Path

import pytest

from covoguard.core.errors import UsageError
from covoguard.core.scanrecord import record_line
from covoguard.reports.read import read_records


def write(tmp_path, *lines):
    path = tmp_path / "results.jsonl"
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def edited(record, keys, value):
    data = json.loads(record_line(record))
    target = data
    for key in keys[:-1]:
        target = target[key]
    target[keys[-1]] = value
    return json.dumps(data)


@pytest.mark.parametrize(
    ("keys", "value", "complaint"),
    [
        (["detectors", 0, "log10_lr"], "high", r"detectors\[0\]\.log10_lr"),
        (["detectors", 0, "log10_lr"], float("inf"), "finite"),
        (["detectors", 0, "segments", 1], [0.0, 1.0], r"segments\[1\]: expected 3 values"),
        (["input", "path"], "\udcff.wav", r"input\.path: .* not Unicode"),
        (["seq"], True, "seq"),
        (["seq"], 1.5, "seq"),
        (["quality", "mix"], "stereo", "mix"),
        (["quality", "partial"], 1, "partial"),
        (["decision", "verdict"], "human", "verdict"),
        (["marks", "waveform"], ["?"], "waveform"),
        (["schema_version"], 2, "schema_version"),
        (["new"], 1, "'new' is not a known key"),
        (["input"], None, "expected an object"),
        (["quality", "speech"], {}, "expected a list"),
        (["quality", "speech_s"], 10**400, "line 2"),
    ],
)
def test_a_wrong_field_is_named_with_its_line(records, tmp_path, keys, value, complaint):
    path = write(tmp_path, record_line(records[0]), edited(records[0], keys, value))
    with pytest.raises(UsageError, match=complaint) as caught:
        list(read_records(path))
    assert "line 2" in caught.value.message


def test_a_line_that_never_ends_is_refused_before_it_fills_the_memory():
    with pytest.raises(UsageError, match="line 1: longer than any record"):
        list(read_records(Path("/dev/zero")))


def test_a_record_without_facts_or_with_a_made_up_code_is_refused(records, tmp_path):
    path = write(tmp_path, edited(records[0], ["quality"], None))
    with pytest.raises(UsageError, match="neither"):
        list(read_records(path))
    path = write(tmp_path, edited(records[3], ["error", "code"], "gremlins"))
    with pytest.raises(UsageError, match="line 1: 'gremlins'"):
        list(read_records(path))


def test_a_missing_key_is_named(records, tmp_path):
    data = json.loads(record_line(records[0]))
    del data["timing"]
    with pytest.raises(UsageError, match="timing is missing"):
        list(read_records(write(tmp_path, json.dumps(data))))


@pytest.mark.parametrize("line", ["{", "not json", "\ufeff{}", "[" * 100_000, "[]", "1", '"text"', "{}"])
def test_a_line_that_is_no_record_is_refused(tmp_path, line):
    with pytest.raises(UsageError, match="line 1"):
        list(read_records(write(tmp_path, line)))


def test_records_before_a_bad_line_are_given_first(records, tmp_path):
    path = write(tmp_path, record_line(records[0]), "{")
    read = read_records(path)
    assert next(read) == records[0]
    with pytest.raises(UsageError, match="line 2"):
        next(read)


def test_a_line_cut_off_by_a_crash_gets_advice(records, tmp_path):
    path = tmp_path / "cut.jsonl"
    path.write_text(record_line(records[0]) + "\n" + record_line(records[1])[:50], encoding="ascii")
    with pytest.raises(UsageError, match="cut off: delete it"):
        list(read_records(path))


def test_empty_lines_do_not_matter(records, tmp_path):
    assert list(read_records(write(tmp_path, "", record_line(records[0]), ""))) == [records[0]]


def test_other_files_are_refused(tmp_path):
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(UsageError, match="Parquet"):
        list(read_records(tmp_path / "cut.parquet"))
    with pytest.raises(UsageError, match="cannot be read"):
        list(read_records(tmp_path / "absent.jsonl"))
    with pytest.raises(UsageError, match="cannot be read"):
        list(read_records(tmp_path))
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe\x00\n")
    with pytest.raises(UsageError, match="line 1"):
        list(read_records(tmp_path / "binary.jsonl"))


def test_another_parquet_table_is_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(UsageError, match="row 1"):
        list(read_records(tmp_path / "other.parquet"))
