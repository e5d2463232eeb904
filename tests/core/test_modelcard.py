"""A model folder is whole and unchanged, or it is refused."""

import errno
import hashlib
import json

import pytest

from covoguard.core.errors import IntegrityError, ModelMissing
from covoguard.core.modelcard import CHECKSUMS_NAME, open_model, seal_model

CARD = {"id": "made-up", "version": "2", "detector": "none", "weights": "w.bin"}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "w.bin").write_bytes(b"weights")
    (tmp_path / "card.json").write_text(json.dumps(CARD))
    seal_model(tmp_path)
    return tmp_path


def test_a_whole_folder_opens(folder):
    model = open_model(folder)
    assert model.id == "made-up@2"
    assert model.read_bytes("w.bin") == b"weights"
    assert model.model_sha256 == hashlib.sha256(b"weights").hexdigest()


def test_a_changed_file_is_refused(folder):
    (folder / "w.bin").write_bytes(b"Weights")
    with pytest.raises(IntegrityError, match=r"w\.bin"):
        open_model(folder)


def test_a_file_that_changes_after_opening_is_refused_on_reading(folder):
    model = open_model(folder)
    (folder / "w.bin").write_bytes(b"swapped")
    with pytest.raises(IntegrityError):
        model.read_bytes("w.bin")


def test_missing_files_and_folders_are_named(folder, tmp_path):
    (folder / "w.bin").unlink()
    with pytest.raises(ModelMissing, match=r"w\.bin"):
        open_model(folder)
    with pytest.raises(ModelMissing, match="no model here"):
        open_model(tmp_path / "nowhere")


def test_weights_outside_the_checksums_are_refused(folder):
    (folder / "card.json").write_text(json.dumps(CARD | {"weights": "../other"}))
    seal_model(folder)
    with pytest.raises(IntegrityError, match="weights"):
        open_model(folder)


@pytest.mark.parametrize("card", ["{", "[]", "\x00", json.dumps({**CARD, "id": ""}), json.dumps({"id": "made-up"})])
def test_a_card_that_does_not_identify_the_model_is_refused(folder, card):
    (folder / "card.json").write_text(card)
    seal_model(folder)
    with pytest.raises(IntegrityError, match=r"card\.json"):
        open_model(folder)


# --- the part that a model is for --------------------------------------------------------------------------


def rewrite_card(folder, card):
    (folder / "card.json").write_text(json.dumps(card))
    seal_model(folder)


@pytest.mark.parametrize("kind", ["detector", "generator", "recoverer"])
def test_a_card_names_its_part(folder, kind):
    rewrite_card(folder, {"id": "made-up", "version": "2", kind: "some", "weights": "w.bin"})
    model = open_model(folder)
    assert model.part == (kind, "some")
    model.check_part(kind, "some")
    other = {"detector": "generator", "generator": "recoverer", "recoverer": "detector"}[kind]
    for wrong in ((other, "some"), (kind, "different")):
        with pytest.raises(IntegrityError, match=f"a model of the {kind} some, not of the {' '.join(wrong)}"):
            model.check_part(*wrong)


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"detector": "a", "generator": "b"},
        {"detector": "a", "generator": None},
        {"detector": ""},
        {"generator": None},
        {"generator": ["a"]},
    ],
)
def test_a_card_that_is_not_for_just_one_part_is_refused(folder, parts):
    rewrite_card(folder, {"id": "made-up", "version": "2", "weights": "w.bin", **parts})
    with pytest.raises(IntegrityError, match=r"card\.json: the card .*(detector|generator)"):
        open_model(folder)


# --- checksums ---------------------------------------------------------------------------------------------


def test_checksums_that_are_no_text_are_refused(folder):
    (folder / CHECKSUMS_NAME).write_bytes(b"\xff\n")
    with pytest.raises(IntegrityError):
        open_model(folder)


def test_a_file_that_may_not_be_read_is_named(folder, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("covoguard.core.modelcard.sha256_of_file", refuse)
    with pytest.raises(ModelMissing, match=r"card\.json: cannot be read \(Permission denied\)"):
        open_model(folder)


@pytest.mark.parametrize("line", ["nonsense", "0" * 64 + "  ../w.bin", "0" * 63 + "  w.bin"])
def test_checksum_lines_must_be_plain(folder, line):
    (folder / CHECKSUMS_NAME).write_text(line + "\n")
    with pytest.raises(IntegrityError):
        open_model(folder)
