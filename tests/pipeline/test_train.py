"""Training end to end on a made-up corpus: a sealed model folder that loads, scores and knows its own figures."""

import csv
import json

import numpy as np
import pytest
import soundfile

from covoguard.core.audio import Audio
from covoguard.core.errors import InputError, IntegrityError, UsageError
from covoguard.core.modelcard import open_model
from covoguard.datasets.degrade.chain import ChainRecipe
from covoguard.detect.registry import SCORERS
from covoguard.detect.train import TrainingRecipe
from covoguard.detect.trainers import TRAINERS, NetworkTrainer
from covoguard.pipeline.train import TrainingPlan, load_clips, load_sounds, read_about, train, warn_of_shortcuts
from covoguard.reports.model_card import render_model_card

COLUMNS = ("clip", "file", "label", "generator", "family", "kind", "source", "speaker", "fold", "orig_sr")
PLAN = TrainingPlan(copies=1, chain=ChainRecipe(clean=1.0), seed=7)


def speechlike(rng, spoof, duration_s=1.2):
    """Noise in syllables; a spoof's has a steady whistle."""
    count = int(16_000 * duration_s)
    time = np.arange(count) / 16_000
    samples = rng.standard_normal(count) * (0.2 + np.abs(np.sin(2 * np.pi * rng.uniform(2, 4) * time)))
    if spoof:
        samples = samples + 3 * np.sin(2 * np.pi * 3000 * time) * np.abs(np.sin(2 * np.pi * 5 * time))
    return (0.1 * samples / np.std(samples)).astype(np.float32)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(1)
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for index in range(32):
            spoof, fold, half = index % 2 == 1, (index // 2) % 2, (index // 4) % 2
            name, group = f"{index}.flac", f"{fold}{half}"
            soundfile.write(folder / name, speechlike(rng, spoof), 16_000)
            genuine = ["bonafide", "", "", "real", f"S{group}", "a"]
            who = ["spoof", "G", f"F{group}", "tts", "LibriTTS", ""] if spoof else genuine
            writer.writerow([str(index), name, *who, str(fold), "16000"])
    return folder / "manifest.csv"


@pytest.fixture(scope="module", params=["logband-resnet", "lfcc-gmm"])
def trained(request, manifest, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / request.param
    about = {"summary": "A made-up detector.", "licence": "Apache-2.0", "not_for": ["anything real"], "limits": []}
    with pytest.MonkeyPatch.context() as patch:
        recipe = TrainingRecipe(epochs=30, batch=8, crop_s=1.0)
        patch.setitem(TRAINERS, "logband-resnet", lambda: NetworkTrainer(recipe))
        return folder, train(manifest, folder, request.param, PLAN, about=about)


def test_the_card_states_data_figures_and_probe(trained, manifest):
    folder, card = trained
    assert card["training"]["clips"] == {"bonafide": 16, "spoof": 16}
    assert card["training"]["families"] == 4
    assert 0.0 <= card["figures"]["eer_pooled"] <= 0.5
    assert set(card["figures"]["eer_by_family"]) == {"F00", "F01", "F10", "F11"}
    assert card["shortcut_probe_eer"]["recording_metadata"] == pytest.approx(0.5)
    assert json.loads((folder / "card.json").read_text()) == json.loads(json.dumps(card))
    page = render_model_card(card, open_model(folder).model_sha256)
    assert "anything real" in page
    assert "| F11 |" in page


def test_the_saved_model_scores_as_evidence(trained):
    folder, card = trained
    scorer = SCORERS.get(card["detector"]).load(folder)
    rng = np.random.default_rng(3)
    genuine, spoof = (scorer.score(Audio(speechlike(rng, s, 2.0), 16_000)) for s in (False, True))
    assert genuine.status == spoof.status == "scored"
    assert spoof.log10_lr >= genuine.log10_lr
    assert spoof.model_sha256 == open_model(folder).model_sha256


def test_a_changed_model_is_refused(trained, tmp_path):
    folder, card = trained
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    weights = copy / card["weights"]
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError, match="SHA256SUMS"):
        SCORERS.get(card["detector"]).load(copy)


def test_a_collection_that_gives_its_labels_away_is_warned_of(caplog):
    warn_of_shortcuts({"recording_metadata": 0.32, "simple_statistics": 0.49, "unknown": None})
    assert [record.getMessage() for record in caplog.records] == [
        "recording_metadata alone tell the labels with an EER of 32.0 %; 50 % is chance"
    ]


def test_a_folder_in_use_is_not_overwritten(manifest, tmp_path):
    (tmp_path / "precious").write_text("x")
    with pytest.raises(UsageError, match="not empty"):
        train(manifest, tmp_path, "lfcc-gmm", PLAN)


def test_a_place_that_cannot_hold_the_model_is_refused_before_the_work(manifest, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="give another folder"):
        train(manifest, tmp_path / "file" / "model", "lfcc-gmm", PLAN)


def test_a_clip_of_a_few_milliseconds_is_named(tmp_path):
    soundfile.write(tmp_path / "blip.wav", np.zeros(160, np.float32), 16_000)
    with pytest.raises(InputError, match=r"blip\.wav: 0\.01 s"):
        load_clips([tmp_path / "blip.wav"], min_duration_s=0.5)
    assert len(load_sounds(None, tmp_path).rooms) == 1  # a room response may be short


def test_unknown_words_in_an_about_file_are_refused(tmp_path):
    path = tmp_path / "about.toml"
    path.write_text('sumary = "x"\n')
    with pytest.raises(UsageError, match="sumary"):
        read_about(path)
