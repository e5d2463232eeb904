"""The fit on made-up scores whose best fusion is known, and the detector that adds the scores of its members."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest

from covoguard.core.errors import IntegrityError, ModelMissing, UsageError
from covoguard.core.modelcard import seal_model
from covoguard.core.records import Audio, Evidence, Segment
from covoguard.detect.calibration import Calibration, CalibrationBin, fit_affine
from covoguard.detect.fusion import FusionWeights, fit_fusion
from covoguard.detect.metrics.cllr import cllr
from covoguard.detect.metrics.trials import ScoresError
from covoguard.detect.registry import SCORERS
from covoguard.detect.scorers.fusion import FusionScorer
from covoguard.detect.scoring import bundled_folder
from covoguard.pipeline.make_fusion_detector import make_fusion_model
from covoguard.pipeline.models import load_scorer, model_page

HALF = FusionWeights((0.5, 0.25), -1.0)


def gaussian_scores(n_spoof, n_bonafide, means, *, seed=0):
    """Independent scores N(+-means, 1) (n, k): their natural log likelihood ratio is 2 * means . scores."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n_spoof + n_bonafide) < n_spoof
    return np.where(labels[:, None], means, np.negative(means)) + rng.standard_normal((len(labels), len(means))), labels


# --- the fit -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prior_spoof", [0.5, 0.1])
@pytest.mark.parametrize("n_bonafide", [20_000, 4_000])
def test_known_weights_are_found_whatever_the_prior_and_the_balance(prior_spoof, n_bonafide):
    scores, labels = gaussian_scores(20_000, n_bonafide, [1.0, 0.5, 0.0])
    shifted = scores * [1.0, 10.0, 1.0] + [3.0, 0.0, -7.0]
    fitted = fit_fusion(shifted, labels, prior_spoof=prior_spoof)
    np.testing.assert_allclose(np.array(fitted.weights) * [1, 10, 1], [2.0, 1.0, 0.0], atol=0.1)
    assert fitted.offset == pytest.approx(-6.0 + 7 * fitted.weights[2] + 3 * (2 - fitted.weights[0]), abs=0.1)


def test_on_held_out_scores_it_is_worth_more_than_any_member_calibrated_alone():
    scores, labels = gaussian_scores(500, 700, [1.0, 0.7, 0.4], seed=1)
    held_out, truth = gaussian_scores(3_000, 3_000, [1.0, 0.7, 0.4], seed=2)
    weights = fit_fusion(scores, labels)
    fused = cllr([weights.fuse(row) / math.log(10) for row in held_out.tolist()], truth)
    for column, unseen in zip(scores.T, held_out.T, strict=True):
        alone = fit_affine(column, labels)
        assert fused < cllr(alone.slope * unseen + alone.offset, truth) - 0.05


def test_what_a_member_hears_of_anothers_error_is_taken_back():
    """The second hears only the noise of the first: its weight is below 0."""
    rng = np.random.default_rng(3)
    labels = np.arange(4_000) < 2_000
    noise = rng.standard_normal(4_000)
    scores = np.stack([np.where(labels, 1.0, -1.0) + noise, noise + 0.5 * rng.standard_normal(4_000)], axis=1)
    first, second = fit_fusion(scores, labels).weights
    assert first > 2.5
    assert second < -1.0


def test_one_column_is_the_calibration_of_that_detector():
    scores, labels = gaussian_scores(300, 200, [1.0])
    fitted, affine = fit_fusion(scores, labels, l2=1e-3), fit_affine(scores[:, 0], labels, l2=1e-3)
    assert fitted.weights[0] / math.log(10) == pytest.approx(affine.slope, rel=1e-6)
    assert fitted.offset / math.log(10) == pytest.approx(affine.offset, abs=1e-6)


def test_classes_that_do_not_overlap_and_scores_all_alike_give_finite_weights():
    scores = np.array([[-1.0, 0.1], [-2.0, 0.1], [1.0, 0.1], [2.0, 0.1]])
    fitted = fit_fusion(scores, [False, False, True, True])
    assert np.isfinite([*fitted.weights, fitted.offset]).all()
    assert fitted.weights[0] > 0
    assert fitted.weights[1] == 0.0


def test_members_that_say_the_same_share_the_weight():
    scores, labels = gaussian_scores(4_000, 4_000, [1.0])
    first, second = fit_fusion(np.repeat(scores, 2, axis=1), labels).weights
    assert first == pytest.approx(second)
    assert first + second == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize(
    ("scores", "labels"),
    [
        ([[1.0], [2.0]], [True, True]),
        ([[1.0], [math.nan]], [True, False]),
        ([1.0, 2.0], [True, False]),
        ([[], []], [True, False]),
        ([[1.0], [2.0]], [True]),
        ([["a"], ["b"]], [True, False]),
    ],
    ids=["one class", "NaN", "flat", "no column", "labels short", "text"],
)
def test_scores_that_cannot_be_fused_are_refused(scores, labels):
    with pytest.raises(ScoresError):
        fit_fusion(scores, labels)


@pytest.mark.parametrize("settings", [{"prior_spoof": 0.0}, {"prior_spoof": 1.0}, {"l2": 0.0}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(UsageError):
        fit_fusion([[1.0], [0.0]], [True, False], **settings)


def test_fusing_takes_one_score_per_member():
    assert HALF.fuse([2.0, 4.0]) == 1.0
    with pytest.raises(ScoresError, match="3 scores for 2 members"):
        HALF.fuse([1.0, 2.0, 3.0])


# --- the detector ------------------------------------------------------------------------------------------


def voice(duration_s=5.0, rate_hz=16_000):
    time = np.arange(int(rate_hz * duration_s)) / rate_hz
    buzz = sum(np.sin(2 * np.pi * 130 * k * time) / k for k in range(1, 20)) * (1 + np.sin(2 * np.pi * 3 * time))
    return Audio((0.2 * buzz).astype(np.float32), rate_hz)


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """One detector with its bundled model, one with a copy of the bundled model in a folder of its own."""
    copy = tmp_path_factory.mktemp("members") / "mine"
    shutil.copytree(bundled_folder("lfcc-gmm"), copy)
    (copy / "notes.txt").write_text("no part of the model")
    return [load_scorer(None, None), load_scorer(None, copy)]


@pytest.fixture(scope="module")
def made(members, tmp_path_factory):
    return make_fusion_model(members, HALF, tmp_path_factory.mktemp("fusions") / "fusion").path


@pytest.fixture
def folder(made, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(made, tmp_path / "fusion")


@pytest.fixture(scope="module")
def scorer(made):
    return load_scorer(None, made)


def edit_weights(folder, edit):
    content = json.loads((folder / "fusion.json").read_text())
    edit(content)
    (folder / "fusion.json").write_text(json.dumps(content))
    seal_model(folder)


def test_the_folder_holds_the_models_that_are_not_bundled_and_nothing_else(made):
    first, second = json.loads((made / "fusion.json").read_text())["members"]
    assert (first["detector"], first["path"]) == ("logband-resnet", None)
    assert (second["detector"], second["path"]) == ("lfcc-gmm", "member-1-lfcc-gmm")
    assert sorted(path.name for path in made.iterdir()) == ["SHA256SUMS", "card.json", "fusion.json", second["path"]]
    assert not (made / second["path"] / "notes.txt").exists()


def test_the_score_is_the_weighted_sum_of_the_members_and_no_ratio(scorer, members):
    alone = [member.score(voice()) for member in members]
    evidence = scorer.score(voice())
    assert evidence.score == pytest.approx(0.5 * alone[0].score + 0.25 * alone[1].score - 1.0)
    assert (evidence.kind, evidence.status, evidence.log10_lr) == ("artifact", "scored", None)
    assert (evidence.method, evidence.model_sha256) == (scorer.model.id, scorer.model.model_sha256)
    heard = {(window.start_s, window.end_s) for each in alone for window in each.segments}
    assert evidence.segments == tuple(Segment(*span) for span in sorted(heard))


def test_the_same_samples_give_the_same_bits(scorer, made):
    assert scorer.score(voice(2.0)) == scorer.score(voice(2.0)) == FusionScorer.load(made).score(voice(2.0))


def test_regions_decide_what_every_member_hears(scorer):
    changed = voice().samples.copy()
    changed[3 * 16_000 :] = 0.5
    region = [Segment(0.0, 2.5)]
    assert scorer.score(voice(), regions=region) == scorer.score(Audio(changed, 16_000), regions=region)


@pytest.mark.parametrize(
    "samples",
    [np.zeros(32_000), np.zeros(0), np.ones(160), np.full(32_000, np.nan), np.ones((2, 32_000))],
    ids=["silence", "empty", "10 ms", "NaN", "stereo"],
)
def test_what_cannot_be_scored_is_not_scored(scorer, samples):
    evidence = scorer.score(Audio(samples.astype(np.float32), 16_000))
    assert (evidence.status, evidence.score, evidence.log10_lr) == ("not_scored", None, None)


def test_a_member_without_a_score_or_a_sum_beyond_all_measure_leaves_the_file_unscored(scorer, members):
    class Deaf:
        def score(self, audio, *, regions=None):
            return Evidence("artifact", "deaf", "not_scored")

    for second, weights in ((Deaf(), HALF), (members[1], FusionWeights((1e308, 1e308), 1e308))):
        evidence = FusionScorer(scorer.model, None, [members[0], second], weights).score(voice())
        assert (evidence.status, evidence.score, evidence.segments) == ("not_scored", None, ())


def test_a_calibration_in_the_folder_gives_the_ratio_of_the_file(folder, scorer):
    calibration = Calibration((CalibrationBin(0.0, 9.0, 9.0), CalibrationBin(1.5, 2.0, 0.25)), clip_log10_lr=1e6)
    (folder / "calibration.json").write_text(calibration.to_json())
    seal_model(folder)
    plain = scorer.score(voice(2.0))
    assert FusionScorer.load(folder).score(voice(2.0)) == replace(plain, log10_lr=2.0 * plain.score + 0.25)


def test_without_a_folder_it_says_how_to_get_one():
    with pytest.raises(ModelMissing, match="no model of fusion comes with covoguard; fit weights"):
        SCORERS.get("fusion").load()


def test_another_model_in_a_members_place_is_refused(folder):
    edit_weights(folder, lambda content: content["members"][1].update(model_sha256="0" * 64))
    with pytest.raises(IntegrityError, match="not the model of lfcc-gmm"):
        FusionScorer.load(folder)


def test_a_member_that_is_gone_or_damaged_is_named(folder):
    member = folder / "member-1-lfcc-gmm"
    (member / "calibration.json").write_text("{}")
    with pytest.raises(IntegrityError, match=r"member-1-lfcc-gmm/calibration\.json"):
        FusionScorer.load(folder)
    shutil.rmtree(member)
    with pytest.raises(ModelMissing, match="member-1-lfcc-gmm"):
        FusionScorer.load(folder)


def edit_member(**changes):
    return lambda content: content["members"][1].update(changes)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (edit_member(path="../elsewhere"), "not a folder inside"),
        (edit_member(path="/etc"), "not a folder inside"),
        (edit_member(path=""), "not a folder inside"),
        (edit_member(detector="fusion"), "a fusion of fusions"),
        (edit_member(detector="nonsense"), "no detector 'nonsense'"),
        (edit_member(detector="logband-resnet"), "of the detector lfcc-gmm, not of"),
        (lambda content: content["members"].pop(), "1 members and 2 weights"),
        (lambda content: content["weights"].update(offset=math.nan), "not a finite number"),
        (lambda content: content.pop("weights"), "weights is missing"),
    ],
)
def test_weights_that_are_not_in_form_are_refused(folder, edit, message):
    edit_weights(folder, edit)
    with pytest.raises(IntegrityError, match=message):
        FusionScorer.load(folder)


def test_what_cannot_be_made_leaves_nothing(scorer, members, tmp_path):
    with pytest.raises(UsageError, match="a fusion of fusions"):
        make_fusion_model([scorer, members[0]], HALF, tmp_path / "out")
    with pytest.raises(UsageError, match="1 members and 2 weights"):
        make_fusion_model(members[:1], HALF, tmp_path / "out")
    gone = replace(members[1].model, path=tmp_path / "gone")
    with pytest.raises(UsageError, match="gone"):
        make_fusion_model([members[0], type(members[1])(gone, None, ())], HALF, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match="is there already"):
        make_fusion_model(members, HALF, tmp_path)


def test_the_page_of_a_fusion_names_its_members_and_their_weights(made):
    page = model_page(None, made)
    assert page.startswith("# fusion@")
    assert "| logband-resnet@" in page
    assert f"{HALF.weights[0]:.4f}" in page
