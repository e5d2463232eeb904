"""A file that is not the one that was examined, when it is hashed again, is told and never passes for it."""

import hashlib
import os
from dataclasses import replace

import pytest

from covoguard.core.scanrecord import Case, RecordError, Tool, path_facts
from covoguard.core.verifyrecord import VerifyRecord, VerifyTiming
from covoguard.pipeline.case import CaseFile, open_case

CASE = Case("2026-17", "A1", "J. Doe")


def failed(record, error):
    return replace(record, error=error)


def record_of(path, content):
    facts = replace(path_facts(str(path)), sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
    return VerifyRecord(1, "run", 0, facts, None, None, VerifyTiming(), Tool("0", "3", None))


@pytest.mark.parametrize("name", ["plain.wav", "b\udcffd.wav"])
def test_a_file_that_stayed_as_it_was_has_its_second_hash(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"sound")
    entered = CaseFile(CASE, None).enter(record_of(path, b"sound"), failed)
    assert entered.input.sha256_after == entered.input.sha256
    assert (entered.case, entered.error, entered.audit) == (CASE, None, None)


def edit_keeping_its_times(path):
    status = path.stat()
    path.write_bytes(b"other")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replace_by_another(path):
    (path.parent / "other").write_bytes(b"another file")
    os.replace(path.parent / "other", path)


@pytest.mark.parametrize("change", [edit_keeping_its_times, replace_by_another, os.unlink])
def test_a_file_that_changed_is_told(tmp_path, change):
    path = tmp_path / "sound.wav"
    path.write_bytes(b"sound")
    record = record_of(path, b"sound")
    change(path)
    entered = CaseFile(CASE, None).enter(record, failed)
    assert entered.error.code == "changed_while_read"
    assert entered.input.sha256_after != entered.input.sha256


@pytest.mark.parametrize("facts", [path_facts("-"), path_facts("never-opened.wav")])
def test_what_has_no_path_or_no_hash_is_not_hashed_again(facts):
    record = replace(record_of("-", b"sound"), input=facts, error=RecordError("not_found", "x"))
    assert CaseFile(CASE, None).enter(record, failed).input == facts


def test_without_case_and_log_there_is_no_case_file():
    with open_case(None, None, command="scan", configuration={}) as case_file:
        assert case_file is None
