"""Training a network of copy-synthesis: genuine clips alone, a folder that is whole, and a run that goes on."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import sound_files as sounds
from click.testing import CliRunner

pytest.importorskip("torch")

from covoguard.cli.dataset import dataset
from covoguard.cli.models import models
from covoguard.core.errors import CovoguardError, IntegrityError, ModelMissing, UsageError
from covoguard.core.modelcard import open_model, seal_model
from covoguard.datasets.copies.neural.copier import WEIGHTS, NeuralCopy
from covoguard.datasets.copies.neural.istft import IstftShape, IstftVocoder
from covoguard.datasets.copies.neural.network import NETWORKS
from covoguard.datasets.copies.neural.train import TrainingPlan
from covoguard.datasets.degrade.chain import ChainRecipe, Sounds
from covoguard.pipeline import train_copier as module
from covoguard.pipeline.neural_copies import is_neural, open_neural
from covoguard.pipeline.train_copier import CHECKPOINT, CopierOrder, train_copier
from covoguard.pipeline.training_clips import open_clips
from covoguard.pipeline.training_sounds import SoundPlan, prepare_sounds
from covoguard.pipeline.training_tables import CopySynthesisConfig

ORDER = CopierOrder("istft", "tiny", minutes=None, steps=3)
QUIET = {"report": lambda line: None}


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """A variant that trains in no time, on batches of two."""
    monkeypatch.setitem(IstftVocoder.variants, "tiny", IstftShape(160, 640, 7600, 16, 1))
    plan = TrainingPlan.__init__
    monkeypatch.setattr(
        TrainingPlan, "__init__", lambda self, **given: plan(self, **given, batch=2, crop_samples=1600, judged_from=1.1)
    )


@pytest.fixture
def manifest(tmp_path):
    """Three genuine clips, a spoof that must not be heard, a silent clip and one that is missing."""
    lines = ["clip,file,label,source,license"]
    for number in range(3):
        sound = sounds.speech_like(0.6, 16_000, seed=number)
        (tmp_path / f"{number}.wav").write_bytes(sounds.wave(sounds.pcm16(sound)))
        lines.append(f"{number},{number}.wav,bonafide,home,own")
    (tmp_path / "silent.wav").write_bytes(sounds.wave(sounds.pcm16(np.zeros(8000, np.float32))))
    (tmp_path / "spoof.wav").write_bytes(b"no sound: it must not even be opened")
    lines += ["s,silent.wav,bonafide,home,own", "x,spoof.wav,spoof,,", "m,missing.wav,bonafide,home,own"]
    path = tmp_path / "clips.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def trained(manifest, tmp_path):
    train_copier(manifest, tmp_path / "model", ORDER, **QUIET)
    return tmp_path / "model"


def test_the_folder_is_whole_and_its_card_says_what_was_heard(manifest, tmp_path):
    lines = []
    card = train_copier(manifest, tmp_path / "model", ORDER, report=lines.append)
    model = open_model(tmp_path / "model")
    assert model.part == ("copier", "istft")
    assert dict(model.card) == json.loads(json.dumps(card))
    assert card["training"]["data"]["clips"] == 3
    assert card["training"]["data"]["sources"] == {"home": 3}
    assert card["training"]["plan"]["seed"] == 1
    assert (card["kind"], card["family"]) == ("vocoder-copy-synthesis", "neural-istft")
    assert card["measured"]["clips_were_trained_on"] is True
    left_out = [line for line in lines if line.startswith("left out")]
    assert len(left_out) == 2
    assert all(name in "".join(left_out) for name in ("silent.wav", "missing.wav"))
    assert not (tmp_path / "model.training").exists()


def test_a_trained_folder_copies_as_every_method_does(trained):
    method = NeuralCopy.open(trained)
    sound = sounds.speech_like(0.5, 16_000, seed=7)
    before = sound.copy()
    copied = method.copy(sound, np.random.default_rng(1))
    assert (copied.dtype, copied.shape) == (np.float32, sound.shape)
    assert np.isfinite(copied).all()
    assert np.abs(copied).max() > 0
    assert np.array_equal(copied, NeuralCopy.open(trained).copy(sound, np.random.default_rng(1)))
    assert np.array_equal(sound, before)
    for count in (1, 160, 8000):
        assert not method.copy(np.zeros(count, np.float32), np.random.default_rng(1)).any()
        assert method.copy(sound[:count], np.random.default_rng(1)).shape == (min(count, len(sound)),)
    assert method.name == f"neural-istft-tiny-{method.model_sha256[:6]}"
    assert (method.kind, method.family) == ("vocoder-copy-synthesis", "neural-istft")
    assert all(isinstance(value, int | float | str) for _, value in method.settings)


def test_the_same_steps_and_seed_give_the_same_weights_and_another_seed_others(manifest, trained, tmp_path):
    again = train_copier(manifest, tmp_path / "again", ORDER, **QUIET)
    other = train_copier(manifest, tmp_path / "other", dataclasses.replace(ORDER, seed=2), **QUIET)
    assert again["id"] == other["id"] == "neural-istft-tiny"
    weights = [open_model(tmp_path / name).model_sha256 for name in ("model", "again", "other")]
    assert weights[0] == weights[1] != weights[2]


def test_a_run_that_was_stopped_goes_on_and_ends_alike(manifest, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_CHECKPOINT_S", 0.0)
    monkeypatch.setattr(module, "_REPORT_STEPS", 2)

    def stop(line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_copier(
            manifest, tmp_path / "resumed", ORDER, report=lambda line: line.startswith("step 2") and stop(line)
        )
    assert not (tmp_path / "resumed").exists()
    lines = []
    train_copier(manifest, tmp_path / "resumed", ORDER, report=lines.append)
    assert "going on after step 1" in lines
    assert open_model(tmp_path / "resumed").model_sha256 == open_model(trained).model_sha256


def test_work_of_another_order_is_not_mixed_in(manifest, tmp_path, monkeypatch):
    def full(self, write):
        raise CovoguardError("disk full", code="output_error")

    with monkeypatch.context() as patched:
        patched.setattr(module.TrainingFolder, "publish", full)
        with pytest.raises(CovoguardError, match="disk full"):
            train_copier(manifest, tmp_path / "model", ORDER, **QUIET)
    assert not (tmp_path / "model").exists()
    with pytest.raises(UsageError, match="differs in seed"):
        train_copier(manifest, tmp_path / "model", dataclasses.replace(ORDER, seed=9), **QUIET)
    (tmp_path / "model.training" / CHECKPOINT).write_bytes(b"torn")
    with pytest.raises(IntegrityError, match="remove it"):
        train_copier(manifest, tmp_path / "model", ORDER, **QUIET)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (dataclasses.replace(ORDER, kind="vocoder-9000"), "known: excitation, flow, istft"),
        (dataclasses.replace(ORDER, variant="z"), "no variant 'z'; known: a, b"),
        (dataclasses.replace(ORDER, minutes=3.0), "either minutes or steps"),
    ],
)
def test_a_wrong_order_is_refused_before_anything_is_read(tmp_path, order, message):
    with pytest.raises(UsageError, match=message):
        train_copier(tmp_path / "not there.csv", tmp_path / "model", order, **QUIET)
    assert list(tmp_path.iterdir()) == []


def test_without_usable_genuine_speech_nothing_is_begun(manifest, tmp_path):
    for row in ("x,spoof.wav,spoof,,", "s,silent.wav,bonafide,home,own"):
        manifest.write_text(f"clip,file,label,source,license\n{row}\n")
        with pytest.raises(UsageError, match="genuine"):
            train_copier(manifest, tmp_path / "model", ORDER, **QUIET)
    assert not (tmp_path / "model.training").exists()


# --- model folders -----------------------------------------------------------------------------------------


def changed(trained, place, change):
    shutil.copytree(trained, place)
    card = json.loads((place / "card.json").read_text())
    change(card)
    (place / "card.json").write_text(json.dumps(card))
    seal_model(place)
    return place


def test_folders_that_do_not_fit_are_refused(trained, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelMissing):
        NeuralCopy.open(tmp_path / "empty")
    wider = changed(trained, tmp_path / "wider", lambda card: card["shape"].update(width=32))
    worded = changed(trained, tmp_path / "worded", lambda card: card["shape"].update(width="wide"))
    unknown = changed(trained, tmp_path / "unknown", lambda card: card.update(copier="vocoder-9000"))
    lacking = changed(trained, tmp_path / "lacking", lambda card: card.pop("shape"))
    for folder in (wider, worded, unknown, lacking):
        with pytest.raises(IntegrityError, match="train it again"):
            NeuralCopy.open(folder)
    detector = changed(trained, tmp_path / "detector", lambda card: card.update(detector=card.pop("copier")))
    with pytest.raises(UsageError, match="a model of the detector istft; to copy speech"):
        NeuralCopy.open(detector)
    (trained / WEIGHTS).write_bytes(b"swapped")
    with pytest.raises(IntegrityError):
        NeuralCopy.open(trained)


def test_a_method_is_named_by_its_folder(trained, tmp_path):
    assert is_neural(f"neural:{trained}")
    assert not is_neural("griffin-lim")
    assert open_neural(f"neural:{trained}").name == NeuralCopy.open(trained).name
    for name in ("neural:", "griffin-lim"):
        with pytest.raises(UsageError, match="give neural:FOLDER"):
            open_neural(name)
    with pytest.raises(ModelMissing):
        open_neural(f"neural:{tmp_path / 'elsewhere'}")


def test_the_card_is_a_page(trained):
    result = CliRunner().invoke(models, ["show", "--model", str(trained)])
    assert result.exit_code == 0, result.output
    for words in ("neural-istft-tiny@1", "| home | 3 |", "| own | 3 |", "log-mel distance", "width: 16"):
        assert words in result.stdout


# --- command line ------------------------------------------------------------------------------------------


def test_the_help_names_every_network_and_the_variants_they_share():
    text = " ".join(CliRunner().invoke(dataset, ["train-copier", "--help"]).stdout.split())
    for name in NETWORKS.names():
        assert name in text
        assert {"a", "b"} <= NETWORKS.get(name).variants.keys()
    assert "a or b" in text


def test_the_command_trains_and_says_so(manifest, tmp_path):
    arguments = ["train-copier", "istft", str(manifest), "-o", str(tmp_path / "m"), "--variant", "tiny"]
    result = CliRunner().invoke(dataset, [*arguments, "--steps", "2"])
    assert result.exit_code == 0, result.output
    assert "neural-istft-tiny, 2 steps, log-mel distance" in result.stderr
    assert result.stdout == ""
    taken = CliRunner().invoke(dataset, [*arguments, "--steps", "2"])
    assert isinstance(taken.exception, UsageError)
    both = CliRunner().invoke(dataset, [*arguments, "--steps", "2", "--minutes", "1"])
    assert both.exit_code == 2


def test_a_data_set_is_built_through_the_network_and_names_it(trained, manifest, tmp_path):
    name = NeuralCopy.open(trained).name
    ran = CliRunner().invoke(
        dataset, ["build", str(manifest), "-o", str(tmp_path / "spoofs"), "--spoof", f"neural:{trained}", "--json"]
    )
    made = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [record["method"] for record in made if record["status"] == "added"] == [name] * 3
    nameless = CliRunner().invoke(dataset, ["build", str(manifest), "-o", str(tmp_path / "x"), "--spoof", "neural:"])
    assert isinstance(nameless.exception, UsageError)
    assert "neural:FOLDER" in str(nameless.exception)


def test_a_detector_is_trained_on_copies_of_the_network(trained, manifest, tmp_path):
    rows = manifest.read_text().splitlines()
    (tmp_path / "fake.wav").write_bytes((tmp_path / "0.wav").read_bytes())
    manifest.write_text("\n".join([*rows[:4], "f,fake.wav,spoof,,"]) + "\n")
    clips = open_clips(manifest, needs_folds=False)
    plan = SoundPlan(CopySynthesisConfig(copiers=(trained,), share=0.5).names, 1, ChainRecipe(clean=1.0), 3)
    made = prepare_sounds(clips, plan, Sounds(), tmp_path / "sounds", jobs=1)
    network = NeuralCopy.open(trained)
    copies = [item for item in made.items if item.is_made]
    assert [(item.row.generator, item.row.family, item.original) for item in copies] == [
        (network.name, network.family, number) for number in range(3)
    ]
    assert all(made.length(number) for number in range(len(made.items)))
