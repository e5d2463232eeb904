"""Which folder marks a generator's tokens: its own, the recoverer that is named, or none, and then what to do."""

import json

import pytest
from tone_generator import ToneGenerator, build_tone_model

from covoguard.core.errors import ModelMissing, UsageError
from covoguard.core.modelcard import open_model, seal_model
from covoguard.pipeline.clip_check import marks_of


@pytest.fixture
def tones(tmp_path):
    """Two generators of different weights: one with a mark table, one without."""
    made = []
    for name in ("whole", "bare"):
        folder = tmp_path / name
        folder.mkdir()
        build_tone_model(folder)
        (folder / "w.bin").write_bytes(name.encode())
        if name == "bare":
            (folder / "mark_table.json").unlink()
        seal_model(folder)
        made.append(ToneGenerator.load(folder))
    return made


def write_recoverer(folder, table_from, **card):
    folder.mkdir()
    (folder / "mark_table.json").write_bytes((table_from / "mark_table.json").read_bytes())
    (folder / "r.bin").write_bytes(b"r")
    content = {"id": "ears", "version": "1", "recoverer": "frames", "weights": "r.bin", **card}
    (folder / "card.json").write_text(json.dumps(content), encoding="utf-8")
    seal_model(folder)
    return folder


def test_a_generator_with_a_table_needs_nothing_else(tones):
    whole, _ = tones
    assert marks_of(whole) is whole.model


def test_one_without_says_how_to_get_a_recoverer(tones):
    _, bare = tones
    with pytest.raises(ModelMissing, match=r"covoguard recover train --backend tone.*--no-mark"):
        marks_of(bare)


def test_its_own_recoverer_is_found_named_or_in_its_folder(tones, tmp_path):
    whole, bare = tones
    made_for = {"for_model": {"id": bare.model.id, "model_sha256": bare.model.model_sha256}}
    named = write_recoverer(tmp_path / "ears", whole.model.path, **made_for)
    assert marks_of(bare, named).path == named
    inside = write_recoverer(bare.model.path / "recoverer", whole.model.path, **made_for)
    assert marks_of(bare).path == inside


def test_what_reads_another_model_is_refused(tones, tmp_path):
    whole, bare = tones
    other = write_recoverer(tmp_path / "ears", whole.model.path, for_model={"id": "x@1", "model_sha256": "0" * 64})
    for folder in (other, whole.model.path):
        with pytest.raises(UsageError, match="another model than tone@1"):
            marks_of(bare, folder)
    with pytest.raises(ModelMissing, match=r"no recoverer, since it has no mark_table\.json"):
        marks_of(whole, bare.model.path)
    assert open_model(other).part == ("recoverer", "frames")
