"""`covoguard audit`, and what `scan` and `verify` enter into a log: each way to tamper is caught by the commands."""

import hashlib
import json
import shutil
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner
from speech_and_model import spoken, write_wav

import covoguard.cli.verify as verify_module
from covoguard.cli.main import cli
from covoguard.core.audit.entry import Entry, line_sha256, parse_line, signed_bytes, signed_line, unsigned_line
from covoguard.core.audit.keys import AuditKeys, SigningKey
from covoguard.core.errors import CovoguardError
from covoguard.core.keyring import KeyRing
from covoguard.core.markrecord import KeyReading, TokenMark
from covoguard.pipeline.case import CaseFile

SCHEMAS = {
    name: json.loads(
        (Path(__file__).resolve().parents[2] / "reports" / "schema" / f"{name}-record-1.schema.json").read_text()
    )
    for name in ("scan", "verify")
}
CASE = ("--case", "2026-17", "--item", "A1", "--examiner", "J. Doe")


@pytest.fixture
def command(tmp_path, monkeypatch):
    """`command("audit", ...)`: what it printed and its exit code; the errors of covoguard keep theirs."""
    monkeypatch.setenv("COVOGUARD_KEYS", str(tmp_path / "keys"))
    monkeypatch.delenv("COVOGUARD_AUDIT_LOG", raising=False)

    def invoke(*arguments):
        result = CliRunner().invoke(cli, [str(each) for each in arguments])
        if isinstance(result.exception, CovoguardError):
            result.exit_code = result.exception.exit_code
        elif result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    """Two recordings, a copy of one, and a file that holds no sound."""
    folder = tmp_path_factory.mktemp("evidence")
    write_wav(folder / "a.wav", spoken(4.0))
    write_wav(folder / "b.wav", 0.3 * spoken(4.0))
    (folder / "c.wav").write_bytes((folder / "a.wav").read_bytes())
    (folder / "d.wav").write_text("no sound")
    return folder


@pytest.fixture(scope="module")
def world(tmp_path_factory, evidence, loudness_model, policy):
    """A folder with `keys` and with `case.jsonl`, the log of two runs; and what the first run printed."""
    folder = tmp_path_factory.mktemp("world")
    environment = {"COVOGUARD_KEYS": str(folder / "keys"), "COVOGUARD_AUDIT_LOG": str(folder / "case.jsonl")}
    scan = ["scan", "--model", str(loudness_model), "--policy", str(policy), "--jobs", "1", "-f", "jsonl"]
    first = CliRunner(env=environment).invoke(cli, [*scan, str(evidence), *CASE])
    CliRunner(env=environment).invoke(cli, [*scan, str(evidence / "b.wav"), "--case", "2026-18"])
    assert len((folder / "case.jsonl").read_bytes().splitlines()) == 1 + 6 + 3
    return folder, first


@pytest.fixture
def log(tmp_path, world):
    """A copy of the log and of its keys, to be tampered with."""
    shutil.copytree(world[0], tmp_path, dirs_exist_ok=True)
    return tmp_path / "case.jsonl"


@pytest.fixture
def scan(command, loudness_model, policy):
    def scan_with(*arguments):
        return command("scan", "--model", loudness_model, "--policy", policy, "--jobs", 1, *arguments)

    return scan_with


def records(result, kind="scan"):
    found = [json.loads(line) for line in result.stdout.splitlines()]
    for record in found:
        jsonschema.validate(record, SCHEMAS[kind])
    return found


def verified(command, log, *options):
    result = command("audit", "verify", log, "--json", *options)
    report = json.loads(result.stdout)
    assert (result.exit_code == 0) == (report["status"] == "intact")
    assert result.exit_code in (0, 20)
    return report


def found(command, log, *options):
    return [(each["line"], each["kind"]) for each in verified(command, log, *options)["findings"]]


# --- what is entered ---------------------------------------------------------------------------------------


def test_every_record_holds_its_place_in_a_log_that_is_intact(command, log, world):
    path, result = log, world[1]
    assert result.exit_code == 3
    report = verified(command, path)
    assert (report["status"], report["runs"]) == ("intact", 2)
    lines = path.read_bytes().splitlines()
    for record in records(result):
        assert record["case"] == {"id": "2026-17", "item": "A1", "examiner": "J. Doe"}
        assert record["input"]["sha256_after"] == record["input"]["sha256"]
        audit, entry = record["audit"], parse_line(lines[record["audit"]["seq"] - 1])
        assert audit["sha256"] == line_sha256(lines[audit["seq"] - 1])
        assert (audit["log_id"], audit["key_id"]) == (report["log_id"], entry.key)
        assert found(command, path, "--expect-head", f"{audit['sha256']}:{audit['seq']}") == []
        facts = entry.facts
        assert facts["input"]["sha256"] == record["input"]["sha256"]
        assert facts["decision"] == record["decision"]
        assert facts["error"] == record["error"]
        del record["audit"]
        bare = json.dumps(record | {"prev_hash": None}, separators=(",", ":")).encode()
        assert facts["record"] == {
            "run_id": record["run_id"], "seq": record["seq"], "sha256": line_sha256(bare),
        }  # fmt: skip
    opened = parse_line(lines[1]).facts
    assert opened["command"] == "scan"
    assert opened["case"] == {"id": "2026-17", "item": "A1", "examiner": "J. Doe"}
    assert opened["tool"].keys() == {"version", "python", "onnxruntime"}
    assert opened["configuration"]["second_look"] == "decisive"
    assert len(opened["configuration_sha256"]) == 64
    assert f"head {line_sha256(lines[6])}:7; keep this head elsewhere" in result.stderr


def test_verify_enters_its_answers_too(command, evidence, tmp_path, monkeypatch):
    KeyRing.open(tmp_path / "keys").new()
    key = KeyReading("k0123456789", 1, "absent", None, -0.1, -1.0, None, 4.0, None, 10, None, None)
    mark = TokenMark("absent", None, -6.0, -0.1, -1.0, None, 4.0, None, (), (key,), "m@1", None, "r@1", "0" * 64)

    class Checker:
        def check(self, _audio):
            return mark

    monkeypatch.setattr(verify_module, "load_mark_checker", lambda *_a, **_k: Checker())
    path = tmp_path / "case.jsonl"
    table = tmp_path / "answers.txt"
    result = command("verify", evidence, "--json", "--jobs", 1, "-o", table, "--audit-log", path, *CASE)
    assert f"audit {line_sha256(path.read_bytes().splitlines()[2])}:3" in table.read_text()
    assert [record["audit"]["seq"] for record in records(result, "verify")] == [3, 4, 5, 6]
    assert {record["case"]["item"] for record in records(result, "verify")} == {"A1"}
    facts = [parse_line(line).facts for line in path.read_bytes().splitlines()[2:6]]
    assert [each["token_mark"] and each["token_mark"]["status"] for each in facts] == ["absent"] * 3 + [None]
    assert facts[3]["error"] is not None
    assert verified(command, path)["status"] == "intact"


def test_a_file_that_changes_meanwhile_is_told_in_the_record_and_in_the_log(scan, command, tmp_path, monkeypatch):
    sound, path = tmp_path / "sound.wav", tmp_path / "case.jsonl"
    write_wav(sound, spoken(4.0))
    enter = CaseFile.enter

    def changed(self, record, failed):
        sound.write_bytes(sound.read_bytes()[:-2] + b"??")
        return enter(self, record, failed)

    monkeypatch.setattr(CaseFile, "enter", changed)
    result = scan(sound, "-f", "jsonl", "--audit-log", path)
    (record,) = records(result)
    assert record["error"]["code"] == "changed_while_read"
    assert record["decision"]["verdict"] == "not_analysable"
    assert (record["detectors"], record["quality"]) == ([], None)
    assert record["input"]["sha256_after"] == hashlib.sha256(sound.read_bytes()).hexdigest()
    assert record["input"]["sha256_after"] != record["input"]["sha256"]
    assert result.exit_code == 3
    entry = parse_line(path.read_bytes().splitlines()[2])
    assert entry.facts["error"]["code"] == "changed_while_read"
    assert verified(command, path)["status"] == "intact"


def test_without_a_case_nothing_is_logged_or_hashed_twice(scan, evidence, tmp_path):
    (record,) = records(scan(evidence / "a.wav", "-f", "jsonl"))
    assert "audit" not in record
    assert "sha256_after" not in record["input"]
    assert not (tmp_path / "keys").exists()


# --- tampering ---------------------------------------------------------------------------------------------


def lines_of(log):
    return log.read_bytes().splitlines(keepends=True)


TAMPERINGS = {
    "edit": (lambda lines: [*lines[:3], lines[3].replace(b"no_evidence", b"synthetic"), *lines[4:]], (4, "changed")),
    "edit a space": (lambda lines: [*lines[:3], lines[3].replace(b",", b", ", 1), *lines[4:]], (4, "changed")),
    "edit the last": (lambda lines: [*lines[:-1], lines[-1].replace(b"completed", b"failed")], (10, "changed")),
    "edit a signature": (lambda lines: [*lines[:3], lines[3][:-5] + b'00"}\n', *lines[4:]], (4, "changed")),
    "delete": (lambda lines: [*lines[:3], *lines[4:]], (4, "missing")),
    "delete the first": (lambda lines: lines[1:], (1, "no_beginning")),
    "delete a run": (lambda lines: [lines[0], *lines[7:]], (2, "missing")),
    "reorder": (lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]], (4, "missing")),
    "repeat": (lambda lines: [*lines[:5], lines[3], *lines[5:]], (6, "misplaced")),
    "insert": (lambda lines: [*lines[:4], b"{}\n", *lines[4:]], (5, "not_an_entry")),
    "cut a run": (lambda lines: lines[:5], (2, "unclosed_end")),
    "cut a line": (lambda lines: [*lines[:-1], lines[-1][:40]], (10, "torn_end")),
    "cut all": (lambda lines: [], (1, "no_beginning")),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_is_found_and_its_line_named(command, log, name):
    tamper, expected = TAMPERINGS[name]
    content = b"".join(tamper(lines_of(log)))
    assert content != log.read_bytes()
    log.write_bytes(content)
    assert expected in found(command, log)
    text = command("audit", "verify", log)
    assert text.exit_code == 20
    assert f"line {expected[0]}: {expected[1]}: " in text.stdout
    assert "Traceback" not in text.output


def chained_anew(lines, key: SigningKey, start):
    """The lines from index `start` on, each with its seq and the hash of the line before, signed with `key`."""
    whole = [line.rstrip(b"\n") for line in lines[:start]]
    for line in lines[start:]:
        entry = parse_line(line.rstrip(b"\n"))
        unsigned = unsigned_line(
            Entry(len(whole) + 1, entry.time, None, line_sha256(whole[-1]), entry.key, entry.action, entry.facts)
        )
        whole.append(signed_line(unsigned, key.sign(signed_bytes(unsigned))))
    return b"\n".join(whole) + b"\n"


@pytest.mark.parametrize("forgery", ["changed", "deleted", "inserted"])
def test_a_chain_made_anew_with_another_key_is_found(command, log, tmp_path, forgery):
    thief = AuditKeys(tmp_path / "thief" / "audit").current_or_new()
    lines = lines_of(log)
    if forgery == "changed":
        lines[3] = lines[3].replace(b"no_evidence", b"synthetic")
    else:
        lines[3:4] = [] if forgery == "deleted" else [lines[3], lines[3]]
    log.write_bytes(chained_anew(lines, thief, 3))
    report = verified(command, log)
    assert (report["findings"][0]["line"], report["findings"][0]["kind"]) == (4, "changed")


def test_runs_cut_off_at_the_end_are_found_by_an_expected_head(command, log):
    lines = lines_of(log)
    head, last = json.loads(command("audit", "verify", log, "--json").stdout)["head"], line_sha256(lines[-1][:-1])
    assert head == {"seq": 10, "sha256": last}
    log.write_bytes(b"".join(lines[:7]))
    assert found(command, log) == []
    assert "--expect-head" in command("audit", "verify", log).stdout
    assert found(command, log, "--expect-head", f"{last}:10") == [(7, "cut_off")]
    assert found(command, log, "--expect-head", last) == [(7, "cut_off")]
    early = line_sha256(lines[2][:-1])
    assert found(command, log, "--expect-head", f"{early}:3") == []
    assert [note["kind"] for note in verified(command, log, "--expect-head", early)["notices"]] == ["head_not_at_end"]
    assert found(command, log, "--expect-head", f"{early}:4") == [(7, "cut_off")]


@pytest.mark.parametrize("head", ["", "abc", "0" * 63, "0" * 64 + ":", "0" * 64 + ":x", "g" * 64])
def test_a_malformed_head_is_wrong_usage(command, log, head):
    assert command("audit", "verify", log, "--expect-head", head).exit_code == 2


def test_a_log_of_another_key_is_not_trusted(command, log, tmp_path, monkeypatch):
    public_key = json.loads(command("audit", "key", "--json").stdout)["public_key"]
    monkeypatch.setenv("COVOGUARD_KEYS", str(tmp_path / "others"))
    assert command("audit", "verify", log).exit_code == 4
    command("audit", "key")
    assert found(command, log) == [(1, "foreign_key")]
    assert found(command, log, "--public-key", public_key.upper()) == []
    assert found(command, log, "--public-key", "0" * 64) == [(1, "foreign_key")]
    assert command("audit", "verify", log, "--public-key", "abc").exit_code == 2


@pytest.mark.parametrize("content", [b"RIFF\x24\0\0\0WAVE", b"\0" * 5000, b"{}\n" * 500, b"text\n", b"[" * 9000])
def test_a_wrong_file_is_told_to_be_none(command, log, tmp_path, content):
    wrong = tmp_path / "wrong"
    wrong.write_bytes(content)
    report = verified(command, wrong)
    assert report["status"] == "broken"
    assert "no_beginning" in {finding["kind"] for finding in report["findings"]}
    assert len(report["findings"]) <= 100


def test_a_missing_log_is_wrong_usage(command, log, tmp_path):
    assert command("audit", "verify", tmp_path / "none.jsonl").exit_code == 2
    assert command("audit", "show", tmp_path).exit_code == 2


def test_an_output_never_takes_the_place_of_the_log(scan, command, evidence, log):
    before = log.read_bytes()
    assert scan(evidence, "--audit-log", log, "-o", log).exit_code == 2
    assert command("audit", "export", log, "-o", log).exit_code == 2
    assert log.read_bytes() == before


# --- show, keys, export ------------------------------------------------------------------------------------


def test_show_prints_the_entries_of_a_case(command, log):
    text = command("audit", "show", log).stdout.splitlines()
    assert len(text) == 10
    assert text[1].endswith("scan: case id 2026-17, item A1, examiner J. Doe")
    only = command("audit", "show", log, "--case", "2026-17", "--item", "A1", "--json").stdout
    assert only.encode() == b"".join(lines_of(log)[1:7])
    assert command("audit", "show", log, "--case", "2026-17", "--item", "B").stdout == ""
    log.write_bytes(log.read_bytes() + b"\x1b[2Jhello\n")
    assert command("audit", "show", log).stdout.splitlines()[-1].split() == ["11", "not", "an", "entry"]


def test_rotation_goes_through_every_command(command, scan, evidence, log):
    old = json.loads(command("audit", "key", "--json").stdout)
    new = json.loads(command("audit", "rotate", "--json").stdout)
    assert new["key_id"] != old["key_id"]
    assert json.loads(command("audit", "key", "--json").stdout) == new
    scan(evidence / "a.wav", "--audit-log", log, "-q")
    for key in (old, new):
        report = verified(command, log, "--public-key", key["public_key"])
        assert report["status"] == "intact"
        assert [(note["line"], note["kind"]) for note in report["notices"]] == [(11, "key_rotated")]


def test_a_log_that_is_broken_is_not_exported(command, log, tmp_path):
    tamper, _ = TAMPERINGS["edit"]
    log.write_bytes(b"".join(tamper(lines_of(log))))
    assert command("audit", "export", log, "-o", tmp_path / "b.jsonld").exit_code == 20
    assert not (tmp_path / "b.jsonld").exists()


def all_nodes(value):
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from all_nodes(each)


def test_the_exported_graph_is_json_ld_that_holds_together(command, log, evidence, tmp_path):
    path = tmp_path / "b.jsonld"
    assert command("audit", "export", log, "-o", path).exit_code == 0
    document = json.loads(path.read_text())
    context, graph = document["@context"], document["@graph"]
    nodes = list(all_nodes(graph))
    terms = {name for node in nodes for name in node if not name.startswith("@")}
    for node in nodes:
        terms |= set([node["@type"]] if isinstance(node.get("@type"), str) else node.get("@type", []))
        terms |= {node["@id"]} if "@id" in node else set()
    assert {term.split(":", 1)[0] for term in terms} == set(context)
    made = [node["@id"] for node in nodes if "@id" in node and len(node) > 1]
    assert {node["@id"] for node in nodes if "@id" in node} == set(made)
    assert len(made) == len(set(made))
    hashes = {node["uco-types:hashValue"]["@value"] for node in nodes if node.get("@type") == "uco-types:Hash"}
    scanned = (evidence / name for name in ("a.wav", "b.wav", "d.wav"))
    assert hashes == {hashlib.sha256(each.read_bytes()).hexdigest() for each in scanned}
    by_type = {str(node["@type"]): node for node in graph}
    assert by_type["case-investigation:ProvenanceRecord"].get("case-investigation:exhibitNumber") in (None, "A1")
    assert by_type["uco-identity:Identity"]["uco-core:name"] == "J. Doe"
    classes = [node for node in nodes if node.get("@type") == "uco-analysis:ArtifactClassification"]
    verdicts = [(node["uco-analysis:class"], "uco-analysis:classificationConfidence" in node) for node in classes]
    assert verdicts == [("synthetic", True), ("no_evidence", False), ("synthetic", True), ("no_evidence", False)]
    again = command("audit", "export", log)
    assert json.loads(again.stdout) == document
    only = json.loads(command("audit", "export", log, "--case", "2026-18").stdout)["@graph"]
    assert [node["uco-core:name"] for node in only if node["@type"] == "case-investigation:Investigation"] == [
        "2026-18"
    ]
