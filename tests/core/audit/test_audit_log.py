"""An audit log loses no finished entry, has one writer at a time, and hides nothing that happened to it."""

import base64
import copy
import errno
import json
import os
import pickle
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from secret_leaks import forms_of

import covoguard.core.audit.log as log_module
from covoguard.core.audit.entry import Entry, parse_line, signed_line, split_line, unsigned_line
from covoguard.core.audit.keys import AuditKeys, SigningKey, is_signed_by, key_id_of
from covoguard.core.audit.log import AuditLog
from covoguard.core.audit.verify import verify_log
from covoguard.core.errors import CovoguardError, IntegrityError, KeyMissing, UsageError


@pytest.fixture
def keys(tmp_path):
    return AuditKeys(tmp_path / "keys" / "audit")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "case.jsonl"


def write_run(path, keys, count=3):
    with AuditLog(path, keys) as log, log.run({"command": "test"}):
        return [log.append("file", {"number": number}) for number in range(count)]


def checked(path, keys, **options):
    return verify_log(path, [key.public_key for key in keys.all()], **options)


def kinds(report):
    return [(finding.line, finding.kind) for finding in report.findings]


# --- entries -----------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), json_values))
def test_any_facts_are_one_line_of_ascii_that_reads_back(facts):
    entry = Entry(7, "2026-01-01T00:00:00.000000Z", None, "0" * 64, "a0", "file", facts)
    line = signed_line(unsigned_line(entry), bytes(64))
    assert line.isascii()
    assert b"\n" not in line
    assert parse_line(line) == entry
    assert split_line(line) == (unsigned_line(entry), bytes(64))


@pytest.mark.parametrize(
    "line", [b"", b"{}", b"hello", b'{"v":1}', b"\xff" * 300, b"[" * 5000, b'","sig":"' + b"0" * 128 + b'"}']
)
def test_what_is_no_entry_is_refused(line):
    with pytest.raises(ValueError, match="it "):
        parse_line(line)


# --- the chain ---------------------------------------------------------------------------------------------


def test_runs_one_after_another_continue_one_chain(path, keys):
    heads = [head for _ in range(3) for head in write_run(path, keys)]
    report = checked(path, keys)
    assert (report.status, report.runs, report.lines) == ("intact", 3, 1 + 3 * 5)
    assert [head.seq for head in heads] == [3, 4, 5, 8, 9, 10, 13, 14, 15]
    entries = [parse_line(line) for line in path.read_bytes().splitlines()]
    assert [entry.seq for entry in entries] == list(range(1, 17))
    assert entries[-1].facts == {"outcome": "completed", "opened": 12, "entries": 3}
    for head in heads:
        assert checked(path, keys, expected_head=str(head)).status == "intact"


def test_the_log_and_its_key_are_readable_by_their_owner_alone(path, keys):
    write_run(path, keys)
    (key,) = keys.all()
    modes = {each: stat.S_IMODE(each.stat().st_mode) for each in (path, keys.path_of(key), keys.folder)}
    assert modes == {path: 0o600, keys.path_of(key): 0o600, keys.folder: 0o700}
    assert stat.S_IMODE(keys.folder.parent.stat().st_mode) == 0o700


def test_a_run_that_fails_or_is_interrupted_says_so(path, keys):
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), AuditLog(path, keys) as log, log.run({}):
            raise error
    outcomes = [json.loads(line)["facts"].get("outcome") for line in path.read_bytes().splitlines()]
    assert outcomes == [None, None, "failed", None, "interrupted"]
    assert checked(path, keys).status == "intact"


def test_ten_thousand_entries_verify(path, keys, monkeypatch):
    monkeypatch.setattr(log_module.os, "fsync", lambda descriptor: None)
    write_run(path, keys, 10_000)
    report = checked(path, keys)
    assert (report.status, report.lines) == ("intact", 10_003)


def test_a_clock_that_goes_back_is_noted_in_the_entry(path, keys, monkeypatch, caplog):
    times = iter(["2026-03-01T12:00:00.000000Z", "2026-03-01T12:00:01.000000Z", "2026-03-01T11:59:59.500000Z"])
    monkeypatch.setattr(log_module, "utc_now", lambda: next(times, "2026-03-01T12:00:02.000000Z"))
    write_run(path, keys)
    entries = [parse_line(line) for line in path.read_bytes().splitlines()]
    back = [entry.clock_back_s for entry in entries]
    assert [each for each in back if each is not None] == [1.5]
    assert "the clock has gone back by 1.500 s" in caplog.text
    report = checked(path, keys)
    assert report.status == "intact"
    assert [(note.line, note.kind) for note in report.notices] == [(back.index(1.5) + 1, "clock_back")]


# --- crashes, and writers in each other's way -------------------------------------------------------------------

APPEND_FOREVER = """
import sys
from pathlib import Path
from covoguard.core.audit.keys import AuditKeys
from covoguard.core.audit.log import AuditLog
with AuditLog(Path(sys.argv[1]), AuditKeys(Path(sys.argv[2]))) as log, log.run({}):
    while True:
        print(log.append("file", {"padding": "x" * 5000}), flush=True)
"""


def test_kill_9_while_appending_loses_no_finished_entry(path, keys):
    command = [sys.executable, "-c", APPEND_FOREVER, str(path), str(keys.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [process.stdout.readline().strip() for _ in range(20)]
        with pytest.raises(UsageError, match="another run is writing this log"):
            AuditLog(path, keys)
        process.send_signal(signal.SIGKILL)
        told += [line.strip() for line in process.stdout if line.endswith("\n")]
    for head in (told[0], told[-1]):
        report = checked(path, keys, expected_head=head)
        assert report.status == "unclosed"
        assert {kind for _, kind in kinds(report)} <= {"unclosed_end", "torn_end"}
    write_run(path, keys)
    report = checked(path, keys, expected_head=told[-1])
    assert report.status == "intact"
    assert "unclosed_run" in [note.kind for note in report.notices]


@pytest.mark.parametrize("kept", [1, 12, 40, 200])
def test_half_an_entry_is_kept_aside_and_told(path, keys, kept, caplog):
    write_run(path, keys)
    whole = path.read_bytes()
    torn = whole.splitlines()[-1][:kept]
    path.write_bytes(whole + torn)
    assert kinds(checked(path, keys)) == [(7, "torn_end")]
    assert checked(path, keys).status == "unclosed"
    write_run(path, keys)
    (aside,) = path.parent.glob("case.jsonl.torn-*")
    assert aside.read_bytes() == torn
    assert path.read_bytes().startswith(whole)
    assert aside.name in caplog.text
    report = checked(path, keys)
    assert report.status == "intact"
    assert [(note.line, note.kind) for note in report.notices] == [(7, "torn_end_kept")]


@pytest.mark.parametrize("content", [b"my notes", b"my notes\nmore", b"RIFF\0\0", b'{"a":1}\n', b'{"v":1,"seq":1}\n{'])
def test_another_file_named_by_mistake_keeps_every_byte(path, keys, content):
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"case\.jsonl: "):
        AuditLog(path, keys)
    assert path.read_bytes() == content
    assert set(os.listdir(path.parent)) <= {"case.jsonl", "keys"}


def test_a_full_disk_leaves_nothing_of_the_entry(path, keys, monkeypatch):
    write_run(path, keys)
    before = path.read_bytes()
    written = []

    def full(descriptor, content):
        if written:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(os.pwrite(descriptor, bytes(content[:50]), len(before)))
        return written[0]

    with AuditLog(path, keys) as log:
        monkeypatch.setattr(log_module.os, "write", full)
        with pytest.raises(CovoguardError, match="No space left") as caught:
            log.append("file", {})
        monkeypatch.undo()
        assert caught.value.code == "output_error"
        assert path.read_bytes() == before
        with log.run({}):
            pass
    assert checked(path, keys).status == "intact"


@pytest.mark.parametrize("where", ["file/case.jsonl", "folder", "no/such/case.jsonl"])
def test_a_place_that_cannot_be_written_is_refused_in_words(tmp_path, keys, where):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="cannot be written as an audit log"):
        AuditLog(tmp_path / where, keys)


def test_a_read_only_folder_is_refused_in_words(path, keys, monkeypatch):
    def read_only(*_arguments):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(log_module.os, "open", read_only)
    with pytest.raises(UsageError, match="Read-only file system"):
        AuditLog(path, keys)


# --- keys --------------------------------------------------------------------------------------------------


def test_the_log_of_another_key_is_neither_continued_nor_trusted(path, keys, tmp_path):
    write_run(path, keys)
    before = path.read_bytes()
    others = AuditKeys(tmp_path / "others" / "audit")
    with pytest.raises(KeyMissing, match="which is not in"):
        write_run(path, others)
    assert path.read_bytes() == before
    assert kinds(checked(path, others)) == [(1, "foreign_key")]


def test_a_log_whose_end_was_changed_is_not_continued(path, keys):
    write_run(path, keys)
    path.write_bytes(path.read_bytes().replace(b"completed", b"complexed"))
    with pytest.raises(IntegrityError, match="not as its key signed it"):
        write_run(path, keys)


def test_rotation_is_an_entry_that_the_old_key_signs(path, keys):
    write_run(path, keys)
    old = keys.current()
    new = keys.rotate()
    write_run(path, keys)
    entries = [parse_line(line) for line in path.read_bytes().splitlines()]
    assert [entry.key for entry in entries if entry.action in ("begin", "rotate", "close")] == [
        old.key_id, old.key_id, old.key_id, new.key_id,
    ]  # fmt: skip
    for trusted in (old, new):
        report = verify_log(path, [trusted.public_key])
        assert (report.status, report.signing_keys) == ("intact", (old.public_key, new.public_key))


def test_nobody_can_pass_a_log_on_to_a_key_of_their_own(path, keys, tmp_path):
    write_run(path, keys)
    thief = AuditKeys(tmp_path / "thief" / "audit").current_or_new()
    lines = path.read_bytes().splitlines()
    for signer in (keys.current().key_id, thief.key_id):
        facts = {"key_id": thief.key_id, "public_key": thief.public_key}
        unsigned = unsigned_line(
            Entry(7, "2030-01-01T00:00:00Z", None, log_module.line_sha256(lines[-1]), signer, "rotate", facts)
        )
        forged = signed_line(unsigned, thief.sign(b"covoguard-audit/v1\n" + unsigned))
        path.write_bytes(b"\n".join([*lines, forged, b""]))
        report = checked(path, keys)
        assert report.status == "broken"
        assert {line for line, _ in kinds(report)} == {7}


def test_a_key_never_shows_its_secret(keys, tmp_path):
    key = keys.current_or_new()
    secret = json.loads(keys.path_of(key).read_text())["secret"]
    raw = base64.b64decode(secret)
    shown = f"{key!r} {key} {key.key_id} {key.public_key} {key.created_utc}".encode()
    assert not [form for form, shape in forms_of(raw).items() if shape in shown]
    for hand_on in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="neither pickled nor copied"):
            hand_on(key)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"secret": 1}', b"\xff\xfe", b'{"covoguard_audit_key": 1, "secret": "AA=="}']
)
def test_a_damaged_key_file_is_refused_without_quoting_it(keys, content):
    key = keys.current_or_new()
    keys.path_of(key).write_bytes(content)
    with pytest.raises(IntegrityError, match="not a whole audit key") as caught:
        keys.current()
    assert caught.value.__context__ is None


def test_a_key_that_others_may_read_is_refused(keys):
    key = keys.current_or_new()
    keys.path_of(key).chmod(0o644)
    with pytest.raises(KeyMissing, match="chmod 600"):
        keys.current()


def test_the_first_key_is_made_once(keys):
    assert keys.current() is None
    first = keys.current_or_new()
    assert keys.current_or_new().key_id == first.key_id == key_id_of(first.public_key)
    assert [key.key_id for key in keys.all()] == [first.key_id]
    assert is_signed_by(first.public_key, b"said", SigningKey.sign(first, b"said"))
    assert not is_signed_by(first.public_key, b"else", first.sign(b"said"))
    assert not is_signed_by("no key", b"said", first.sign(b"said"))


def test_a_missing_log_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        verify_log(Path(tmp_path / "none"), [])
