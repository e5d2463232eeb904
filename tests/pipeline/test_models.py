"""Detectors and generators side by side: listed, shown, checked, and never taken for each other."""

import json
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from click.testing import CliRunner

from covoguard.cli.models import models
from covoguard.core.errors import IntegrityError, ModelMissing, UsageError
from covoguard.core.modelcard import seal_model
from covoguard.detect.registry import SCORERS
from covoguard.generate.pocket.model import BUNDLED
from covoguard.generate.registry import GENERATORS
from covoguard.pipeline import doctor
from covoguard.pipeline.models import DEFAULT_DETECTOR, installed_models, load_scorer, model_page, models_to_get

ROOT = Path(__file__).resolve().parents[2]
CARD = {
    "id": "made-up",
    "version": "3",
    "generator": "pocket",
    "weights": "w.bin",
    "summary": "Speaks in tests.",
    "sampling": {"temperature": 0.9},
    "parts": [{"name": "language", "what": "phones to tokens", "parameters": 12}],
    "training": {"recipe": {"steps": 5}, "data": ["None."]},
    "figures": [{"title": "Words", "header": ["text", "error rate"], "rows": [["held out", "7 %"]]}],
}


def write_model(folder: Path, card) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "w.bin").write_bytes(b"weights")
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    seal_model(folder)
    return folder


@pytest.fixture
def generators(tmp_path, monkeypatch):
    """Where the bundled generators are looked for, for once; nothing is there yet."""
    monkeypatch.setattr("covoguard.pipeline.models.files", lambda package: tmp_path)
    return tmp_path


def show(*arguments):
    return CliRunner().invoke(models, ["show", *map(str, arguments)])


# --- the bundled models ------------------------------------------------------------------------------------


def test_detectors_come_first_and_the_default_before_all():
    installed = installed_models()
    assert [(each.kind, each.name) for each in installed[:2]] == [
        ("detector", DEFAULT_DETECTOR),
        ("detector", "lfcc-gmm"),
    ]
    to_get = {each.name for each in models_to_get() if each.kind == "generator"}
    assert {each.name for each in installed if each.kind == "generator"} == set(GENERATORS.names()) - to_get
    assert to_get == {"covo", "server", "transformers"}
    assert {each.name: each.path for each in installed}["pocket"] == BUNDLED


def test_a_generator_that_must_be_got_says_how():
    listed = CliRunner().invoke(models, ["list"])
    assert "covo (generator): no model comes with covoguard; import a checkpoint" in listed.output
    with pytest.raises(UsageError, match="models import covo"):
        model_page("covo", None)


@pytest.mark.parametrize(("name", "family"), [("aasist", "aasist"), ("aasist-l", "aasist"), ("rawnet2", "rawnet2")])
def test_a_detector_that_must_be_got_says_how_wherever_it_is_asked_for(name, family):
    how = f"models import {family} WEIGHTS"
    listed = CliRunner().invoke(models, ["list"])
    assert f"{name} (detector): no model comes with covoguard; " in listed.output
    assert how in listed.output
    assert name not in {each.name for each in installed_models()}
    with pytest.raises(UsageError, match=how):
        model_page(name, None)
    with pytest.raises(ModelMissing, match=how):
        load_scorer(name, None)


def test_no_generator_is_called_as_a_detector_is():
    assert not set(GENERATORS.names()) & set(SCORERS.names())


def test_every_bundled_file_goes_into_the_wheel():
    data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    patterns = [f"{package.replace('.', '/')}/{glob}" for package, globs in data.items() for glob in globs]
    for each in installed_models():
        place = "/".join(each.path.parts[-3:])
        for name in ("card.json", "SHA256SUMS", "weights.bin"):
            assert any(fnmatch(f"covoguard/{place}/{name}", pattern) for pattern in patterns), place


def test_a_generator_without_its_model_is_listed_with_what_is_wrong(generators):
    listed = CliRunner().invoke(models, ["list"])
    assert listed.exit_code == 0
    assert f"pocket (generator): cannot be used: {generators / 'pocket' / 'model'}: no model here" in listed.output
    lines = CliRunner().invoke(models, ["list", "--json"]).output.splitlines()
    (found,) = [each for each in map(json.loads, lines) if "generator" in each]
    assert (found["generator"], found["model_sha256"], found["card"]) == ("pocket", None, {})
    assert "no model here" in found["problem"]


def test_a_generator_is_listed_and_shown_from_its_card(generators):
    write_model(generators / "pocket" / "model", CARD)
    (found,) = [each for each in installed_models() if each.kind == "generator"]
    assert found.problem is None
    assert found.model.part == ("generator", "pocket")
    listed = CliRunner().invoke(models, ["list"]).output
    assert "pocket (generator): made-up@3, no licence stated\n  Speaks in tests.\n" in listed
    assert show("pocket").output.rstrip() == model_page("pocket", None).rstrip()
    assert "| language | phones to tokens | 12 |" in model_page("pocket", None)


@pytest.mark.parametrize("part", [{"generator": "other"}, {"detector": "pocket"}, {"detector": DEFAULT_DETECTOR}])
def test_a_bundled_folder_with_another_model_in_it_is_refused(generators, part):
    card = {key: value for key, value in CARD.items() if key != "generator"} | part
    write_model(generators / "pocket" / "model", card)
    (found,) = [each for each in installed_models() if each.kind == "generator"]
    assert found.model is None
    assert "not of the generator pocket" in found.problem
    with pytest.raises(IntegrityError, match="not of the generator pocket"):
        model_page("pocket", None)


def test_doctor_checks_generators_and_needs_the_default_one(generators, monkeypatch):
    monkeypatch.setattr(doctor, "PACKAGES", ())

    def check():
        return {each.name: each for each in doctor.check_installation()}["model pocket"]

    assert (check().status, "no model here" in check().detail) == ("failed", True)
    folder = write_model(generators / "pocket" / "model", CARD)
    assert (check().status, check().detail) == ("ok", "generator made-up@3, checksums right")
    (folder / "w.bin").write_bytes(b"damaged")
    assert (check().status, "w.bin" in check().detail) == ("failed", True)


# --- folders of one's own ----------------------------------------------------------------------------------


def test_a_folder_of_a_generator_shows_its_page_with_or_without_its_name(tmp_path):
    folder = write_model(tmp_path / "mine", CARD)
    assert model_page(None, folder) == model_page("pocket", folder)
    assert "# made-up@3" in show("--model", folder).output


def test_a_scan_refuses_the_model_of_a_generator(tmp_path):
    folder = write_model(tmp_path / "mine", CARD)
    for detector in (None, DEFAULT_DETECTOR, "pocket"):
        with pytest.raises(UsageError, match=r"mine: a model of the generator pocket"):
            load_scorer(detector, folder)


@pytest.mark.parametrize("name", [DEFAULT_DETECTOR, "nonsense"])
def test_a_name_that_is_not_the_folders_is_refused(tmp_path, name):
    folder = write_model(tmp_path / "mine", CARD)
    done = show(name, "--model", folder)
    assert isinstance(done.exception, UsageError)
    assert f"of the generator pocket, not of {name}" in done.exception.message


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(UsageError, match=r"no detector or generator 'nonsense'; known: logband-resnet, .*pocket"):
        model_page("nonsense", None)


def test_a_card_that_lacks_a_chapter_is_refused_by_its_name(tmp_path):
    card = {key: value for key, value in CARD.items() if key != "training"}
    with pytest.raises(IntegrityError, match=r"mine: the card does not say 'training'"):
        model_page(None, write_model(tmp_path / "mine", card))


@pytest.mark.parametrize("change", [{"parts": 3}, {"sampling": []}, {"figures": [{"header": [], "rows": [[1]]}]}])
def test_a_card_that_is_not_in_form_is_refused(tmp_path, change):
    with pytest.raises(IntegrityError, match=r"mine: the card"):
        model_page(None, write_model(tmp_path / "mine", CARD | change))
