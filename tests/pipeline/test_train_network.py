"""`covoguard train` as a whole, on a tiny made-up collection: what comes out, what a kill leaves, what is refused."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from labelled_clips import read_rows, speechlike, write_collection, write_rows

from covoguard.cli.train import train
from covoguard.core.errors import CovoguardError, InputError, IntegrityError, UsageError
from covoguard.core.modelcard import open_model
from covoguard.core.records import Audio
from covoguard.datasets.degrade.conditions import CONDITIONS
from covoguard.detect.network import load_detector
from covoguard.detect.session import open_graph, score_of
from covoguard.pipeline import train_network, training_trials
from covoguard.pipeline.models import load_scorer, model_page
from covoguard.pipeline.training_members import NetworkLearner

SMALL = """
[data]
collection = "clips/manifest.csv"
cache = "cache"
[detector]
kind = "{kind}"
[augmentation]
copies = 1
crop_s = 0.5
clean = 1.0
[validation]
mode = "{mode}"
[about]
licence = "Apache-2.0"
not_for = ["anything real"]
"""
NETWORK = "[sampling]\nbatch = 4\n[training]\nepochs = 1\n"
CLIPS = 40
CHEAP = ("clean", "low-pass-4k", "pink-noise-10-db")


@pytest.fixture(scope="module", autouse=True)
def few_conditions():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_trials, "CONDITIONS", {name: CONDITIONS[name] for name in CHEAP})
        yield


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A folder with a collection and a cache that all trainings here share."""
    folder = tmp_path_factory.mktemp("shelf")
    write_collection(folder / "clips", CLIPS, duration_s=0.8)
    return folder


def run(shelf, place, kind="logband-resnet", mode="folds", more=NETWORK, jobs=1):
    config = shelf / f"{kind}-{mode}.toml"
    config.write_text(SMALL.format(kind=kind, mode=mode) + more)
    return CliRunner().invoke(train, [str(config), "-o", str(place), "--jobs", str(jobs), "--device", "cpu"])


def ended(result):
    """Exit code, as `covoguard` gives it."""
    return result.exception.exit_code if isinstance(result.exception, CovoguardError) else result.exit_code


@pytest.fixture(scope="module")
def trained(shelf):
    result = run(shelf, shelf / "trained")
    assert ended(result) == 0, result.exception
    return shelf / "trained", result


def test_the_model_folder_is_whole_and_its_card_tells_all(trained):
    folder, result = trained
    card = open_model(folder).card
    assert f"held-out EER {100 * card['figures']['eer_pooled']:.1f} %" in result.stdout
    assert card["training"]["clips"] == {"bonafide": CLIPS // 2, "spoof": CLIPS // 2}
    assert (card["training"]["families"], card["training"]["bonafide_sources"]) == (4, 4)
    assert card["training"]["recipe"]["epochs"] == 1
    assert len(card["training"]["networks"]) == 2
    assert set(card["figures"]["eer_by_condition"]) == set(CHEAP)
    assert set(card["figures"]["eer_by_family"]) == {"F00", "F01", "F10", "F11"}
    assert card["shortcut_probe_eer"]["recording_metadata"] == pytest.approx(0.5)
    page = model_page(None, folder)
    assert "anything real" in page
    assert "| F11 |" in page
    assert "the mean of 2 models, trained without one fold each" in page
    assert not list(folder.parent.glob("trained.training*"))


def test_the_model_scores_through_the_scorer_of_its_kind(trained):
    folder, _ = trained
    scorer = load_scorer(None, folder)
    evidence = scorer.score(Audio(speechlike(np.random.default_rng(3), True, 2.0), 16_000))
    assert evidence.status == "scored"
    assert evidence.log10_lr is not None
    assert evidence.model_sha256 == open_model(folder).model_sha256


def test_the_graph_is_the_network(trained):
    import torch

    model = open_model(trained[0])
    session, network = open_graph(model.read_bytes("model.onnx")), load_detector(model)
    for length in (8_000, 20_001):
        samples = speechlike(np.random.default_rng(4), True, 2.0)[:length]
        with torch.no_grad():
            expected = float(network(torch.from_numpy(samples)[None])[0])
        assert score_of(session, samples) == pytest.approx(expected, abs=1e-4)


def test_held_out_scores_are_those_of_the_model_that_never_heard_the_clip(trained):
    folder, _ = trained
    lines = (folder / "held_out.csv").read_text().splitlines()
    assert len(lines) == 1 + CLIPS
    assert all(name in lines[0] for name in CHEAP)


def test_a_trained_model_with_one_changed_byte_is_refused(trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / "model")
    weights = tmp_path / "model" / open_model(trained[0]).card["weights"]
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"model\.onnx"):
        load_scorer(None, tmp_path / "model")


def test_a_place_that_is_taken_is_refused_before_any_work(trained, shelf):
    again = run(shelf, trained[0])
    assert ended(again) == 2
    assert "not empty" in again.exception.message


def test_a_place_that_cannot_hold_the_model_is_refused_before_any_work(shelf, tmp_path, monkeypatch):
    monkeypatch.setattr(train_network, "prepare_sounds", lambda *_, **__: pytest.fail("work was begun"))
    (tmp_path / "file").write_text("x")
    result = run(shelf, tmp_path / "file" / "model")
    assert ended(result) == 2
    assert str(tmp_path / "file" / "model") in result.exception.message


def test_a_run_that_was_stopped_goes_on_and_ends_with_the_same_bytes(trained, shelf, monkeypatch):
    folder, place = trained[0], shelf / "stopped"
    real, fitted = NetworkLearner.fit, []

    def stopping(self, member, sounds):
        fitted.append(member.name)
        if member.fold == "1" and len(fitted) == 2:
            raise KeyboardInterrupt
        return real(self, member, sounds)

    monkeypatch.setattr(NetworkLearner, "fit", stopping)
    run(shelf, place)
    assert not place.exists(), "nothing that looks whole"
    other = run(shelf, place, more=NETWORK.replace("epochs = 1", "epochs = 2"))
    assert ended(other) == 2
    assert "another command" in other.exception.message
    scored = []
    monkeypatch.setattr(train_network, "hear_clips", counting(train_network.hear_clips, scored))
    assert ended(run(shelf, place)) == 0
    assert len(scored) == 1, "the scores of the first fold were kept"
    for name in ("model.safetensors", "held_out.csv", "calibration.json", "domain.safetensors"):
        assert (place / name).read_bytes() == (folder / name).read_bytes()


def test_members_side_by_side_are_those_that_one_process_trains(trained, shelf, monkeypatch):
    real, alone = NetworkLearner.fit, []

    def watching(self, member, sounds):
        alone.append((self._around.work / member.name).is_dir())
        return real(self, member, sounds)

    monkeypatch.setattr(NetworkLearner, "fit", watching)  # of this process: the others have their own
    place = shelf / "side-by-side"
    assert ended(run(shelf, place, jobs=2)) == 0
    assert alone == [True, True], "both were there already"
    assert (place / "model.safetensors").read_bytes() == (trained[0] / "model.safetensors").read_bytes()


def test_a_member_whose_process_fails_is_told_of_where_it_is_tried_again(shelf, tmp_path):
    result = run(shelf, tmp_path / "model", more=NETWORK + "learning_rate = 1e30\n", jobs=2)
    assert isinstance(result.exception, UsageError)
    assert "learning_rate" in result.exception.message
    assert not (tmp_path / "model").exists()


def test_the_gate_knows_what_the_detector_was_made_for(trained):
    model = open_model(trained[0])
    assert model.card["domain"]["held_out_recordings"] == CLIPS * len(CHEAP)
    assert model.card["domain"]["dimensions"] == 2 * 256, "both members side by side"
    scorer = load_scorer(None, trained[0])
    known = scorer.score(Audio(speechlike(np.random.default_rng(3), True, 2.0), 16_000))
    tone = np.sin(2 * np.pi * 440 * np.arange(32_000) / 16_000).astype(np.float32)
    strange = scorer.score(Audio(0.1 * tone, 16_000))
    assert known.domain.verdict == "in"
    assert strange.domain.distance > known.domain.distance


def counting(function, calls):
    def counted(*arguments, **named):
        calls.append(arguments)
        return function(*arguments, **named)

    return counted


def test_a_detector_of_all_clips_without_figures_scores_without_a_ratio(shelf):
    result = run(shelf, shelf / "unmeasured", mode="none")
    assert ended(result) == 0, result.exception
    assert "not measured" in result.stdout
    assert "domain.safetensors" not in open_model(shelf / "unmeasured").checksums, "nothing to judge distances by"
    evidence = load_scorer(None, shelf / "unmeasured").score(Audio(speechlike(np.random.default_rng(3), True), 16_000))
    assert (evidence.status, evidence.log10_lr) == ("scored", None)
    page = model_page(None, shelf / "unmeasured")
    assert "None: all clips were trained on." in page
    assert "the mean of 1 models, trained on all clips" in page


def test_the_mixtures_are_trained_by_the_same_command(shelf):
    result = run(shelf, shelf / "mixtures", kind="lfcc-gmm", mode="final", more="")
    assert ended(result) == 0, result.exception
    card = json.loads((shelf / "mixtures" / "card.json").read_text())
    assert card["figures"]["eer_pooled"] < 0.3
    scorer = load_scorer(None, shelf / "mixtures")
    genuine, spoof = (scorer.score(Audio(speechlike(np.random.default_rng(3), s, 2.0), 16_000)) for s in (False, True))
    assert genuine.status == spoof.status == "scored"
    assert spoof.score > genuine.score
    assert spoof.log10_lr >= genuine.log10_lr
    assert "| F11 |" in model_page(None, shelf / "mixtures")


@pytest.mark.parametrize(
    ("change", "error", "code", "named"),
    [
        ({"file": "gone.flac"}, InputError, 3, "gone.flac"),
        ({"label": "spoof"}, UsageError, 2, "label spoof"),
        ({"fold": "0"}, UsageError, 2, "one fold"),
    ],
)
def test_a_collection_that_cannot_be_trained_on_is_refused(shelf, tmp_path, change, error, code, named):
    rows = [
        row | {"file": str(shelf / "clips" / row["file"])} | change for row in read_rows(shelf / "clips/manifest.csv")
    ]
    (tmp_path / "clips").mkdir()
    write_rows(tmp_path / "clips" / "manifest.csv", rows)
    result = run(tmp_path, tmp_path / "model")
    assert isinstance(result.exception, error)
    assert ended(result) == code
    assert named in result.exception.message
    assert not list(tmp_path.glob("model*")), "refused before any work"


def test_a_start_of_another_kind_is_refused(shelf, trained):
    start = f'start = "{trained[0]}"\n'
    config = shelf / "start.toml"
    config.write_text(SMALL.format(kind="aasist", mode="folds").replace('"aasist"\n', f'"aasist"\n{start}') + NETWORK)
    result = CliRunner().invoke(train, [str(config), "-o", str(shelf / "no"), "--jobs", "1"])
    assert isinstance(result.exception, IntegrityError)
    assert "logband-resnet" in result.exception.message
    assert not (shelf / "no").exists()


def test_a_disk_that_takes_no_more_is_told_and_leaves_nothing_that_looks_whole(shelf, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "model.onnx")

    monkeypatch.setattr("covoguard.pipeline.training_members.export_graph", lambda *_, **__: full())
    result = run(shelf, tmp_path / "model", mode="none")
    assert result.exception.code == "output_error"
    assert "No space left" in result.exception.message
    assert not (tmp_path / "model").exists()


def test_without_a_configuration_the_command_says_what_it_needs(tmp_path):
    result = CliRunner().invoke(train, [])
    assert isinstance(result.exception, UsageError)
    assert "--example" in result.exception.message
    assert "[early_stop]" in CliRunner().invoke(train, ["--example"]).stdout
