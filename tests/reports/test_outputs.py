"""A file appears under its name only when it is whole; what was done before a failure is kept."""

import errno
import io
import json
from pathlib import Path

import pytest

from covoguard.core.errors import CovoguardError, UsageError
from covoguard.reports.formats import FORMATS
from covoguard.reports.outputs import Outputs
from covoguard.reports.read import read_records
from covoguard.reports.summary import Tally, summary_lines


def interrupted_after(records, error):
    yield from records
    raise error


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_whole_run_gets_its_name_and_leaves_nothing_else(records, tmp_path, suffix):
    path = tmp_path / f"out.{suffix}"
    path.write_text("from an earlier run")
    with Outputs([path], None, FORMATS) as outputs:
        outputs.write_all(records)
        assert path.read_text() == "from an earlier run"
    assert list(read_records(path)) == records
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("bug")])
def test_after_an_interruption_the_finished_part_can_be_read(records, tmp_path, suffix, error, caplog):
    path = tmp_path / f"out.{suffix}"
    with pytest.raises(type(error)), Outputs([path], None, FORMATS) as outputs:
        outputs.write_all(interrupted_after(records[:3], error))
    assert not path.exists()
    partial = tmp_path / f"out.{suffix}.partial"
    assert list(read_records(partial)) == records[:3]
    assert "3 records are kept" in caplog.text
    assert str(partial) in caplog.text


def test_a_run_that_fails_before_its_first_record_leaves_no_file(tmp_path):
    with pytest.raises(RuntimeError), Outputs([tmp_path / "out.jsonl"], None, FORMATS) as outputs:
        outputs.write_all(interrupted_after([], RuntimeError()))
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_cannot_be_written_are_refused_before_the_scan(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for files, complaint in [
        ([tmp_path / "out.jsonl", tmp_path / "nowhere" / "out.jsonl"], "cannot be created"),
        ([tmp_path / "out.jsonl", tmp_path / "out.jsonl"], "twice"),
        ([tmp_path / "out.jsonl", tmp_path / "out.xml"], "suffix"),
        ([tmp_path / "out.jsonl", tmp_path / "folder.csv"], "not a regular file"),
    ]:
        with pytest.raises(UsageError, match=complaint):
            Outputs(files, None, FORMATS)
    assert [each.name for each in tmp_path.iterdir()] == ["folder.csv"]


def test_a_name_that_is_too_long_is_refused_before_the_scan(tmp_path):
    with pytest.raises(UsageError, match="cannot be created"):
        Outputs([tmp_path / ("x" * 300 + ".jsonl")], None, FORMATS)


def test_two_names_of_one_file_are_refused(tmp_path):
    (tmp_path / "link.jsonl").symlink_to("out.jsonl")
    (tmp_path / "folder").mkdir()
    for other in (tmp_path / "link.jsonl", tmp_path / "folder" / ".." / "out.jsonl"):
        with pytest.raises(UsageError, match="twice"):
            Outputs([tmp_path / "out.jsonl", other], None, FORMATS)


def test_a_link_stays_and_leads_to_the_results(records, tmp_path):
    link = tmp_path / "latest.jsonl"
    link.symlink_to("out.jsonl")
    with Outputs([link], None, FORMATS) as outputs:
        outputs.write_all(records)
    assert link.is_symlink()
    assert list(read_records(tmp_path / "out.jsonl")) == records


def test_a_second_run_into_the_same_file_is_refused_and_harms_nothing(records, tmp_path):
    path = tmp_path / "out.jsonl"
    with Outputs([path], None, FORMATS) as outputs:
        outputs.write_all(records)
        with pytest.raises(UsageError, match="another run"):
            Outputs([path], None, FORMATS)
    assert list(read_records(path)) == records
    with Outputs([path], None, FORMATS) as outputs:
        outputs.write_all(records[:1])
    assert list(read_records(path)) == records[:1]


@pytest.mark.parametrize("name", list(FORMATS))
def test_a_run_without_records_still_gives_a_whole_file(tmp_path, name):
    path = tmp_path / f"out{FORMATS[name].suffix}"
    with Outputs([path], None, FORMATS) as outputs:
        outputs.write_all([])
    assert path.exists()
    assert (path.stat().st_size == 0) == (name == "jsonl")


class FullDisk(io.BytesIO):
    """Takes so many bytes and no more."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def write(self, data) -> int:
        if self.tell() + len(data) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


class OutTo:
    """Standard output on a stream."""

    def __init__(self, stream) -> None:
        self.buffer = stream

    def isatty(self) -> bool:
        return False


@pytest.mark.parametrize("room", [0, 400])
@pytest.mark.parametrize("name", list(FORMATS))
def test_a_full_disk_is_a_clear_error_and_other_outputs_are_kept(records, tmp_path, name, room, monkeypatch):
    monkeypatch.setattr("sys.stdout", OutTo(FullDisk(room)))
    kept = tmp_path / "out.jsonl"
    complaint = "standard output: cannot be written: No space"
    with (
        pytest.raises(CovoguardError, match=complaint) as caught,
        Outputs([kept], FORMATS[name], FORMATS) as outputs,
    ):
        outputs.write_all(records * 400)
    assert caught.value.code == "output_error"
    assert caught.value.exit_code == 1
    assert not kept.exists()


def test_parquet_is_refused_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdout", Terminal())
    with pytest.raises(UsageError, match=r"results\.parquet"):
        Outputs([], FORMATS["parquet"], FORMATS)


def test_the_tally_counts_by_verdict_and_reason(records):
    tally = Tally()
    for record in records:
        tally.add(record)
    text = "\n".join(summary_lines(tally, 2.0))
    assert "6 files in 2.0 s (1 with the bytes of an earlier one)" in text
    assert "synthetic 3, inconclusive 0, no_evidence 0, not_analysable 3" in text
    assert "strong_artifacts 2" in text
    assert "proof" not in text
    assert summary_lines(Tally(), 0.0) == ["0 files in 0.0 s"]


def test_written_lines_are_on_disk_at_once(records, tmp_path):
    path = tmp_path / "out.jsonl"
    partial = Path(f"{path}.partial")

    def watched():
        for count, record in enumerate(records):
            assert len(partial.read_bytes().splitlines()) == count
            yield record

    with Outputs([path], None, FORMATS) as outputs:
        outputs.write_all(watched())
    assert [json.loads(line)["seq"] for line in path.read_text().splitlines()] == [0, 1, 2, 3, 4, 5]
