"""What is written can be read back, and hostile names stay harmless."""

import csv
import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from covoguard.core.errors import UsageError
from covoguard.core.reasons import REASONS
from covoguard.core.scanrecord import HashChain, record_line
from covoguard.reports.csv_file import COLUMNS, CsvWriter
from covoguard.reports.formats import FORMATS, format_of
from covoguard.reports.jsonl import JsonLinesWriter
from covoguard.reports.parquet import ROW_GROUP_RECORDS, ParquetWriter
from covoguard.reports.read import read_records
from covoguard.reports.table import TableWriter
from covoguard.reports.text import printable

SHA = "0123456789abcdef" * 4
SCHEMA_PATH = Path(__file__).resolve().parents[2] / "reports" / "schema" / "scan-record-1.schema.json"
ADDED_LATER = {"domain", "stability", "second_look_s", "marks_s", "sha256_after", "audit", "would_change"}
SCHEMA = json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))


def written(writer_type, records) -> bytes:
    stream = io.BytesIO()
    writer = writer_type(stream)
    for record in records:
        writer.write(record)
    writer.finish()
    return stream.getvalue()


def test_every_kind_of_record_is_valid_under_the_shipped_schema(records):
    validator = jsonschema.Draft202012Validator(SCHEMA)
    assert [list(validator.iter_errors(json.loads(record_line(record)))) for record in records] == [[]] * len(records)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("decision", "verdict"), "real"),
        (("decision", "reasons"), ["because"]),
        (("decision", "reasons"), []),
        (("input", "sha256"), "ABC"),
        (("extra",), 1),
        (("input", "extra"), 1),
        (("marks", "token"), "absent"),
        (("seq",), -1),
        (("detectors",), None),
        (("schema_version",), 2),
    ],
)
def test_the_schema_is_strict(records, path, value):
    data = json.loads(record_line(records[0]))
    target = data
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, SCHEMA)


def test_the_schema_knows_the_same_codes_as_the_table():
    assert SCHEMA["$defs"]["code"]["enum"] == list(REASONS)


def test_the_schema_asks_for_exactly_the_keys_of_the_record(records):
    def compare(schema, value):
        while "$ref" in schema or "anyOf" in schema:
            schema = schema["anyOf"][0] if "anyOf" in schema else schema
            schema = SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
        if isinstance(value, dict):
            assert list(schema["properties"]) == list(value)
            assert schema["required"] == [key for key in value if key not in ADDED_LATER]
            for key, inner in value.items():
                compare(schema["properties"][key], inner)

    compare(SCHEMA, json.loads(record_line(records[0])))


def test_a_record_from_before_the_later_keys_keeps_its_bytes(records, tmp_path):
    data = json.loads(record_line(records[0]))
    for table in (data, data["input"], data["detectors"][0], data["decision"], data["timing"]):
        for key in ADDED_LATER & table.keys():
            del table[key]
    line = json.dumps(data, separators=(",", ":"))
    jsonschema.validate(data, SCHEMA)
    path = tmp_path / "old.jsonl"
    path.write_text(line + "\n", encoding="utf-8")
    (record,) = read_records(path)
    assert record.detectors[0].domain is None
    assert record.detectors[0].stability is None
    assert record.audit is None
    assert record_line(record) == line


@pytest.mark.parametrize("name", ["jsonl", "parquet"])
def test_machine_formats_round_trip_to_the_last_bit(records, tmp_path, name):
    path = tmp_path / f"results.{name}"
    path.write_bytes(written(FORMATS[name].writer, records))
    read = list(read_records(path))
    assert read == records
    assert [record_line(record) for record in read] == [record_line(record) for record in records]


def test_parquet_is_written_in_row_groups(records, tmp_path):
    import pyarrow.parquet as pq

    path = tmp_path / "many.parquet"
    many = [replace(records[0], seq=seq) for seq in range(2 * ROW_GROUP_RECORDS + 1)]
    path.write_bytes(written(ParquetWriter, many))
    assert pq.ParquetFile(path).num_row_groups == 3
    assert list(read_records(path)) == many


def test_a_parquet_file_without_records_still_has_its_columns(tmp_path):
    path = tmp_path / "none.parquet"
    path.write_bytes(written(ParquetWriter, []))
    assert list(read_records(path)) == []


def test_each_line_is_ascii_and_carries_the_hash_of_the_line_before(records):
    lines = written(JsonLinesWriter, records).splitlines()
    assert all(line.isascii() for line in lines)
    hashes = [None] + [hashlib.sha256(line).hexdigest() for line in lines[:-1]]
    assert [json.loads(line)["prev_hash"] for line in lines] == hashes


def test_a_chain_notices_a_changed_a_removed_and_a_swapped_record(records):
    def unbroken(some):
        chain = HashChain()
        return [chain.follow(record) for record in some]

    changed = [records[0], replace(records[1], seq=7), *records[2:]]
    assert unbroken(records) == [True] * 6
    assert unbroken(changed) == [True, True, False, True, True, True]
    assert unbroken(records[:1] + records[2:]) == [True, False, True, True, True]
    assert not all(unbroken([records[1], records[0]]))


def test_numbers_that_json_lacks_are_refused(records):
    broken = replace(records[0], quality=replace(records[0].quality, peak=float("nan")))
    with pytest.raises(ValueError, match="JSON"):
        record_line(broken)


def test_a_name_that_is_not_utf8_keeps_its_bytes(records):
    import base64

    facts = json.loads(record_line(records[4]))["input"]
    assert "\\xff" in facts["path"]
    assert base64.b64decode(facts["path_b64"]) == b"bad\xff\n[red]x[/red]\x1b[2J\xe2\x80\xaegpj.wav"


def test_csv_has_one_flat_line_per_record_and_no_formulas(records):
    text = written(CsvWriter, records).decode("utf-8")
    assert len(text.splitlines()) == 1 + len(records)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert tuple(rows[0]) == COLUMNS
    assert rows[0]["log10_lr"] == "2.0000000000000004"
    assert rows[0]["reasons"] == "strong_artifacts partial"
    assert rows[1]["duplicate_of"] == "0"
    assert rows[3]["path"] == "'=cmd|'/c calc'!A0.wav"
    assert rows[3]["error_message"] == "'=1+1 a text"
    assert rows[4]["path"] == "bad\\xff\\n[red]x[/red]\\x1b[2J\\u202egpj.wav"
    assert rows[2]["log10_lr"] == rows[2]["domain"] == rows[2]["stability_range_log10_lr"] == ""
    assert (rows[0]["audit_seq"], rows[0]["audit_sha256"], rows[0]["sha256_after"]) == ("3", SHA, SHA)
    assert (rows[0]["domain"], rows[0]["domain_share_further_out"]) == ("edge", "0.0075")
    assert rows[0]["waveform_marks"] == "label:inconclusive"
    credentials = [rows[0][f"credentials{name}"] for name in ("", "_signer", "_say", "_trust_list")]
    assert credentials == ["sidecar", "Radio Example", "captured", "radio.pem"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_of_foreign_text_starts_a_formula(records, start):
    hostile = replace(records[0], input=replace(records[0].input, path=start + "1+1"))
    rows = list(csv.DictReader(io.StringIO(written(CsvWriter, [hostile]).decode())))
    assert rows[0]["path"].startswith("'")


def test_the_table_fits_80_columns_and_loses_no_part_of_a_name(records):
    long_name = "x" * 200 + ".wav"
    wide = replace(records[0], input=replace(records[0].input, path=long_name))
    text = written(TableWriter, [*records, wide]).decode("utf-8")
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("x") >= 200
    for word in ("synthetic", "not_analysable", "+2.00", "5.5 s", "día", "same_as_#0", f"audit {SHA}:3"):
        assert word in text


class Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


def test_a_narrow_terminal_costs_no_part_of_a_row(records, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    writer = TableWriter(terminal)
    writer.write(records[3])
    text = terminal.getvalue().decode("utf-8")
    assert "not_analysable" in text
    assert "calc'!A0.wav" in text
    assert "\x1b[" in text


def test_colours_never_reach_a_file(records, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert b"\x1b" not in written(TableWriter, records)


def test_the_table_shows_hostile_names_as_escapes(records):
    text = written(TableWriter, [replace(records[4], audit=None)]).decode("utf-8")
    assert "\x1b" not in text
    assert "\u202e" not in text
    flat = "".join(line[54:].strip() for line in text.splitlines()[1:])
    assert flat == "bad\\xff\\n[red]x[/red]\\x1b[2J\\u202egpj.wav"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("naïve 日本 🎧.wav", "naïve 日本 🎧.wav"),
        ("a\nb", "a\\nb"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("evil\u202egpj", "evil\\u202egpj"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\udcff", "\\udcff"),
        ("\u2028", "\\u2028"),
    ],
)
def test_printable_escapes_what_a_terminal_could_obey(text, shown):
    assert printable(text) == shown
    assert printable(shown) == shown


def test_formats_are_found_by_suffix_whatever_its_case():
    assert format_of(Path("a/B.JSONL"), FORMATS).name == "jsonl"
    with pytest.raises(UsageError, match=r"\.parquet"):
        format_of(Path("results.xlsx"), FORMATS)
