"""The table of `verify` says all that matters in 80 columns, and hostile names stay harmless."""

import io
from dataclasses import replace

import pytest

from covoguard.core.markrecord import TokenMark
from covoguard.core.observationrecord import Examined, Observation
from covoguard.core.scanrecord import RecordError, path_facts
from covoguard.core.verifyrecord import VerifyRecord, VerifyTiming
from covoguard.core.waveformrecord import not_checked
from covoguard.reports.summary import MarkTally, mark_summary_lines
from covoguard.reports.verify_table import VerifyTableWriter


@pytest.fixture
def found(records) -> VerifyRecord:
    marked = records[-1]
    return VerifyRecord(1, marked.run_id, 0, marked.input, marked.marks.token, None, VerifyTiming(), marked.tool)


def written(*records: VerifyRecord) -> str:
    stream = io.BytesIO()
    writer = VerifyTableWriter(stream)
    for record in records:
        writer.write(record)
    writer.finish()
    return stream.getvalue().decode("utf-8")


def with_mark(record: VerifyRecord, **changes) -> VerifyRecord:
    assert isinstance(record.token_mark, TokenMark)
    return replace(record, token_mark=replace(record.token_mark, **changes))


def test_a_mark_is_told_with_its_key_place_tempo_and_payload(found):
    text = written(found)
    row, *details = text.splitlines()[1:]
    assert row.split()[:5] == ["0", "present", "-31.2", "10.0", "s"]
    flat = " ".join(" ".join(details).split())
    assert flat == (
        "token mark key k0123456789 epoch 2: 0.5 to 10.0 s, played at 1.052 times its tempo; "
        "payload: model 3, tenant 17, 2026-01-02 token mark log10 E +31.5, log10 p sharp* -33.0"
    )
    assert max(map(len, text.splitlines())) <= 80


def test_seconds_of_a_long_file_are_not_cut_off(found):
    for seconds_used, shown in ((999.9, "999.9 s"), (1812.14, "1812 s"), (3600.0, "3600 s")):
        assert shown in written(with_mark(found, seconds_used=seconds_used)).splitlines()[1]


def test_what_is_short_silent_or_broken_is_told(found):
    blank = {"keys": (), "spans": (), "log10_p": None, "log10_e": None, "log10_p_sharp": None}
    short = with_mark(found, status="absent", seconds_used=2.0, seconds_needed=6.25, **blank)
    silent = with_mark(found, status="not_checked", reason="no_speech", **blank)
    broken = replace(found, token_mark=None, error=RecordError("not_audio", "a text"))
    text = written(short, silent, broken)
    assert "would need about 6.2 s" in text
    assert "covoguard explain no_speech" in text
    assert "not_audio: a text" in text
    assert "would need" not in written(with_mark(short, seconds_used=7.0))


def test_hostile_names_and_messages_stay_on_their_line(found):
    name = "x\n[red]y[/red]\x1b[2J\u202egpj.wav"
    text = written(replace(found, input=path_facts(name), token_mark=None, error=RecordError("not_audio", name)))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[red]" in text
    assert len(text.splitlines()) <= 5


def test_the_summary_says_what_the_numbers_mean(found):
    tally = MarkTally()
    list(tally.counting([found, replace(found, token_mark=None, error=RecordError("not_audio", "a text"))]))
    text = "\n".join(mark_summary_lines(tally, 1.0))
    assert text.startswith("2 files in 1.0 s, errors 1\n")
    assert "token marks: present 1, absent 0, not_checked 0" in text
    for phrase in ("over random keys", "no evidence of human speech", "not certified", "the message may be anyone's"):
        assert phrase in text
    assert mark_summary_lines(MarkTally(), 0.0) == ["0 files in 0.0 s"]


def test_all_evidence_of_a_file_stands_below_it_with_its_error_rate(found, records):
    scored = records[0]
    seen = Observation("codec_grid", "notable", "traces of an earlier encoding", (), (), "a reading", "limits")
    unseen = not_checked(scored.marks.waveform[0].traits, "mark_not_installed", "install it")
    full = replace(
        found, waveform_marks=(unseen, *scored.marks.waveform), credentials=scored.marks.credentials,
        detectors=scored.detectors, quality=scored.quality, decision=scored.decision,
        examined=Examined(("tags", "grid"), ("pauses",), (seen,)),
    )  # fmt: skip
    text = written(full)
    assert max(map(len, text.splitlines())) <= 80
    flat = " ".join(text.split())
    for phrase in (
        "0 synthetic present -31.2",
        "why strong_artifacts, partial",
        "credentials sidecar, trusted: unchanged since it was signed; they say: captured",
        "waveform label: inconclusive; score 0.91, counts from 0.95 on",
        "false alarms at most 9.3 % of files (1 of 100 tried); keyless: anyone can put it on",
        "waveform not_checked: label (mark_not_installed)",
        "detector fake@1: log10 LR +2.00; prior 0.1 gives 0.917",
        "through mild codecs +1.50, none",
        "forensics codec_grid: traces of an earlier encoding; 2 checks looked, 1 could not",
        "would be inconclusive without captured_but_artifacts",
        "would be no_evidence with a log10 LR of at most -1",
    ):
        assert phrase in flat


def test_the_summary_counts_every_kind_of_evidence(found, records):
    scored = records[0]
    full = replace(
        found, waveform_marks=scored.marks.waveform, credentials=scored.marks.credentials, decision=scored.decision
    )
    tally = MarkTally()
    list(tally.counting([full]))
    text = "\n".join(mark_summary_lines(tally, 1.0))
    for line in ("verdicts: synthetic 1", "waveform marks, label: inconclusive 1", "credentials: sidecar 1"):
        assert line in text
    assert (tally.having["token"], tally.having["waveform"], tally.having["credentials"]) == (1, 0, 1)
