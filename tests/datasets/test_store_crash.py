"""A writer that is killed at any system call, or meets a full disk, leaves every whole clip and nothing else."""

import os
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest

from covoguard.core.audio import Audio
from covoguard.core.errors import CovoguardError
from covoguard.datasets.store import MANIFEST_NAME, Store, StoredClip, StoreRow, StoreWriter
from covoguard.datasets.store.journal import JournaledFile

CLIPS = 3
WRITER = """
import os, sys
import h5py, numpy as np
from pathlib import Path
from covoguard.core.records import Audio
from covoguard.datasets.store import StoredClip, StoreRow, StoreWriter

def add_clips(folder, first, count):
    with StoreWriter.open(folder) as writer:
        for number in range(first, first + count):
            samples = (np.random.default_rng(number).integers(-9999, 9999, 25_000) / 32768).astype(np.float32)
            ids = np.full(number + 1, number, np.int32)
            writer.add(StoredClip(StoreRow(f"clip{number}", "spoof", generator="g"), Audio(samples, 16_000), ids))
            print(number, flush=True)
"""
KILLED_IN_EVERY_CALL = (
    WRITER
    + """
import shutil
base = Path(sys.argv[1])
calls = 0

def dying(name, real, at):
    def call(*arguments, **options):
        global calls
        calls += 1
        if calls == at:
            if name == "pwrite":  # half of the bytes reach the file
                descriptor, content, place = arguments
                real(descriptor, memoryview(content)[: len(content) // 2], place)
            os._exit(9)
        return None if name == "fsync" else real(*arguments, **options)  # no power fails here
    return call

add_clips(base / "begun", 0, 1)
at = 0
while True:
    at += 1
    folder = base / f"killed{at}"
    shutil.copytree(base / "begun", folder)
    child = os.fork()
    if child == 0:
        with (base / f"killed{at}.done").open("w") as log:
            for name in ("pwrite", "fsync", "ftruncate", "unlink", "replace"):
                setattr(os, name, dying(name, getattr(os, name), at))
            sys.stdout = log
            add_clips(folder, 1, 1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) == 0:
        break
"""
)


def written(number):
    return (np.random.default_rng(number).integers(-9999, 9999, 25_000) / 32768).astype(np.float32)


def assert_holds(folder, count):
    with Store(folder) as store:
        assert [row.clip_id for row in store.rows()] == [f"clip{number}" for number in range(count)]
        for number in range(count):
            assert np.array_equal(store.audio(number).samples, written(number))
            assert np.array_equal(store.token_ids(number), np.full(number + 1, number))
        assert list(store.verify()) == []


def run(script, *arguments):
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True, check=True
    )


def test_killed_in_any_system_call_it_leaves_whole_clips_and_goes_on(tmp_path, monkeypatch):
    run(KILLED_IN_EVERY_CALL, tmp_path)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # no power fails here
    folders = list(tmp_path.glob("killed*[0-9]"))
    assert len(folders) > 10, "the sweep itself must work"
    counts = set()
    for folder in folders:
        reported = len(folder.with_suffix(".done").read_text().split())
        with Store(folder) as store:
            count = len(store)
        assert 1 + reported <= count <= 2 + reported, "what was reported is there, and at most the next one"
        assert_holds(folder, count)
        counts.add(count)
        with StoreWriter.open(folder) as writer:
            for number in range(count, CLIPS):
                row = StoreRow(f"clip{number}", "spoof", generator="g")
                writer.add(StoredClip(row, Audio(written(number), 16_000), np.full(number + 1, number, np.int32)))
        assert_holds(folder, CLIPS)
        assert sorted(path.name for path in folder.iterdir()) == [".lock", MANIFEST_NAME, "shard-00000.h5"]
        with h5py.File(folder / "shard-00000.h5") as raw:  # and any tool reads it
            assert len(raw["clips/label"]) == CLIPS
    assert counts == {1, 2}


def test_killed_from_outside_it_has_all_that_it_reported(tmp_path):
    script = WRITER + "add_clips(Path(sys.argv[1]), 0, 10_000)"
    command = [sys.executable, "-c", script, str(tmp_path / "store")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        for _ in range(3):
            last = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        last = max([last, *map(int, writer.stdout.read().split())])
    with Store(tmp_path / "store") as store:
        assert len(store) in (last + 1, last + 2)
        count = len(store)
    assert_holds(tmp_path / "store", count)


def test_a_disk_that_fills_up_stops_the_writer_and_keeps_what_was_added(tmp_path):
    full = (
        WRITER
        + """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
from covoguard.core.errors import CovoguardError
try:
    add_clips(Path(sys.argv[1]), 0, 100)
except CovoguardError as error:
    print(error.code, error.message)
"""
    )
    *numbers, said = run(full, tmp_path / "store", 400_000).stdout.splitlines()
    assert said.startswith("output_error ")
    assert "make room" in said
    assert len(numbers) > 2
    assert_holds(tmp_path / "store", len(numbers))
    assert (tmp_path / "store" / "shard-00000.h5").stat().st_size < 400_000


@pytest.mark.parametrize("failing", ["pwrite", "fsync"])
def test_any_failed_call_is_an_error_in_words_and_the_next_run_goes_on(tmp_path, monkeypatch, failing):
    real, seen = getattr(os, failing), set()
    for at in range(1, 12):
        folder, calls = tmp_path / str(at), iter(range(1, 1000))

        def full(*arguments, at=at, calls=calls):
            if next(calls) == at:
                raise OSError(28, "No space left on device")
            return real(*arguments)

        with StoreWriter.open(folder) as writer:
            writer.add(StoredClip(StoreRow("clip0", "spoof"), Audio(written(0), 16_000), np.zeros(1, np.int32)))
            with monkeypatch.context() as patch:
                patch.setattr(os, failing, full)
                code = None
                try:
                    writer.add(StoredClip(StoreRow("clip1", "spoof"), Audio(written(1), 16_000), np.ones(2, np.int32)))
                except CovoguardError as error:
                    code = error.code
        with Store(folder) as store:
            count = len(store)
        assert (code, count) in ((None, 2), ("output_error", 1), ("output_error", 2))
        assert_holds(folder, count)
        seen.add((code, count))
    assert len(seen) > 1, "the calls must fail at places that matter"


def test_an_interruption_waits_for_the_end_of_a_commit(tmp_path, monkeypatch):
    real, interrupted = os.pwrite, []

    def pwrite(*arguments):
        interrupted.append(signal.raise_signal(signal.SIGINT))
        return real(*arguments)

    monkeypatch.setattr(os, "pwrite", pwrite)
    clip = StoredClip(StoreRow("clip0", "spoof"), Audio(written(0), 16_000), np.zeros(1, np.int32))
    with pytest.raises(KeyboardInterrupt), StoreWriter.open(tmp_path) as writer:
        writer.add(clip)
    assert interrupted
    assert_holds(tmp_path, 1)


def test_a_journal_that_is_not_whole_is_none(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"a" * 10_000)
    file = JournaledFile(path)
    file.seek(5000)
    file.write(b"b" * 6000)
    assert file.read_at(4999, 3) == b"abb"
    assert path.read_bytes() == b"a" * 10_000, "nothing before the commit, where it was"
    (tmp_path / "file.journal").write_bytes(b"covojrn1 torn")
    file.close()
    again = JournaledFile(path)
    assert again.read_at(0, 20_000) == b"a" * 10_000
    again.seek(5000)
    again.write(b"c" * 6000)
    again.commit()
    again.close()
    assert path.read_bytes() == b"a" * 5000 + b"c" * 6000
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
