"""The store: what goes in comes out, whoever else reads or breaks it."""

import dataclasses
import hashlib
import os

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest

from covoguard.core.cliprecord import ClipMark
from covoguard.core.errors import InputError, IntegrityError, UsageError
from covoguard.core.records import Audio, Recipe, Row
from covoguard.datasets.store import (
    MANIFEST_NAME,
    Store,
    StoredClip,
    StoreRow,
    StoreWriter,
    hash_of_samples,
    hash_of_text,
    read_manifest,
    summarize,
)

RECIPE = Recipe("model@1", "ab" * 32, 7, (("temperature", 0.5), ("top_k", 5), ("how", "é")), "kgw", "key1")
MARK = ClipMark("kgw", "key1", 2, "cd" * 32, (1, 42, 20_000))


def sound(seed, count=3000, rate_hz=16_000):
    steps = np.random.default_rng(seed).integers(-32768, 32768, count)
    return Audio((steps / 32768).astype(np.float32), rate_hz)


def clip(number, *, count=3000, ids=None, **fields):
    row = StoreRow(f"clip{number}", fields.pop("label", "spoof"), **fields)
    return StoredClip(row, sound(number, count), ids)


def filled(folder, count=5, **options):
    with StoreWriter.open(folder, **options) as writer:
        for number in range(count):
            ids = np.arange(number * 10, dtype=np.int32) if number % 2 else None
            writer.add(clip(number, count=1000 + 40_000 * number, ids=ids))
    return folder


def test_every_field_comes_back(tmp_path):
    row = StoreRow(
        "a-1.b", "spoof", generator="tts é", generator_version="2", family="F", kind="tts", speaker="Ann, B",
        source="s", licence="CC0", split="train", language="el", text_sha256=hash_of_text("Hi  there"), recipe=RECIPE,
        mark=MARK, degradations=("mp3", "room"), consent_ref="C-1", purpose="tests", original="x/y.wav",
        file_sha256="ef" * 32, token_rate_hz=25, codebook_size=64,
    )  # fmt: skip
    assert {name for name, value in dataclasses.asdict(row).items() if value in (None, ())} == {
        "samples_sha256", "rate_hz", "sample_count", "token_count",
    }  # fmt: skip
    ids = np.array([5, 0, 63], np.int32)
    with StoreWriter.open(tmp_path / "store") as writer:
        written = writer.add(StoredClip(row, sound(1, rate_hz=8000), ids))
    with Store(tmp_path / "store") as store:
        back = store.clip(store.index("a-1.b"))
    digest = hashlib.sha256(sound(1).samples.tobytes()).hexdigest()
    assert back.row == written
    assert written == dataclasses.replace(row, samples_sha256=digest, rate_hz=8000, sample_count=3000, token_count=3)
    assert np.array_equal(back.token_ids, ids)
    assert np.array_equal(back.audio.samples, sound(1).samples)
    assert back.audio.rate_hz == 8000


def test_random_access_sequential_read_and_raw_hdf5_agree_over_shards_and_chunks(tmp_path):
    folder = filled(tmp_path / "store", 5, shard_bytes=150_000)
    assert len(list(folder.glob("shard-*.h5"))) == 3
    with Store(folder) as store:
        in_order = list(store.clips())
        assert [each.row.clip_id for each in in_order] == [f"clip{number}" for number in range(5)]
        for number in (4, 0, 3, 1, 2):
            expected = sound(number, 1000 + 40_000 * number).samples
            assert np.array_equal(store.audio(store.index(f"clip{number}")).samples, expected)
            assert np.array_equal(in_order[number].audio.samples, expected)
            ids = store.token_ids(number)
            assert (ids is None) == (number % 2 == 0)
            assert ids is None or np.array_equal(ids, np.arange(number * 10))
            name, _, place = store.path(number).partition("#")
            with h5py.File(folder / name) as raw:
                first = raw["clips/first_sample"][int(place)]
                kept = raw["samples"][first : first + raw["clips/sample_count"][int(place)]]
            assert np.array_equal(kept / 32768, expected)
        assert list(store.verify()) == []


def test_float32_is_kept_bit_for_bit_and_the_same_sound_has_the_same_hash_in_both_types(tmp_path):
    fine = Audio(np.array([1e-7, 0.3, -1.0], np.float32), 16_000)
    steps = sound(3)
    hashes = {}
    for kind in ("float32", "int16"):
        with StoreWriter.open(tmp_path / kind, sample_type=kind) as writer:
            writer.add(StoredClip(StoreRow("fine", "bonafide"), fine))
            hashes[kind] = writer.add(StoredClip(StoreRow("steps", "bonafide"), steps)).samples_sha256
    assert hashes["float32"] == hashes["int16"] == hash_of_samples(steps.samples)
    with Store(tmp_path / "float32") as store:
        assert np.array_equal(store.audio(0).samples, fine.samples)
    with Store(tmp_path / "int16") as store:
        assert np.abs(store.audio(0).samples - fine.samples).max() <= 0.5 / 32768
        assert list(store.verify()) == []


def test_a_reader_keeps_its_view_while_a_writer_adds(tmp_path):
    folder = filled(tmp_path / "store", 3)
    with Store(folder) as store, StoreWriter.open(folder) as writer:
        for number in range(3, 40):
            writer.add(clip(number, count=5000))
            assert np.array_equal(store.audio(2).samples, sound(2, 81_000).samples)
        assert len(store) == 3
        with Store(folder) as later:
            assert len(later) == 40
            assert list(later.verify()) == []


def test_the_manifest_says_what_the_store_says_and_is_gone_while_it_would_lack_clips(tmp_path):
    folder = filled(tmp_path / "store", 3)
    with Store(folder) as store:
        rows = list(store.records())
    assert read_manifest(folder / MANIFEST_NAME) == rows
    assert rows[1].path == "shard-00000.h5#1"
    assert isinstance(rows[1], Row)
    assert pq.read_table(folder / MANIFEST_NAME).column("token_count").to_pylist() == [None, 10, None]
    with StoreWriter.open(folder) as writer:
        assert (folder / MANIFEST_NAME).exists()
        writer.add(clip(9))
        assert not (folder / MANIFEST_NAME).exists()
    assert len(read_manifest(folder / MANIFEST_NAME)) == 4
    (folder / MANIFEST_NAME).write_bytes(b"PAR1")
    with pytest.raises(IntegrityError, match=r"manifest\.parquet: cannot be read"):
        read_manifest(folder / MANIFEST_NAME)


def test_rows_go_to_records_and_back():
    row = StoreRow("a", "spoof", generator="g", split="dev", recipe=RECIPE, text_sha256=hash_of_text("a b"))
    assert StoreRow.from_row(row.to_row("shard-00000.h5#0")) == row
    said = StoreRow.from_row(Row("a", "a.wav", "spoof", text=" A  B "))
    assert said.text_sha256 == row.text_sha256


def test_one_writer_at_a_time_and_its_lock_ends_with_it(tmp_path):
    with StoreWriter.open(tmp_path / "store") as writer:
        writer.add(clip(1))
        with pytest.raises(UsageError, match="another run is writing"), StoreWriter.open(tmp_path / "store"):
            pass
    with StoreWriter.open(tmp_path / "store") as writer:
        assert writer.has(hash_of_samples(sound(1).samples))


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (StoredClip(StoreRow("../x", "spoof"), sound(1)), UsageError),
        (clip(1, split="a/b"), UsageError),
        (clip(0), UsageError),
        (StoredClip(StoreRow("x", "spoof"), Audio(np.zeros(0, np.float32), 16_000)), ValueError),
        (StoredClip(StoreRow("x", "spoof"), Audio(np.full(9, np.nan, np.float32), 16_000)), ValueError),
        (StoredClip(StoreRow("x", "spoof"), Audio(np.zeros((2, 9), np.float32), 16_000)), ValueError),
    ],
)
def test_a_bad_clip_is_refused_with_its_batch_and_leaves_the_store_as_it_was(tmp_path, bad, error):
    with StoreWriter.open(tmp_path / "store") as writer:
        writer.add(clip(0))
        with pytest.raises(error):
            writer.add_all([clip(5), bad])
        writer.add(clip(2))
    with Store(tmp_path / "store") as store:
        assert [row.clip_id for row in store.rows()] == ["clip0", "clip2"]


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"no store \('notes\.txt' is there\)"), StoreWriter.open(tmp_path):
        pass
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(UsageError, match="holds no shard"):
        Store.existing(tmp_path)
    with pytest.raises(InputError, match="check the path"):
        Store(tmp_path / "nowhere")


def test_changed_samples_are_found(tmp_path):
    folder = filled(tmp_path / "store", 3)
    with h5py.File(folder / "shard-00000.h5", "r+") as raw:
        raw["samples"][raw["clips/first_sample"][1] + 5] ^= 1
    with Store(folder) as store:
        assert list(store.verify()) == ["shard-00000.h5#1"]


def truncate(path):
    os.truncate(path, path.stat().st_size // 3)


def overwrite(path):
    path.write_bytes(b"no hdf5 " * 100)


def other_format(path):
    with h5py.File(path, "w") as raw:
        raw["x"] = 1


def newer(path):
    with h5py.File(path, "r+") as raw:
        raw.attrs["schema_version"] = 99


def without_column(path):
    with h5py.File(path, "r+") as raw:
        del raw["clips/label"]


def short_column(path):
    with h5py.File(path, "r+") as raw:
        raw["clips/label"].resize((1,))


def misplaced(path):
    with h5py.File(path, "r+") as raw:
        raw["clips/first_sample"][1] += 1


def without_rate(path):
    with h5py.File(path, "r+") as raw:
        raw["clips/rate_hz"][1] = -1


@pytest.mark.parametrize(
    "harm", [truncate, overwrite, other_format, newer, without_column, short_column, misplaced, without_rate]
)
def test_a_damaged_shard_is_told_by_name_with_what_to_do(tmp_path, harm):
    folder = filled(tmp_path / "store", 3)
    harm(folder / "shard-00000.h5")
    with pytest.raises(IntegrityError, match=r"shard-00000\.h5: damaged.*; put a copy of it in its place"):
        Store(folder)
    with pytest.raises(IntegrityError, match=r"shard-00000\.h5"), StoreWriter.open(folder):
        pass


def test_a_row_that_was_tampered_with_is_told(tmp_path):
    folder = filled(tmp_path / "store", 2)
    with h5py.File(folder / "shard-00000.h5", "r+") as raw:
        raw["clips/recipe"][0] = '{"sampling": 3}'
        raw["clips/label"][1] = "human"
    with Store(folder) as store:
        for index in range(2):
            with pytest.raises(IntegrityError, match=r"shard-00000\.h5"):
                store.row(index)


def test_the_summary_counts_and_names_duplicates(tmp_path):
    with StoreWriter.open(tmp_path / "store") as writer:
        writer.add(clip(1, count=16_000, generator="g", source="s"))
        writer.add(clip(2, count=32_000, generator="g", mark=MARK, ids=np.arange(3, dtype=np.int32)))
        writer.add(StoredClip(StoreRow("again", "bonafide", file_sha256="00" * 32), sound(1, 16_000)))
    with Store(tmp_path / "store") as store:
        summary = summarize(store.rows())
    assert (summary.clips, summary.seconds, summary.with_tokens, summary.with_token_mark) == (3, 4.0, 1, 1)
    assert {name: (each.clips, each.seconds) for name, each in summary.generators.items()} == {"g": (2, 3.0)}
    assert list(summary.labels) == ["spoof", "bonafide"]
    assert summary.sources["unknown"].clips == 2
    assert summary.duplicates == (("clip1", "again"),)
