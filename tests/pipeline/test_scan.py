"""The scan's promises about order, threads, duplicates, failures and memory, with a scorer made here."""

import itertools
import json
import threading
from dataclasses import replace

import numpy as np
import pytest
from speech_and_model import spoken, write_wav

from covoguard.core.audio import DecodeLimits
from covoguard.core.errors import InputError, ModelMissing
from covoguard.core.records import Evidence, ScoredSegment
from covoguard.core.scanrecord import HashChain, record_line
from covoguard.detect.policy import load_policy
from covoguard.pipeline.analysis import Methods
from covoguard.pipeline.crew import LOOK_AHEAD_FILES
from covoguard.pipeline.inputs import Source
from covoguard.pipeline.redecide import redecide
from covoguard.pipeline.scan import scan

SHA = "f" * 64


class PeakScorer:
    """Loudest sample as score; remembers what it was asked, and may be told to fail."""

    name = "peak"

    def __init__(self, failure: Exception | None = None, odd_value: float | None = None) -> None:
        self.scored: list[str] = []
        self._failure = failure
        self._odd_value = odd_value

    def score(self, audio, *, regions=None) -> Evidence:
        self.scored.append(audio.sha256)
        if self._failure:
            raise self._failure
        peak = float(np.abs(audio.samples).max()) if self._odd_value is None else self._odd_value
        window = ScoredSegment(0.0, audio.duration_s, peak)
        return Evidence("artifact", "peak@1", "scored", peak, peak, None, (window,), SHA)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scan")
    speech = spoken(1.5)
    for number in range(4):
        write_wav(folder / f"{number}.wav", (0.2 + 0.2 * number) * speech)
    for number in range(3):
        (folder / f"copy-{number}.wav").write_bytes((folder / "0.wav").read_bytes())
    (folder / "text.wav").write_text("no sound")
    (folder / "text-copy.wav").write_text("no sound")
    return folder


def scanned(sources, scorer=None, jobs=2, policy=None):
    sources = [source if isinstance(source, Source) else Source(str(source)) for source in sources]
    return list(
        scan(
            sources,
            methods=Methods(scorer or PeakScorer()),
            policy=policy or load_policy(),
            limits=DecodeLimits(),
            jobs=jobs,
        )
    )


def facts(record):
    return replace(record, run_id="", timing=None, prev_hash=None)


def test_records_come_in_order_and_do_not_depend_on_the_number_of_threads(folder):
    sources = sorted(folder.iterdir())
    one, four = scanned(sources, jobs=1), scanned(sources, jobs=4)
    assert [record.input.path for record in one] == [str(path) for path in sources]
    assert [facts(record) for record in one] == [facts(record) for record in four]


@pytest.mark.parametrize("jobs", [1, 4])
def test_equal_bytes_are_scored_once_even_at_the_same_time(folder, jobs):
    scorer = PeakScorer()
    copies = [folder / name for name in ("copy-0.wav", "copy-1.wav", "0.wav", "copy-2.wav")]
    records = scanned(copies * 3, scorer, jobs)
    assert len(scorer.scored) == 1
    assert [record.duplicate_of for record in records] == [None] + [0] * 11
    assert {record.detectors for record in records} == {records[0].detectors}


def test_a_duplicate_of_a_bad_file_has_its_error_and_its_own_path(folder):
    first, second = scanned([folder / "text.wav", folder / "text-copy.wav"])
    assert first.error == second.error
    assert first.error.code == "not_audio"
    assert second.duplicate_of == 0
    assert second.input.path.endswith("text-copy.wav")
    assert "text.wav" not in first.error.message


def test_a_scorer_that_fails_costs_one_record_each_and_is_asked_again(folder):
    scorer = PeakScorer(failure=RuntimeError("no luck"))
    records = scanned([folder / "0.wav", folder / "copy-0.wav", folder / "text.wav"], scorer)
    assert [record.error.code for record in records] == ["internal_error", "internal_error", "not_audio"]
    assert records[0].error.message == "RuntimeError: no luck"
    assert records[1].duplicate_of is None
    assert len(scorer.scored) == 2
    assert all(record.decision.verdict == "not_analysable" for record in records)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_unknown_and_never_a_good_score(folder, value):
    (record,) = scanned([folder / "0.wav"], PeakScorer(odd_value=value))
    text = record_line(record)
    assert "NaN" not in text
    assert "Infinity" not in text
    assert record.decision.verdict == "not_analysable"


def test_a_missing_model_stops_the_scan(folder):
    with pytest.raises(ModelMissing, match="gone"):
        scanned([folder / "0.wav", folder / "1.wav"], PeakScorer(failure=ModelMissing("gone")))


def test_a_source_that_already_failed_is_a_record(folder):
    failed = Source("no/such/*", InputError("'no/such/*': no file matches this pattern", code="not_found"))
    record, _ = scanned([failed, folder / "0.wav"])
    assert (record.error.code, record.error.message) == ("not_found", "no file matches this pattern")


def test_a_failure_of_the_list_itself_is_raised_after_the_records_before_it(folder):
    def sources():
        yield Source(str(folder / "text.wav"))
        raise OSError("the list broke")

    records = scan(sources(), methods=Methods(PeakScorer()), policy=load_policy(), limits=DecodeLimits(), jobs=1)
    assert next(records).error.code == "not_audio"
    with pytest.raises(OSError, match="the list broke"):
        next(records)


def test_the_scan_reads_ahead_by_a_bounded_number_of_files(folder):
    taken = itertools.count()
    last = 0

    def sources():
        nonlocal last
        while True:
            last = next(taken)
            yield Source(str(folder / f"absent-{last}.wav"))

    records = scan(sources(), methods=Methods(PeakScorer()), policy=load_policy(), limits=DecodeLimits(), jobs=2)
    for expected in range(2 * LOOK_AHEAD_FILES):
        assert next(records).seq == expected
        assert last <= expected + LOOK_AHEAD_FILES + 1
    records.close()


def test_a_record_comes_out_while_the_list_waits_for_more(folder):
    more = threading.Event()

    def sources():
        yield Source(str(folder / "0.wav"))
        more.wait()
        yield Source(str(folder / "1.wav"))

    records = scan(sources(), methods=Methods(PeakScorer()), policy=load_policy(), limits=DecodeLimits(), jobs=1)
    assert next(records).input.path.endswith("0.wav")
    more.set()
    assert next(records).input.path.endswith("1.wav")
    assert list(records) == []


def test_closing_early_ends_the_threads(folder):
    before = set(threading.enumerate())
    records = scan(
        (Source(str(path)) for path in [*folder.iterdir()] * 50),
        methods=Methods(PeakScorer()), policy=load_policy(), limits=DecodeLimits(), jobs=3,
    )  # fmt: skip
    next(records)
    records.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=60)
        assert not thread.is_alive()


def test_the_chain_links_the_records_of_a_run(folder):
    chain = HashChain()
    records = scanned(sorted(folder.iterdir()))
    assert [chain.follow(record) for record in records] == [True] * len(records)


# --- redecide ----------------------------------------------------------------------------------------------


def test_the_same_policy_gives_the_same_records_to_the_byte(folder):
    records = scanned([*sorted(folder.iterdir()), folder / "absent.wav"])
    again = list(redecide(records, load_policy()))
    assert [record_line(record) for record in again] == [record_line(record) for record in records]


def test_another_policy_changes_the_decision_and_nothing_that_was_measured(folder):
    records = scanned(sorted(folder.iterdir()))
    policy = load_policy()
    lenient = replace(
        policy,
        name="lenient",
        version=1,
        sha256="0" * 64,
        thresholds=replace(policy.thresholds, synthetic_min_log10_lr=0.05, no_evidence_max_log10_lr=0.01),
        quality=replace(policy.quality, min_speech_s=0.3, min_snr_db=-100.0, min_bandwidth_hz=0.0),
    )
    decided = list(redecide(records, lenient))
    assert decided != records
    for old, new in zip(records, decided, strict=True):
        assert new.decision.policy.id == "lenient@1"
        flags = new.quality and replace(new.quality, flags=old.quality.flags)
        assert replace(new, decision=old.decision, quality=flags, prev_hash=old.prev_hash) == old
    assert [facts(each) for each in decided] == [
        facts(each) for each in scanned(sorted(folder.iterdir()), policy=lenient)
    ]
    back = list(redecide(decided, policy))
    assert [record_line(record) for record in back] == [record_line(record) for record in records]


def test_a_broken_chain_is_told_once(folder, caplog):
    records = scanned(sorted(folder.iterdir()))
    changed = [records[0], *records[2:4], *records[5:]]
    list(redecide(changed, load_policy()))
    assert [message.count("does not follow") for message in caplog.messages] == [1]
    caplog.clear()
    list(redecide(records, load_policy()))
    assert caplog.messages == []


def test_lines_of_a_run_are_plain_json(folder):
    for record in scanned(sorted(folder.iterdir())):
        assert json.loads(record_line(record))["schema_version"] == 1
