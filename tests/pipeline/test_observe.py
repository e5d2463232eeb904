"""`observe` and `inspect_files`: real files through the decoder process, hostile ones as records."""

import json
from pathlib import Path

import hostile_files
import jsonschema
import numpy as np
import pytest
import sound_files as sounds
from forensic_sound import plain

from covoguard.core.audio import AudioReader, DecodeLimits, open_input
from covoguard.core.errors import InputError
from covoguard.core.jsonrecord import from_json, json_line
from covoguard.core.observationrecord import InspectRecord
from covoguard.pipeline.inputs import Source
from covoguard.pipeline.observe import inspect_files, observe

SCHEMA = json.loads(
    (Path(__file__).resolve().parents[2] / "reports" / "schema" / "inspect-record-1.schema.json").read_text()
)
LIGHT = ["bandwidth", "bit-depth", "digital-silence", "encoder-delay", "tags", "wave-structure"]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    expected = hostile_files.build_hostile_files(folder)
    del expected["three-hours.flac"]  # minutes of decoding, which other tests pay for
    return folder, expected


@pytest.fixture(scope="module")
def records(hostile):
    folder, expected = hostile
    sources = [Source(str(folder / name)) for name in expected]
    return list(inspect_files(sources, limits=DecodeLimits(), jobs=1, checks=LIGHT))


def test_every_file_gives_its_record_and_fits_the_schema(hostile, records):
    _, expected = hostile
    assert [record.error and record.error.code for record in records] == list(expected.values())
    for record in records:
        value = json.loads(json_line(record))
        jsonschema.validate(value, SCHEMA)
        assert from_json(InspectRecord, value) == record
        assert bool(record.checks) != bool(record.error)


def test_a_cut_file_has_sizes_that_lie(hostile, records):
    _, expected = hostile
    codes = {name: {each.code for each in record.observations} for name, record in zip(expected, records, strict=True)}
    assert "wave_sizes" in codes["cut-half.wav"]
    assert "digital_silence" in codes["silence.wav"]


def test_the_reader_hands_over_every_sample_of_the_file(tmp_path):
    sound = np.stack([plain(1.0, 44_100), plain(1.0, 44_100, seed=1)])
    path = tmp_path / "stereo.wav"
    path.write_bytes(sounds.wave(sounds.pcm16(sound), rate_hz=44_100, channels=2))
    blocks = []
    with open_input(path) as opened, AudioReader() as reader:
        decoded = reader.read(opened, lambda block, rate_hz: blocks.append((block, rate_hz)))
        again = reader.read(opened)
    assert {rate_hz for _, rate_hz in blocks} == {44_100}
    np.testing.assert_array_equal(np.concatenate([block for block, _ in blocks], axis=1), sound)
    np.testing.assert_array_equal(again.audio.samples, decoded.audio.samples)


def test_one_file_and_its_tags(tmp_path):
    path = tmp_path / "speech.mp3"
    path.write_bytes(sounds.encode("mp3", "libmp3lame", plain(1.0), 16_000))
    seen = {each.code: each for each in observe(path, checks=LIGHT)}
    assert "FFmpeg" in seen["encoder_named"].seen
    assert "encoder_delay" in seen
    with pytest.raises(InputError):
        observe(tmp_path / "missing.mp3")
