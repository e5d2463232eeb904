"""Stores from files that exist: whatever the files are, each has its record and no neighbour is lost."""

import dataclasses
import json

import h5py
import numpy as np
import pytest
import sound_files as sounds

from covoguard.core.cliprecord import ClipCheck, ClipFailure, ClipMark, ClipPrompt, ClipRecord, clip_line
from covoguard.core.errors import InputError, IntegrityError, UsageError
from covoguard.core.modelcard import sha256_of_file
from covoguard.core.records import Audio
from covoguard.datasets.store import MANIFEST_NAME, Store, StoredClip, StoreRow, StoreWriter, hash_of_text
from covoguard.pipeline.dataset_files import add_clips, export_store, merge_stores
from covoguard.pipeline.dataset_inputs import Claims

GENUINE = Claims(label="bonafide", licence="own", consent_ref="C-1", purpose="tests")
ELSEWHERE = Claims(label="spoof", generator="elsewhere", generator_version="2")
MARK = ClipMark("kgw", "key1", 1, "ab" * 32, None)


def write(path, seed, seconds=0.5, rate_hz=16_000):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(sounds.wave(sounds.pcm16(sounds.speech_like(seconds, rate_hz, seed=seed)), rate_hz=rate_hz))


def added(folder, store, claims=GENUINE, **options):
    return list(add_clips([str(folder)], store, claims, **options))


def rows_of(folder):
    with Store(folder) as store:
        return list(store.rows())


def test_good_files_are_added_and_bad_ones_are_records(tmp_path):
    clips = tmp_path / "clips"
    write(clips / "b.wav", 1)
    write(clips / "deep" / "a.wav", 2, rate_hz=44_100)
    write(clips / "same.wav", 1)
    (clips / "empty.wav").write_bytes(b"")
    (clips / "text.wav").write_text("no sound at all, only words")
    (clips / "cut.wav").write_bytes((clips / "b.wav").read_bytes()[:9000])
    records = {record.path.removeprefix(f"{clips}/"): record for record in added(clips, tmp_path / "store")}
    assert {name: record.status for name, record in records.items()} == {
        "b.wav": "added", "cut.wav": "failed", "empty.wav": "failed", "same.wav": "already", "text.wav": "failed",
        "deep/a.wav": "added",
    }  # fmt: skip
    codes = {name: record.error.code for name, record in records.items() if record.error}
    assert codes == {"cut.wav": "partial", "empty.wav": "empty_file", "text.wav": "not_audio"}
    assert records["b.wav"].token_mark is False
    first, second = rows_of(tmp_path / "store")
    assert (first.label, first.licence, first.consent_ref, first.purpose) == ("bonafide", "own", "C-1", "tests")
    assert (first.original, second.original) == ("b.wav", "deep/a.wav")
    assert first.file_sha256 == sha256_of_file(clips / "b.wav")
    assert first.clip_id == first.file_sha256[:16] == records["b.wav"].clip_id
    assert (second.rate_hz, second.sample_count) == (16_000, 8000)
    assert (first.mark, first.token_count) == (None, None)


def test_the_same_command_goes_on_where_it_was_stopped(tmp_path):
    clips = tmp_path / "clips"
    for number in range(4):
        write(clips / f"{number}.wav", number)
    stopped = add_clips([str(clips)], tmp_path / "store", GENUINE)
    assert [next(stopped).status for _ in range(2)] == ["added", "added"]
    stopped.close()
    assert (tmp_path / "store" / MANIFEST_NAME).exists()
    assert [record.status for record in added(clips, tmp_path / "store")] == ["already"] * 2 + ["added"] * 2
    assert [record.status for record in added(clips, tmp_path / "store")] == ["already"] * 4
    assert [row.original for row in rows_of(tmp_path / "store")] == ["0.wav", "1.wav", "2.wav", "3.wav"]


def test_sound_is_kept_as_it_is_at_16_khz_and_resampled_below(tmp_path):
    write(tmp_path / "a.wav", 3)
    for rate_hz in (16_000, 8000):
        added(tmp_path / "a.wav", tmp_path / str(rate_hz), rate_hz=rate_hz)
    with Store(tmp_path / "16000") as store:
        exact = np.rint(sounds.speech_like(0.5, 16_000, seed=3) * 32768) / 32768
        assert np.array_equal(store.audio(0).samples, exact.astype(np.float32))
    with Store(tmp_path / "8000") as store:
        assert (store.audio(0).rate_hz, len(store.audio(0).samples)) == (8000, 4000)
    with pytest.raises(UsageError, match="decoded at 16000 Hz"):
        added(tmp_path / "a.wav", tmp_path / "x", rate_hz=24_000)


def test_claims_must_make_sense(tmp_path):
    write(tmp_path / "a.wav", 1)
    with pytest.raises(UsageError, match="say what these clips are with --label"):
        added(tmp_path / "a.wav", tmp_path / "store", Claims())
    with pytest.raises(UsageError, match="needs --generator"):
        Claims(label="spoof")
    with pytest.raises(UsageError, match="leave --generator"):
        Claims(label="bonafide", generator="g")


def generated(folder):
    """A folder as `covoguard generate` leaves it: marked, unmarked, refused, failed its check, changed since."""
    blank = ClipRecord(
        schema_version=1, index=0, clip_id="000000", path=None, sha256=None, label="spoof", generator="pocket",
        model_id="pocket@1", model_sha256="cd" * 32, family="pocket", kind="speech-lm", speaker="low",
        source="covoguard generate", licence="CC0", prompt=ClipPrompt("Hi there", None, 1), take=0, seed=5,
        sampling=(("temperature", 0.7),), mark=None, tokens=None, token_rate_hz=None, sample_rate_hz=None,
        duration_s=None, replies=(), check=None, error=None, tool_version="0",
    )  # fmt: skip
    records = []
    for index in range(5):
        path = f"clips/{index:06d}.wav"
        write(folder / path, index)
        made = {"path": path, "sha256": sha256_of_file(folder / path), "tokens": (1, 2, index), "token_rate_hz": 25}
        records.append(dataclasses.replace(blank, index=index, clip_id=f"{index:06d}", **made))
    records[0] = dataclasses.replace(records[0], mark=MARK, check=ClipCheck("mark_found"))
    records[2] = dataclasses.replace(blank, index=2, clip_id="000002", error=ClipFailure("bad_prompt", "unspeakable"))
    records[3] = dataclasses.replace(records[3], mark=MARK, check=ClipCheck("mark_not_found"))
    write(folder / "clips/000004.wav", 99)
    (folder / "manifest.jsonl").write_text("".join(clip_line(record) + "\n" for record in records))
    return folder


@pytest.mark.parametrize("name", ["", "manifest.jsonl"])
def test_what_generate_made_keeps_its_tokens_recipe_and_mark(tmp_path, name):
    folder = generated(tmp_path / "made")
    records = added(folder / name, tmp_path / "store", Claims(purpose="tests"))
    assert [record.status for record in records] == ["added", "added", "failed", "failed", "failed"]
    assert [record.token_mark for record in records[:2]] == [True, False]
    assert [record.error.code for record in records[2:]] == ["bad_prompt", "integrity", "integrity"]
    with Store(tmp_path / "store") as store:
        marked, plain = store.clips()
    assert marked.token_ids.tolist() == [1, 2, 0]
    assert (marked.row.mark, plain.row.mark) == (MARK, None)
    recipe = marked.row.recipe
    assert (recipe.generator, recipe.seed, recipe.sampling) == ("pocket@1", 5, (("temperature", 0.7),))
    assert (recipe.mark_scheme, recipe.key_id, plain.row.recipe.key_id) == ("kgw", "key1", None)
    assert marked.row.text_sha256 == hash_of_text("hi THERE")
    assert (marked.row.token_rate_hz, marked.row.purpose) == (25, "tests")


def test_a_claim_against_the_manifest_is_refused_clip_by_clip(tmp_path):
    folder = generated(tmp_path / "made")
    records = added(folder, tmp_path / "store", GENUINE)
    assert {record.status for record in records} == {"failed"}
    assert "its manifest says label 'spoof', the command 'bonafide'" in records[0].error.message


def test_a_csv_manifest_gives_labels_and_folds(tmp_path):
    for number in range(2):
        write(tmp_path / "audio" / f"{number}.wav", number)
    lines = ["clip,file,label,fold,generator,speaker", "a,audio/0.wav,spoof,1,g,", "b,audio/1.wav,bonafide,2,,ann"]
    (tmp_path / "list.csv").write_text("\n".join([*lines, "c,audio/gone.wav,bonafide,2,,"]))
    records = added(tmp_path / "list.csv", tmp_path / "store", Claims(language="en"))
    assert [record.status for record in records] == ["added", "added", "failed"]
    assert records[2].error.code == "not_found"
    first, second = rows_of(tmp_path / "store")
    assert (first.label, first.generator, first.split, first.language) == ("spoof", "g", "1", "en")
    assert (second.label, second.speaker, second.split) == ("bonafide", "ann", "2")


def test_a_manifest_that_is_none_is_told(tmp_path):
    (tmp_path / "manifest.jsonl").write_text(json.dumps({"path": "x"}) + "\n")
    with pytest.raises(UsageError, match=r"manifest\.jsonl, line 1: no record of `covoguard generate`"):
        added(tmp_path, tmp_path / "store")
    with pytest.raises(InputError, match="cannot be read"):
        added(tmp_path / "gone.jsonl", tmp_path / "store")


def test_a_damaged_store_stops_the_command(tmp_path):
    write(tmp_path / "a.wav", 1)
    added(tmp_path / "a.wav", tmp_path / "store")
    (tmp_path / "store" / "shard-00000.h5").write_bytes(b"gone")
    with pytest.raises(IntegrityError):
        added(tmp_path / "a.wav", tmp_path / "store")


def two_stores(tmp_path):
    for name, seeds, claims in (("one", (1, 2), GENUINE), ("two", (2, 3), ELSEWHERE)):
        for seed in seeds:
            write(tmp_path / f"{name}-clips" / f"{seed}.wav", seed)
        added(tmp_path / f"{name}-clips", tmp_path / name, claims)
    return [tmp_path / "one", tmp_path / "two"]


def test_merging_copies_each_clip_once_and_goes_on(tmp_path):
    stores = two_stores(tmp_path)
    told = []
    assert merge_stores(stores, tmp_path / "all", lambda done, total, note="": told.append((done, total))) == (3, 1)
    assert told[-1] == (4, 4)
    assert merge_stores(stores, tmp_path / "all") == (0, 4)
    (first, second), (_, third) = map(rows_of, stores)
    assert rows_of(tmp_path / "all") == [first, second, third]
    with Store(tmp_path / "all") as store:
        assert list(store.verify()) == []
    with pytest.raises(UsageError, match="is one of the stores"):
        merge_stores(stores, stores[0])


def test_merging_and_exporting_stop_at_a_clip_that_was_changed(tmp_path):
    stores = two_stores(tmp_path)
    with h5py.File(stores[1] / "shard-00000.h5", "r+") as raw:
        raw["samples"][-1] ^= 1
    with pytest.raises(IntegrityError, match=r"two/shard-00000\.h5#1: its samples are damaged"):
        merge_stores(stores, tmp_path / "all")
    with pytest.raises(IntegrityError, match=r"#1: its samples are damaged"):
        export_store(stores[1], tmp_path / "out", "flac")
    assert not (tmp_path / "out").exists()
    assert export_store(stores[0], tmp_path / "out", "flac") == 2


def test_merging_loses_no_bit_of_float_samples(tmp_path):
    fine = Audio(np.array([1e-7, 0.3], np.float32), 16_000)
    with StoreWriter.open(tmp_path / "fine", sample_type="float32") as writer:
        writer.add(StoredClip(StoreRow("fine", "bonafide"), fine))
    stores = [*two_stores(tmp_path), tmp_path / "fine"]
    merge_stores(stores, tmp_path / "all")
    with Store(tmp_path / "all") as store:
        assert np.array_equal(store.audio(store.index("fine")).samples, fine.samples)
        assert list(store.verify()) == []
