"""Sounds are kept whole through kills and shared files; batches do not depend on workers, and pairs hear the same."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
from labelled_clips import read_rows, write_collection, write_rows

from covoguard.core.errors import InputError, UsageError
from covoguard.core.records import Audio
from covoguard.datasets.copies import COPIES
from covoguard.datasets.degrade.chain import ChainRecipe, Sounds
from covoguard.datasets.sampling import SamplingRecipe
from covoguard.datasets.store import StoredClip, StoreRow, StoreWriter
from covoguard.pipeline import training_sounds
from covoguard.pipeline.sound_file import ENDS_SUFFIX, SoundFile, SoundWriter
from covoguard.pipeline.training_batches import BatchPlan, ClipBatches, HeldOutSplit, hold_out
from covoguard.pipeline.training_clips import open_clips
from covoguard.pipeline.training_members import training_items
from covoguard.pipeline.training_sounds import SoundPlan, prepare_sounds
from covoguard.pipeline.training_utterances import utterances_of

CHAIN = ChainRecipe(clean=0.0, codec=0.0, second_codec=0.0, room=0.0, speed=0.5, rawboost=0.5)


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return write_collection(tmp_path_factory.mktemp("clips"), clips=16)


def prepared(collection, folder, copies=2, methods=("griffin-lim",), jobs=1):
    clips = open_clips(collection, needs_folds=True)
    return prepare_sounds(clips, SoundPlan(methods, copies, CHAIN, 3), Sounds(), folder, jobs=jobs)


@pytest.fixture(scope="module")
def sounds(collection, tmp_path_factory):
    return prepared(collection, tmp_path_factory.mktemp("sounds"))


@pytest.fixture(scope="module")
def undamaged(collection, tmp_path_factory):
    return prepared(collection, tmp_path_factory.mktemp("undamaged"), copies=0)


def batches(sounds, *, paired=0.5, jobs=1, seed=5, split=None):
    split = split or hold_out(sounds.items, range(len(sounds.items)), 0.25, 1)
    plan = BatchPlan(8, 0.5, SamplingRecipe(paired=paired), seed)
    return ClipBatches(sounds, split, plan, recorded=Sounds(), jobs=jobs)


# --- the file ----------------------------------------------------------------------------------------------


def tone(length):
    return np.sin(np.arange(length) * 0.1).astype(np.float32)


def test_sounds_come_back_by_number_and_in_part(tmp_path):
    with SoundWriter(tmp_path / "a.i16") as writer:
        for length in (100, 0, 7):
            writer.add(tone(length))
    file = SoundFile(tmp_path / "a.i16")
    assert [file.length(number) for number in range(len(file))] == [100, 0, 7]
    assert np.allclose(file.read(0), tone(100), atol=1e-4)
    assert np.array_equal(file.read(0, 90, 50), file.read(0)[90:])
    assert len(file.read(1)) == 0
    assert np.allclose(file.read(2), tone(7), atol=1e-4)


@pytest.mark.parametrize("torn", ["samples without an end", "half an end", "an end without samples"])
def test_what_is_half_written_is_cut_off_and_the_rest_kept(tmp_path, torn):
    path = tmp_path / "a.i16"
    with SoundWriter(path) as writer:
        writer.add(tone(100))
    ends = path.with_name(path.name + ENDS_SUFFIX)
    if torn == "samples without an end":
        path.write_bytes(path.read_bytes() + b"\1" * 33)
    else:
        more = np.array([180], "<i8").tobytes()
        ends.write_bytes(ends.read_bytes() + (more[:3] if torn == "half an end" else more))
    assert len(SoundFile(path)) == 1
    with SoundWriter(path) as writer:
        assert writer.count == 1
        writer.add(tone(50))
    file = SoundFile(path)
    assert np.allclose(file.read(0), tone(100), atol=1e-4)
    assert np.allclose(file.read(1), tone(50), atol=1e-4)


# --- what is made ------------------------------------------------------------------------------------------


def test_every_genuine_clip_has_a_copy_and_every_item_its_damaged_ones(sounds):
    assert len(sounds.items) == 16 + 8
    made = [(number, item) for number, item in enumerate(sounds.items) if item.is_made]
    for number, item in made:
        assert (item.row.label, item.family) == ("spoof", "Griffin-Lim")
        assert sounds.items[item.original].row.label == "bonafide"
        assert item.row.split == sounds.items[item.original].row.split
        assert sounds.length(number) == sounds.length(item.original)
        assert not np.array_equal(sounds.clean(number), sounds.clean(item.original))
        for copy in range(2):  # the same speed was drawn
            assert len(sounds.damaged_copy(number, copy)) == len(sounds.damaged_copy(item.original, copy))
    assert not np.array_equal(sounds.damaged_copy(0, 0), sounds.damaged_copy(0, 1))


def test_a_killed_run_goes_on_and_gives_the_same(collection, sounds, tmp_path, monkeypatch):
    real, calls = training_sounds.degrade, []

    def dying(*arguments):
        calls.append(1)
        if len(calls) == 20:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(training_sounds, "degrade", dying)
    with pytest.raises(KeyboardInterrupt):
        prepared(collection, tmp_path)
    calls.clear()
    calls.extend([1] * 20)
    again = prepared(collection, tmp_path)
    assert len(calls) - 20 == 48 - 19, "what was finished is not made again"
    for number in range(48):
        assert np.array_equal(again.damaged.read(number), sounds.damaged.read(number))


def test_another_plan_takes_other_files(collection, sounds, tmp_path):
    first = prepared(collection, tmp_path, copies=1, methods=())
    second = prepared(collection, tmp_path, copies=2, methods=())
    assert first.clips.path == second.clips.path
    assert first.damaged.path != second.damaged.path


def test_a_copy_that_cannot_be_made_is_left_out_and_told(collection, tmp_path, monkeypatch, caplog):
    real = COPIES.get("griffin-lim").copy
    failing = iter([True, *[False] * 7])

    def copy(self, samples, rng):
        if next(failing):
            raise ValueError("too odd")
        return real(self, samples, rng)

    monkeypatch.setattr(COPIES.get("griffin-lim"), "copy", copy)
    made = prepared(collection, tmp_path, copies=0)
    assert [made.length(number) > 0 for number in range(16, 24)] == [False, *[True] * 7]
    assert "1 of 8 copies could not be made" in caplog.text
    assert "too odd" in caplog.text
    for batch in batches(made, paired=1.0).epoch(0, rank=0, world=1):
        assert batch.samples.isfinite().all()


# --- batches -----------------------------------------------------------------------------------------------


def same(first, second):
    return all(bool((a == b).all()) for a, b in zip(vars(first).values(), vars(second).values(), strict=True))


@pytest.mark.parametrize("kind", ["sounds", "undamaged"])
def test_batches_have_the_promised_form_and_repeat_themselves(kind, request):
    sounds = request.getfixturevalue(kind)
    source = batches(sounds)
    first, again = (list(source.epoch(0, rank=0, world=1)) for _ in range(2))
    assert len(first) == source.steps_per_epoch
    for batch, other in zip(first, again, strict=True):
        assert same(batch, other)
        assert tuple(batch.samples.shape) == (8, 8000)
        assert batch.samples.isfinite().all()
        assert batch.is_spoof.sum() == 4
        assert ((batch.family >= 0) == (batch.is_spoof == 1)).all()
        assert batch.family.max() < source.n_families
        assert 0 <= batch.source.min() <= batch.source.max() < source.n_sources
        assert sorted(batch.pair.tolist()) == [-1, -1, -1, -1, 0, 0, 1, 1]
    for other in (source.epoch(1, rank=0, world=1), source.epoch(0, rank=1, world=2)):
        assert not same(next(iter(other)), first[0])
    assert not same(next(iter(batches(sounds, seed=6).epoch(0, rank=0, world=1))), first[0])


def test_the_number_of_workers_changes_nothing(undamaged):
    alone, crowd = batches(undamaged), batches(undamaged, jobs=2)
    for number in (0, 1):
        pairs = zip(alone.epoch(number, rank=0, world=1), crowd.epoch(number, rank=0, world=1), strict=True)
        assert all(same(*pair) for pair in pairs)
    assert all(same(*pair) for pair in zip(alone.held_out(), crowd.held_out(), strict=True))
    crowd.close()


@pytest.mark.parametrize("kind", ["sounds", "undamaged"])
def test_the_two_of_a_pair_hear_the_same_damage_and_crop(kind, request, monkeypatch):
    sounds = request.getfixturevalue(kind)

    def recording(self, number):  # a method that gives the recording back
        original = self.items[number].original
        return number if original is None else original

    monkeypatch.setattr(type(sounds), "clean", lambda self, number: self.clips.read(recording(self, number)))
    monkeypatch.setattr(
        type(sounds), "damaged_copy", lambda self, number, copy: self.damaged.read(recording(self, number) * 2 + copy)
    )
    for batch in batches(sounds, paired=1.0).epoch(0, rank=0, world=1):
        for number in range(4):
            genuine, copy = batch.samples[batch.pair == number]
            assert bool((genuine == copy).all())


def test_held_out_families_and_speakers_are_whole_and_never_trained_on(sounds):
    for seed in range(6):
        split = hold_out(sounds.items, range(len(sounds.items)), 0.25, seed)
        groups = [
            {(item.family or (item.row.source, item.row.speaker)) for item in map(sounds.items.__getitem__, numbers)}
            for numbers in (split.inside, split.held_out)
        ]
        assert not groups[0] & groups[1]
        assert not {sounds.items[number].original for number in split.inside} & set(split.held_out)
        assert {sounds.items[number].row.label for number in split.held_out} == {"bonafide", "spoof"}
        assert not any(sounds.items[number].is_made for number in split.held_out)
    assert {hold_out(sounds.items, range(24), 0.25, seed).held_out for seed in range(6)} != {split.held_out}
    assert hold_out(sounds.items, range(24), 0.0, 1) == HeldOutSplit(tuple(range(24)), ())


def test_a_method_whose_family_is_held_out_is_not_trained_on(collection, tmp_path):
    rows = read_rows(collection)
    for row in rows:
        row["file"] = str(collection.parent / row["file"])
        row["family"] = row["family"] and "GRIFFIN-LIM" if row["family"] == "F00" else row["family"]
    renamed = prepared(write_rows(tmp_path / "manifest.csv", rows), tmp_path / "sounds")
    splits = [hold_out(renamed.items, range(len(renamed.items)), 0.25, seed) for seed in range(12)]
    held = [any(renamed.items[n].family == "GRIFFIN-LIM" for n in split.held_out) for split in splits]
    assert any(held)
    for split, is_held in zip(splits, held, strict=True):
        assert any(renamed.items[number].is_made for number in split.inside) != is_held


def test_a_store_is_taken_like_a_manifest(collection, tmp_path):
    rows = read_rows(collection)
    with StoreWriter.open(tmp_path / "store") as writer:
        for row in rows:
            samples, rate_hz = soundfile.read(collection.parent / row["file"], dtype="float32")
            known = {name: row[name] or None for name in ("generator", "family", "kind", "source", "speaker")}
            stored = StoreRow(row["clip"], row["label"], split=row["fold"], **known)
            writer.add(StoredClip(stored, Audio(samples, rate_hz)))
    clips = open_clips(tmp_path / "store", needs_folds=True)
    assert [row.label for row in clips.rows] == [row["label"] for row in rows]
    of_store = prepare_sounds(clips, SoundPlan((), 0, CHAIN, 3), Sounds(), tmp_path / "a", jobs=1)
    of_files = prepared(collection, tmp_path / "b", copies=0, methods=())
    assert all(np.allclose(of_store.clean(n), of_files.clean(n), atol=1e-4) for n in range(16))


# --- bad input ---------------------------------------------------------------------------------------------


def changed(collection, folder, change):
    rows = read_rows(collection)
    for row in rows:
        row["file"] = str(collection.parent / row["file"])
    change(rows)
    return write_rows(folder / "manifest.csv", rows)


def put(rows, places, **values):
    for place in places:
        rows[place] |= values


@pytest.mark.parametrize(
    ("change", "error", "named"),
    [
        (lambda rows: put(rows, (2, 5), file="gone.wav"), InputError, "2 of 16 files are missing: gone.wav, gone.wav"),
        (lambda rows: put(rows, range(16), label="spoof"), UsageError, "all 16 clips have the label spoof"),
        (lambda rows: put(rows, range(16), fold="0"), UsageError, "all clips are in one fold"),
        (lambda rows: put(rows, range(1, 16, 2), fold="0"), UsageError, "the fold 0 has all spoof clips"),
        (lambda rows: put(rows, (3,), fold="2"), UsageError, "the fold 2 has no bonafide clip"),
    ],
)
def test_a_collection_that_makes_no_sense_is_refused_before_any_work(collection, tmp_path, change, error, named):
    with pytest.raises(error, match=named):
        open_clips(changed(collection, tmp_path, change), needs_folds=True)


@pytest.mark.parametrize(
    ("samples", "named"),
    [
        (np.array([0.1, np.nan] * 8000, np.float32), "damaged"),
        (np.zeros(16_000, np.float32), "is silent"),
        (0.1 * np.ones(800, np.float32), "0.05 s are too short"),
    ],
)
def test_a_clip_that_cannot_be_used_is_named(collection, tmp_path, samples, named):
    soundfile.write(tmp_path / "odd.wav", samples, 16_000, subtype="FLOAT")
    manifest = changed(collection, tmp_path, lambda rows: put(rows, (4,), file="odd.wav"))
    with pytest.raises(InputError, match=rf"odd\.wav: .*{named}"):
        prepared(manifest, tmp_path / "sounds", copies=0, methods=())


def test_copies_in_a_collection_are_pairs_and_a_copy_of_nothing_is_refused(collection, tmp_path):
    def of(name):
        def change(rows):
            for row in rows:
                row["copy_of"] = name if row["clip"] == "5" else ""

        return change

    clips = open_clips(changed(collection, tmp_path, of("4")), needs_folds=True)
    assert clips.originals[5] == 4
    assert clips.originals[4] is None
    for wrong in ("nothing", "7"):
        with pytest.raises(UsageError, match="5 is said to be a copy of"):
            open_clips(changed(collection, tmp_path, of(wrong)), needs_folds=True)


def test_voices_are_matched_by_their_pool_where_the_collection_names_one(collection, tmp_path):
    def joined(rows):
        for row in rows:
            row["voice_pool"] = "one voice" if row["source"] in ("S00", "S01") else ""

    there = prepared(changed(collection, tmp_path, joined), tmp_path / "sounds")
    assert {item.pool for item in there.items} == {"one voice", "S10", "S11"}
    assert all(item.pool in ("one voice", item.row.source) for item in there.items)
    source = ClipBatches(
        there, HeldOutSplit(tuple(range(16)), ()), BatchPlan(8, 0.5, SamplingRecipe(), 1), recorded=Sounds()
    )
    assert source.n_sources == 3
    source.close()


# --- what a fold's members may hear --------------------------------------------------------------------------


def test_a_fold_is_measured_by_members_that_heard_none_of_its_clips_families_or_utterances(sounds):
    fold = sounds.items[0].row.split
    listed = [number for number, item in enumerate(sounds.items) if not item.is_made]
    kept = set(training_items(sounds, fold))
    assert kept
    assert not {number for number in listed if sounds.items[number].row.split == fold} & kept
    assert all(sounds.items[number].original is None or sounds.items[number].original in kept for number in kept)
    one = next(number for number in listed if number in kept and sounds.items[number].row.label == "bonafide")
    together = [0 if number in (0, one) else number + 1 for number in listed]
    apart = set(training_items(replace(sounds, utterances=tuple(together)), fold))
    copies = {number for number, item in enumerate(sounds.items) if item.is_made and item.original == one}
    assert copies
    assert kept - apart == {one} | (copies & kept)
    assert set(training_items(replace(sounds, utterances=tuple(together)), None)) == set(range(len(sounds.items)))


def test_clips_are_linked_by_recording_and_as_copies(sounds):
    clips = sounds.clips
    alone = utterances_of(clips, [None] * len(clips))
    known = utterances_of(clips, [None] * (len(clips) - 1) + [0])
    assert len(alone) == len(clips)
    assert known[-1] == known[0]
    assert len(set(known)) == len(set(alone)) - (alone[0] != alone[-1])
