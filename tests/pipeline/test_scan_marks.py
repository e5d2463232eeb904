"""Token marks in a scan: what they do to records and verdicts, and that scans without keys stay as they were."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from marked_sound import TABLE, SpelledRecoverer, a_key, marked_tokens, plain_tokens, spelled, spelled_model
from secret_leaks import assert_no_secret
from speech_and_model import spoken, write_wav

from covoguard.core.audio import DecodeLimits
from covoguard.core.records import Evidence
from covoguard.core.scanrecord import HashChain, Marks, record_line
from covoguard.detect.policy import MarkLimits, Prior, load_policy
from covoguard.pipeline.analysis import Methods
from covoguard.pipeline.inputs import Source
from covoguard.pipeline.mark_evidence import MarkChecker
from covoguard.pipeline.redecide import redecide
from covoguard.pipeline.scan import scan
from covoguard.reports.csv_file import flat_row
from covoguard.reports.formats import FORMATS
from covoguard.reports.read import read_records
from covoguard.reports.summary import Tally, summary_lines

SCHEMA = json.loads(
    (Path(__file__).resolve().parents[2] / "reports" / "schema" / "scan-record-1.schema.json").read_text()
)
KEY = a_key(1)


class LowScorer:
    """Finds nothing, ever."""

    def score(self, audio, *, regions=None) -> Evidence:
        return Evidence("artifact", "low@1", "scored", -3.0, -3.0, model_sha256="f" * 64)


@pytest.fixture(scope="module")
def checker(tmp_path_factory):
    return MarkChecker(SpelledRecoverer(spelled_model(tmp_path_factory.mktemp("spelled"))), TABLE, [KEY, a_key(2)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scan")
    write_wav(folder / "marked.wav", spelled(marked_tokens(KEY, 75)))
    (folder / "marked-copy.wav").write_bytes((folder / "marked.wav").read_bytes())
    write_wav(folder / "plain.wav", spelled(plain_tokens(75)))
    write_wav(folder / "speech.wav", spoken(4.0))
    write_wav(folder / "silent.wav", np.zeros(32_000, np.float32))
    (folder / "text.wav").write_text("no sound")
    return folder


def scanned(folder, marks, jobs=2, policy=None):
    sources = [Source(str(path)) for path in sorted(folder.iterdir())]
    records = scan(
        sources,
        methods=Methods(LowScorer(), token_marks=marks),
        policy=policy or load_policy(),
        limits=DecodeLimits(),
        jobs=jobs,
    )
    return {Path(record.input.path).name: record for record in records}


@pytest.fixture(scope="module")
def records(folder, checker):
    return scanned(folder, checker)


def test_a_present_mark_makes_a_file_synthetic_whatever_score_and_quality_say(records):
    marked = records["marked.wav"]
    assert marked.marks.token.status == "present"
    assert marked.marks.token.log10_p < -8
    assert (marked.decision.verdict, marked.decision.reasons[0]) == ("synthetic", "token_mark")
    assert marked.quality.flags, "the sound is poor, and that did not matter"
    assert set(marked.quality.flags) <= set(marked.decision.reasons)


def test_an_absent_mark_changes_nothing(folder, records):
    without = scanned(folder, None)
    for name in ("plain.wav", "speech.wav", "silent.wav", "text.wav"):
        assert records[name].decision == without[name].decision
    assert records["plain.wav"].marks.token.status == "absent"
    assert records["silent.wav"].marks.token.reason == "no_speech"
    assert records["text.wav"].marks == Marks()


def test_without_keys_every_record_says_not_checked(folder):
    assert {record.marks for record in scanned(folder, None).values()} == {Marks(None, (), None)}


def test_copies_share_the_reading_and_threads_change_nothing(folder, checker, records):
    assert records["marked.wav"].duplicate_of == records["marked-copy.wav"].seq
    assert records["marked.wav"].marks == records["marked-copy.wav"].marks
    again = scanned(folder, checker, jobs=4)
    assert {name: record.marks for name, record in again.items()} == {n: r.marks for n, r in records.items()}
    chain = HashChain()
    assert all(chain.follow(record) for record in records.values())


def test_records_are_valid_round_trip_and_tell_no_secret(records, tmp_path):
    for record in records.values():
        jsonschema.validate(json.loads(record_line(record)), SCHEMA)
        assert_no_secret(record_line(record), KEY, *TABLE.subkeys(KEY).values())
    for name in ("jsonl", "parquet"):
        path = tmp_path / f"run.{name}"
        with path.open("wb") as stream:
            writer = FORMATS[name].writer(stream)
            for record in records.values():
                writer.write(record)
            writer.finish()
        assert list(read_records(path)) == list(records.values())


def test_redeciding_keeps_the_reading_and_follows_the_policy(records):
    same = list(redecide(records.values(), load_policy()))
    assert [record_line(each) for each in same] == [record_line(each) for each in records.values()]
    strict = replace(load_policy(), marks=MarkLimits(token_max_log10_p=-300.0))
    decided = {Path(each.input.path).name: each for each in redecide(records.values(), strict)}
    assert decided["marked.wav"].decision.verdict != "synthetic"
    assert decided["marked.wav"].marks == records["marked.wav"].marks
    old = [replace(each, marks=Marks()) for each in records.values()]
    for each in redecide(old, load_policy()):
        assert "token_mark" not in each.decision.reasons


def test_no_posterior_is_given_where_the_mark_decided(folder, checker):
    policy = replace(load_policy(), prior=Prior(0.5))
    records = scanned(folder, checker, policy=policy)
    assert records["marked.wav"].decision.posterior is None
    assert records["speech.wav"].decision.posterior is not None


def test_flat_rows_and_summaries_tell_of_marks(records):
    row = flat_row(records["marked.wav"])
    assert (row["token_mark"], row["token_mark_key_id"], row["token_mark_epoch"]) == ("present", KEY.key_id, 1)
    assert row["token_mark_log10_p"] < -8
    plain = flat_row(records["plain.wav"])
    assert (plain["token_mark"], plain["token_mark_key_id"]) == ("absent", None)
    assert flat_row(records["text.wav"])["token_mark"] is None
    tally = Tally()
    assert list(tally.counting(records.values())) == list(records.values())
    assert "token marks: present 2, absent 2, not_checked 1" in summary_lines(tally, 1.0)
