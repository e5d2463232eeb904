"""Exports: what other tools find in them is what the store says."""

import csv
import importlib.metadata

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from covoguard.core.audio import Audio
from covoguard.core.errors import CovoguardError, UsageError
from covoguard.datasets.export import LAYOUTS, export
from covoguard.datasets.export.asvspoof import protocol_line
from covoguard.datasets.store import StoredClip, StoreRow


def clip(name, label="spoof", **fields):
    steps = np.random.default_rng(len(name)).integers(-32768, 32768, 800)
    audio = Audio((steps / 32768).astype(np.float32), 16_000)
    row = StoreRow(name, label, rate_hz=16_000, sample_count=800, **fields)
    return StoredClip(row, audio)


CLIPS = [
    clip("a", generator="my tts", split="train", speaker="Ann B", source='says "hi", é'),
    clip("bb", "bonafide", split="train"),
    clip("ccc", generator="g", split="fold-2"),
    clip("dddd", "bonafide", speaker="s1"),
]


def table(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def assert_same_sound(path, expected):
    samples, rate_hz = soundfile.read(path, dtype="float32")
    assert rate_hz == 16_000
    assert np.array_equal(samples, expected.audio.samples)


def test_flac_has_every_clip_and_the_same_table_twice(tmp_path):
    assert export(CLIPS, tmp_path / "out", "flac") == 4
    lines = table(tmp_path / "out" / "metadata.csv")
    assert [line["clip_id"] for line in lines] == ["a", "bb", "ccc", "dddd"]
    assert (lines[0]["source"], lines[0]["duration_s"], lines[1]["generator"]) == ('says "hi", é', "0.05", "")
    stored = pq.read_table(tmp_path / "out" / "metadata.parquet").to_pylist()
    assert [{name: "" if value is None else str(value) for name, value in line.items()} for line in stored] == lines
    for line, each in zip(lines, CLIPS, strict=True):
        assert_same_sound(tmp_path / "out" / line["file"], each)


def test_asvspoof_protocols_have_five_fields_whatever_the_names(tmp_path):
    export(CLIPS, tmp_path / "out", "asvspoof")
    protocols = {path.stem: path.read_text().splitlines() for path in (tmp_path / "out" / "protocols").iterdir()}
    assert protocols == {
        "train": ["Ann_B a - my_tts spoof", "- bb - - bonafide"],
        "fold-2": ["- ccc - g spoof"],
        "all": ["s1 dddd - - bonafide"],
    }
    for each in CLIPS:
        assert_same_sound(tmp_path / "out" / "flac" / f"{each.row.clip_id}.flac", each)
    assert protocol_line(StoreRow("x", "spoof", generator=" \n")) == "- x - - spoof\n"


def test_hf_puts_each_split_beside_its_metadata_and_names_it(tmp_path):
    export(CLIPS, tmp_path / "out", "hf")
    found = {}
    for metadata in (tmp_path / "out" / "data").glob("*/metadata.parquet"):
        for line in pq.read_table(metadata).to_pylist():
            found[line["clip_id"]] = metadata.parent.name
            each = next(each for each in CLIPS if each.row.clip_id == line["clip_id"])
            assert line["label"] == each.row.label
            assert_same_sound(metadata.parent / line["file_name"], each)
    assert found == {"a": "train", "bb": "train", "ccc": "fold-2", "dddd": "train"}
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.startswith("---\nconfigs:\n")
    assert '  - split: fold_2\n    path: "data/fold-2/**"\n' in card


def test_hf_columns_have_one_type_in_every_split_though_empty_in_some(tmp_path):
    """The library takes types that differ between splits for an error, and would read speaker 007 as a number."""
    clips = [clip("a", split="x", speaker="007", source="S"), clip("bb", "bonafide", split="y", generator_version="1")]
    export(clips, tmp_path / "out", "hf")
    one, two = (pq.read_table(path) for path in sorted((tmp_path / "out" / "data").glob("*/metadata.parquet")))
    assert one.schema.equals(two.schema)
    assert (one["speaker"].to_pylist(), two["speaker"].to_pylist()) == (["007"], [None])
    assert one["duration_s"].to_pylist() == [0.05]
    assert [path.name for path in (tmp_path / "out" / "data" / "x").iterdir()].count("metadata.csv") == 0


def test_hugging_face_loads_the_export(tmp_path):
    try:  # the folder `datasets` of this repository has no version, whatever Python finds first
        for library in ("datasets", "torchcodec"):
            importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError as error:
        pytest.skip(f"Hugging Face datasets and torchcodec, which it needs for sound, are not both installed: {error}")
    from datasets import Audio as AudioColumn
    from datasets import load_dataset

    export(CLIPS, tmp_path / "out", "hf")
    loaded = load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {split: part["clip_id"] for split, part in loaded.items()} == {
        "train": ["a", "bb", "dddd"], "fold_2": ["ccc"]
    }  # fmt: skip
    part = loaded["train"].cast_column("audio", AudioColumn(decode=False))
    assert part[0]["source"] == 'says "hi", é'
    assert_same_sound(part[0]["audio"]["path"], CLIPS[0])


def test_splits_that_hugging_face_cannot_tell_apart_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"a-b, a_b: differ only in punctuation"):
        export([clip("x", split="a-b"), clip("y", split="a_b")], tmp_path / "out", "hf")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_half_written_has_the_name_and_a_full_folder_is_left_alone(tmp_path, layout):
    def ending_early():
        yield CLIPS[0]
        raise OSError(28, "No space left on device")

    with pytest.raises(CovoguardError, match="No space left on device; make room"):
        export(ending_early(), tmp_path / "out", layout)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".out.part").mkdir()  # of an export that was killed
    (tmp_path / "out").mkdir()
    assert export(CLIPS, tmp_path / "out", layout) == 4
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match="not empty"):
        export(CLIPS, tmp_path / "out", layout)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_unknown_layout_is_refused(tmp_path):
    with pytest.raises(UsageError, match="there are flac, asvspoof, hf"):
        export(CLIPS, tmp_path / "out", "kaldi")
