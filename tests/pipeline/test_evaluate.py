"""An evaluation from a manifest and scores to its record: figures by hand, groups, thresholds, refusals."""

import csv
import json
from dataclasses import asdict, replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import covoguard
from covoguard.core.errors import InputError, UsageError
from covoguard.core.scanrecord import (
    Decision,
    DetectorResult,
    InputFacts,
    Marks,
    PolicyRef,
    QualityFacts,
    RecordError,
    ScanRecord,
    Timing,
    Tool,
)
from covoguard.detect.calibration import fit_affine
from covoguard.detect.metrics.cllr import cllr
from covoguard.detect.metrics.eer import eer
from covoguard.detect.policy import Thresholds, load_policy
from covoguard.detect.registry import SCORERS
from covoguard.pipeline.evaluate import EvaluationPlan, evaluate
from covoguard.pipeline.evaluation_groups import band
from covoguard.pipeline.evaluation_rules import WINDOW_RULES
from covoguard.pipeline.evaluation_scores import (
    bundled_trained_on_sha256,
    read_labelled,
    scores_from_csv,
    scores_from_records,
)
from covoguard.pipeline.evaluation_segments import read_segment_labels
from covoguard.pipeline.models import installed_models

POLICY = replace(load_policy(None), thresholds=Thresholds(1.06, -0.66, 1.06))
PLAN = EvaluationPlan(n_resamples=0, min_clips=1)
COLUMNS = ("clip", "file", "label", "fold", "generator", "family", "source", "speaker", "language")
#            clip, label, fold, generator, family, source, speaker, language, score
CLIPS = (
    ("b0", "bonafide", "0", "", "", "S1", "p", "en", -2.0),
    ("b1", "bonafide", "0", "", "", "S1", "q", "de", -1.0),
    ("b2", "bonafide", "1", "", "", "S2", "r", "en", 0.0),
    ("b3", "bonafide", "1", "", "", "S2", "s", "de", 2.0),
    ("s0", "spoof", "0", "A-one", "A", "S1", "", "en", 1.0),
    ("s1", "spoof", "0", "A-two", "A", "S1", "", "de", 3.0),
    ("s2", "spoof", "1", "B-one", "B", "S2", "", "en", -1.5),
    ("s3", "spoof", "1", "B-one", "B", "S2", "", "de", 3.0),
)  # fmt: skip


def write_csv(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture
def manifest(tmp_path):
    rows = [(clip, f"audio/{clip}.wav", *rest) for clip, *rest, _ in CLIPS]
    return write_csv(tmp_path / "manifest.csv", COLUMNS, rows)


@pytest.fixture
def clips(manifest):
    return read_labelled(manifest)


def csv_scores(tmp_path, manifest, clips, *, column="log10_lr", change=None, **settings):
    scores = {clip: score for clip, *_, score in CLIPS} | (change or {})
    path = write_csv(tmp_path / "scores.csv", ("clip", column), scores.items())
    return scores_from_csv(manifest, clips, path, **settings)


@pytest.fixture
def scores(tmp_path, manifest, clips):
    return csv_scores(tmp_path, manifest, clips)


def record_of(clip, log10_lr, *, path=None, error=None, segments=(), model="fake@1"):
    quality = QualityFacts(3.0, 12.0, 7500.0, 0.0, 0.0, 0.5, (-20.0,), "mono", False, False, ((0.0, 3.0),), ())
    status = "scored" if log10_lr is not None else "not_scored"
    return ScanRecord(
        1, "run", 0, None,
        InputFacts(path or f"elsewhere/audio/{clip}.wav", None, codec="mp3", duration_s=5.0),
        None if error else quality,
        () if error else (DetectorResult(model, "0" * 64, status, log10_lr, log10_lr, segments),),
        Marks(), Decision("inconclusive", (), PolicyRef("p@1", "0" * 64), None, None), error, None, Timing(),
        Tool("0", "3", None), None,
    )  # fmt: skip


def records(**changes):
    return [changes.get(clip) or record_of(clip, score) for clip, *_, score in CLIPS]


def table(evaluation, name):
    (found,) = [each for each in evaluation.tables if each.name == name]
    return found


def group(evaluation, name, member):
    (found,) = [each for each in table(evaluation, name).groups if each.name == member]
    return found


def test_pooled_figures_by_hand(manifest, scores):
    pooled = evaluate(manifest, scores, POLICY, PLAN).pooled
    # In order: b-2 s-1.5 b-1 b0 s1 b2 s3 s3. At 1: fpr 1/4 (2), fnr 1/4 (-1.5).
    assert pooled.eer.value == 0.25
    # Pairs won of 16: 1.0 wins 3, 3.0 wins 4 twice, -1.5 wins 1.
    assert pooled.auc.value == pytest.approx(12 / 16)
    # At 3 and above: fnr 1/2, 0.5 * 1/2 / 0.5 = 1/2; from 1 up: (0.95 / 4 + 0.5 / 4) / 0.5 = 0.725.
    assert pooled.min_dcf.value == pytest.approx(0.5)
    # log10 1.9 = 0.279 lies between 0 and 1.
    assert pooled.act_dcf.value == pytest.approx(0.725)
    # The policy's 1.06 lies between 1 and 2: one false alarm in four, two misses in four.
    assert (pooled.fpr.value, pooled.fnr.value) == (0.25, 0.5)
    assert pooled.eer.low is None


def test_groups_are_measured_with_the_right_other_side(manifest, scores):
    evaluation = evaluate(manifest, scores, POLICY, PLAN)
    families = table(evaluation, "family")
    # A: 1 and 3 against -2 -1 0 2. B: -1.5 and 3.
    expected = {
        "A": eer([-2, -1, 0, 2, 1, 3], [0, 0, 0, 0, 1, 1]),
        "B": eer([-2, -1, 0, 2, -1.5, 3], [0, 0, 0, 0, 1, 1]),
    }
    assert {each.name: each.eer.value for each in families.groups} == pytest.approx(expected)
    assert families.macro_mean_eer.value == pytest.approx(np.mean(list(expected.values())))
    assert families.worst == ("B", "A")
    source = group(evaluation, "bona fide source", "S2")  # 0 and 2 against all spoofs
    assert source.eer.value == eer([0, 2, 1, 3, -1.5, 3], [0, 0, 1, 1, 1, 1])
    assert (source.fpr.value, source.fnr.value, source.n_spoof) == (0.5, None, 0)
    within = group(evaluation, "voice pool", "S1")  # -2 and -1 against 1 and 3
    assert (within.eer.value, within.n_bonafide, within.n_spoof, within.fnr.value) == (0.0, 2, 2, 0.5)
    assert group(evaluation, "language", "de").n_bonafide == 2
    assert "codec" not in {each.name for each in evaluation.tables}, "nobody knows the codecs"


def test_small_groups_and_groups_of_one_class_are_undefined_and_say_why(manifest, clips, scores):
    small = group(evaluate(manifest, scores, POLICY, replace(PLAN, min_clips=2)), "generator", "A-one")
    assert (small.eer.value, small.auc, small.fnr.value) == (None, None, None)
    assert small.undefined == "1 spoof clips with a score here; 2 are needed"
    alone = replace(scores, clips=tuple(clip for clip in scores.clips if clip.row.clip_id not in ("s2", "s3")))
    assert group(evaluate(manifest, alone, POLICY, PLAN), "voice pool", "S2").undefined.startswith("no spoof clips")


def test_a_family_left_out_meets_the_threshold_of_the_others(manifest, scores):
    left_out = evaluate(manifest, scores, POLICY, PLAN).left_out
    rows = {row.family: row for row in left_out.families}
    # For A (fold 0): fold 1 has bona fide 0 and 2, B -1.5 and 3. At 2: fpr 1/2, fnr 1/2; the cut is (2 + 0) / 2 = 1.
    assert (rows["A"].threshold, rows["A"].fpr, rows["A"].fnr, rows["A"].eer) == (1.0, 0.0, 0.0, 0.0)
    # For B (fold 1): fold 0 has -2 and -1, A 1 and 3; the cut is 0. Of B -1.5 is missed, and both 0 and 2 are flagged.
    assert (rows["B"].threshold, rows["B"].fpr, rows["B"].fnr) == (0.0, 1.0, 0.5)
    assert (left_out.macro_mean_fpr, left_out.macro_mean_fnr) == (0.5, 0.25)
    assert rows["A"].cllr is None, "four clips are no calibration"


def assert_fits_the_schema(evaluation):
    schema = json.loads((Path(covoguard.__file__).parent / "reports/schema/evaluation-1.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(json.loads(json.dumps(asdict(evaluation))))


def stranger_clips():
    """Two folds of one family each: 25 generated and 25 genuine clips per fold, in equal steps of score."""
    for fold, family, shift in (("0", "A", 0.0), ("1", "B", 1.0)):
        for step in range(25):
            yield f"b{fold}{step}", "bonafide", fold, "", "", f"S{fold}", f"p{step % 5}", "en", shift + step / 10
            yield f"s{fold}{step}", "spoof", fold, family, family, f"S{fold}", "", "en", shift + 1.0 + step / 10


def set_of(tmp_path, rows):
    manifest = write_csv(tmp_path / "many.csv", COLUMNS, [(clip, f"{clip}.wav", *rest) for clip, *rest, _ in rows])
    path = write_csv(tmp_path / "many-scores.csv", ("clip", "log10_lr"), [(row[0], row[-1]) for row in rows])
    return manifest, scores_from_csv(manifest, read_labelled(manifest), path)


def test_a_family_left_out_meets_the_calibration_of_the_others(tmp_path):
    rows = list(stranger_clips())
    manifest, scores = set_of(tmp_path, rows)
    left_out = evaluate(manifest, scores, POLICY, PLAN).left_out
    by_fold = {fold: [(row[-1], row[1] == "spoof") for row in rows if row[2] == fold] for fold in "01"}
    for family, fold, other in (("A", "0", "1"), ("B", "1", "0")):
        fitted = fit_affine(*map(list, zip(*by_fold[other], strict=True)))
        values, is_spoof = map(np.array, zip(*by_fold[fold], strict=True))
        (row,) = [each for each in left_out.families if each.family == family]
        assert row.cllr == pytest.approx(cllr(fitted.slope * values + fitted.offset, is_spoof))
    # All scores of B's fold are 1 higher: the calibration of A's fold calls its genuine clips synthetic.
    assert left_out.macro_mean_cllr == pytest.approx(np.mean([row.cllr for row in left_out.families]))
    assert {row.family: row.fpr > row.fnr for row in left_out.families} == {"A": False, "B": True}


def test_every_generator_meets_every_source_by_itself(manifest, scores):
    cross = evaluate(manifest, scores, POLICY, PLAN).cross_test
    genuine = {"S1": [-2.0, -1.0], "S2": [0.0, 2.0]}
    spoof = {"A-one": [1.0], "A-two": [3.0], "B-one": [-1.5, 3.0]}
    names = [[each.name for each in side] for side in (cross.generators, cross.sources)]
    assert {(g, s) for g in names[0] for s in names[1]} == {(g, s) for g in spoof for s in genuine}
    for row, generator in zip(cross.eer, names[0], strict=True):
        for value, source in zip(row, names[1], strict=True):
            is_spoof = [False] * 2 + [True] * len(spoof[generator])
            assert value == eer([*genuine[source], *spoof[generator]], is_spoof)
    # Of 1 against 0 and 2, and of -1.5 and 3 against any source, half is wrong; A-two wins everywhere.
    assert [each.name for each in cross.generators] == ["A-one", "B-one", "A-two"]
    assert (cross.generators[0].worst_source, cross.generators[0].worst_eer) == ("S2", 0.5)
    assert cross.generators[-1].worst_eer == 0.0
    assert cross.sources[0].name == "S2"
    assert cross.mean_eer == pytest.approx(np.mean(cross.eer))
    assert cross.mean_of_worst_eer == pytest.approx(np.mean([max(row) for row in cross.eer]))


def test_one_source_is_no_cross_test_and_that_is_said(manifest, scores):
    alone = replace(scores, clips=tuple(clip for clip in scores.clips if clip.row.source == "S1"))
    evaluation = evaluate(manifest, alone, POLICY, PLAN)
    assert evaluation.cross_test is None
    assert any("two sources of genuine speech with 1 scored clips each" in note for note in evaluation.notes)


def test_sources_count_once_in_the_false_alarm_rate(manifest, scores):
    sources = table(evaluate(manifest, scores, POLICY, PLAN), "bona fide source")
    # S1: none of -2 and -1 is flagged at 1.06; S2: 2 of 0 and 2.
    assert (sources.macro_mean_fpr.value, sources.macro_mean_fnr.value) == (0.25, None)


def test_corpora_that_share_voices_can_be_one_pool(tmp_path):
    rows = [(clip, f"{clip}.wav", label, fold, source, "LibriVox")
            for clip, label, fold, _, _, source, *_ in CLIPS if source == "S1" or label == "spoof"]  # fmt: skip
    manifest = write_csv(tmp_path / "pools.csv", ("clip", "file", "label", "fold", "source", "voice_pool"), rows)
    path = write_csv(tmp_path / "s.csv", ("clip", "score"), [(row[0], float(row[0][1])) for row in rows])
    evaluation = evaluate(manifest, scores_from_csv(manifest, read_labelled(manifest), path), POLICY, PLAN)
    assert group(evaluation, "voice pool", "LibriVox").n_spoof == 4


def test_groups_and_macro_means_have_intervals(tmp_path):
    manifest, scores = set_of(tmp_path, list(stranger_clips()))
    evaluation = evaluate(manifest, scores, POLICY, replace(PLAN, n_resamples=1000))
    families = table(evaluation, "family")
    for estimate in (families.macro_mean_eer, *(each.eer for each in families.groups)):
        assert estimate.low < estimate.value < estimate.high
    assert group(evaluation, "bona fide source", "S0").fpr.low is not None
    assert_fits_the_schema(evaluation)


def test_the_rules_of_scoring_are_stated_and_unknown_ones_too(manifest, clips, scores):
    assert "not known" in evaluate(manifest, scores, POLICY, PLAN).rules[0]
    for model, said in (("logband-resnet@1", "4 s every 2 s"), ("aasist@1", "4.0375 s"), ("fake@1", "see the card")):
        found = [record_of(clip, score, model=model) for clip, *_, score in CLIPS]
        rules = evaluate(manifest, scores_from_records(manifest, clips, found), POLICY, PLAN).rules
        assert said in " ".join(rules)
        assert "mean over its windows" in " ".join(rules)


def test_rules_are_stated_for_detectors_that_there_are():
    assert set(WINDOW_RULES) <= set(SCORERS.names())


def test_the_json_of_a_real_evaluation_fits_the_shipped_schema(tmp_path, manifest, clips, scores):
    broken = record_of("b3", None, error=RecordError("not_found", "gone"))
    with_records = scores_from_records(manifest, clips, records(b3=broken))
    for each in (set_of(tmp_path, list(stranger_clips())), (manifest, scores), (manifest, with_records)):
        assert_fits_the_schema(evaluate(*each, POLICY, PLAN))


def test_a_development_fold_sets_the_threshold_and_is_left_out(manifest, scores):
    evaluation = evaluate(manifest, scores, POLICY, replace(PLAN, dev_fold="0", max_fpr=0.5))
    # Of -2 and -1 half may be flagged: one float above -2.
    assert evaluation.threshold.value == np.nextafter(-2.0, 0)
    assert "fold 0" in evaluation.threshold.origin
    assert (evaluation.clips.bonafide, evaluation.clips.spoof) == (2, 2)
    assert (evaluation.pooled.fpr.value, evaluation.pooled.fnr.value) == (1.0, 0.0)
    with pytest.raises(UsageError, match=r"'7'.*folds are 0, 1"):
        evaluate(manifest, scores, POLICY, replace(PLAN, dev_fold="7"))


def test_raw_scores_have_no_figures_of_ratios(tmp_path, manifest, clips):
    raw = csv_scores(tmp_path, manifest, clips, column="score")
    evaluation = evaluate(manifest, raw, POLICY, PLAN)
    assert evaluation.pooled.eer.value == 0.25
    assert evaluation.threshold is None
    undefined = ("act_dcf", "cllr", "brier", "ece", "fpr", "fnr")
    assert {getattr(evaluation.pooled, name).value for name in undefined} == {None}
    assert (evaluation.verdicts, evaluation.curves.tippett, evaluation.curves.risk_coverage) == ((), None, None)
    assert any("no log10 likelihood ratios" in note for note in evaluation.notes)
    assert evaluate(manifest, raw, POLICY, replace(PLAN, threshold=1.5)).pooled.fpr.value == 0.25


def test_scores_the_other_way_round_are_noticed_and_can_be_turned(tmp_path, manifest, clips):
    turned = {clip: -score for clip, *_, score in CLIPS}
    wrong = evaluate(manifest, csv_scores(tmp_path, manifest, clips, column="score", change=turned), POLICY, PLAN)
    assert any("wrong way" in note for note in wrong.notes)
    right = csv_scores(tmp_path, manifest, clips, column="score", change=turned, higher_is_bonafide=True)
    assert evaluate(manifest, right, POLICY, PLAN).pooled.eer.value == 0.25


def test_verdicts_and_coverage_count_clips_without_score(tmp_path, manifest, clips):
    scores = csv_scores(tmp_path, manifest, clips, change={"b3": "", "s1": ""})
    evaluation = evaluate(manifest, scores, POLICY, PLAN)
    bonafide, spoof = evaluation.verdicts
    # The policy: synthetic from 1.06, no evidence to -0.66. b: -2 -1 0 and none. s: 1 -1.5 3 and none.
    assert (bonafide.no_evidence, bonafide.inconclusive, bonafide.not_analysable) == (0.5, 0.25, 0.25)
    assert (spoof.synthetic, spoof.inconclusive, spoof.no_evidence, spoof.not_analysable) == (0.25, 0.25, 0.25, 0.25)
    assert evaluation.clips.unscored_spoof == 1
    assert evaluation.curves.risk_coverage[-1][0] == pytest.approx(0.75)
    assert any("1 bona fide and 1 spoof clips have no score" in note for note in evaluation.notes)


def test_intervals_come_from_groups_and_one_seed(manifest, scores):
    plan = replace(PLAN, n_resamples=1000, seed=5)
    first, again = (evaluate(manifest, scores, POLICY, plan) for _ in range(2))
    assert first == again
    assert first.pooled.auc.low <= first.pooled.auc.value <= first.pooled.auc.high
    one_generator = tuple(
        replace(clip, row=replace(clip.row, generator="A" if clip.is_spoof else None)) for clip in scores.clips
    )
    alone = evaluate(manifest, replace(scores, clips=one_generator), POLICY, plan)
    assert alone.pooled.eer.low is None
    assert any("spread is unknown" in note for note in alone.notes)


def test_records_bring_codec_quality_and_the_policys_own_verdict(manifest, clips):
    broken = record_of("b3", None, error=RecordError("not_found", "gone"))
    scores = scores_from_records(manifest, clips, records(b3=broken))
    evaluation = evaluate(manifest, scores, POLICY, PLAN)
    assert evaluation.system.name == "fake@1"
    assert group(evaluation, "codec", "mp3").n_spoof == 4
    assert group(evaluation, "SNR", "10 to below 20 dB").n_bonafide == 3
    assert group(evaluation, "duration", "4 to below 8 s").n_spoof == 4
    assert evaluation.verdicts[0].not_analysable == 0.25
    assert any("not_found 1" in note for note in evaluation.notes)


def test_a_record_goes_to_the_clip_with_the_longest_matching_file(tmp_path):
    rows = [("near", "a.wav", "bonafide", "0"), ("far", "x/a.wav", "spoof", "0")]
    manifest = write_csv(tmp_path / "m.csv", COLUMNS[:4], rows)
    found = [record_of("", 1.0, path="old/x/a.wav"), record_of("", 0.0, path="other/a.wav")]
    scores = scores_from_records(manifest, read_labelled(manifest), found)
    assert [clip.score for clip in scores.clips] == [0.0, 1.0]


def test_segments_come_from_the_windows(tmp_path, manifest, clips):
    found = records(s1=record_of("s1", 3.0, segments=((0.0, 2.0, -3.0), (2.0, 4.0, 3.0))))
    scores = scores_from_records(manifest, clips, found)
    header = ("clip", "start_s", "end_s", "label")
    path = write_csv(tmp_path / "seg.csv", header, [("s1", 0, 1, "bonafide"), ("s1", 1, 4, "spoof")])
    plan = replace(PLAN, segment_tolerance_s=0.5)
    segments = evaluate(manifest, scores, POLICY, plan, segments=read_segment_labels(path)).segments
    # 0.5 to 1.5 s are left out; of the generated 1.5 to 4 s, 2 s are flagged.
    assert (segments.hit_s, segments.miss_s, segments.false_alarm_s, segments.near_boundary_s) == (2.0, 0.5, 0.0, 1.0)
    assert (segments.precision, segments.recall) == (1.0, 0.8)
    stranger = write_csv(tmp_path / "seg.csv", header, [("nobody", 0, 1, "spoof")])
    with pytest.raises(UsageError, match="nobody"):
        evaluate(manifest, scores, POLICY, plan, segments=read_segment_labels(stranger))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("s1", "x", 1, "spoof"), "line 2: start_s 'x'"),
        (("s1", 0, "nan", "spoof"), "line 2: end_s 'nan'"),
        (("s1", 0, 1, "fake"), "line 2: label 'fake'"),
    ],
)
def test_bad_segment_lines_are_named(tmp_path, row, message):
    path = write_csv(tmp_path / "seg.csv", ("clip", "start_s", "end_s", "label"), [row])
    with pytest.raises(UsageError, match=message):
        read_segment_labels(path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([("b0", 1), ("b0", 1)], "more than once .1.: b0"),
        ([("b0", "nan")], "line 2: the score 'nan'"),
        ([("b0", "inf")], "line 2: the score 'inf'"),
        ([("b0", "high")], "line 2: the score 'high'"),
        ([("zz", 1)], "does not list .1.: zz"),
        ([("b0", 1)], "no line for clips of the manifest .7.: b1, b2, b3, …"),
    ],
)
def test_bad_scores_are_refused(tmp_path, manifest, clips, lines, message):
    path = write_csv(tmp_path / "scores.csv", ("clip", "score"), lines)
    with pytest.raises(UsageError, match=message):
        scores_from_csv(manifest, clips, path)


def test_files_that_are_no_scores_are_refused(tmp_path, manifest, clips):
    with pytest.raises(UsageError, match="it has a, b"):
        scores_from_csv(manifest, clips, write_csv(tmp_path / "x.csv", ("a", "b"), []))
    with pytest.raises(InputError, match="cannot be read"):
        scores_from_csv(manifest, clips, tmp_path / "none.csv")
    empty = write_csv(tmp_path / "y.csv", ("clip", "score"), [(clip, "") for clip, *_ in CLIPS])
    with pytest.raises(InputError, match="no bonafide clip has a score"):
        scores_from_csv(manifest, clips, empty)


def test_bad_records_are_refused(manifest, clips):
    for found, message in (
        ([*records(), record_of("zz", 1.0)], "does not list .1.: elsewhere/audio/zz.wav"),
        ([*records(), record_of("b0", 1.0)], "more than one record of a clip .1.: b0"),
        (records()[1:], "clips without a record .1.: b0"),
        (records(b0=record_of("b0", 1.0, model="other@2")), "more than one model: fake@1 .*other@2"),
    ):
        with pytest.raises(UsageError, match=message):
            scores_from_records(manifest, clips, found)


def test_bad_manifests_are_refused(tmp_path):
    header = COLUMNS[:4]
    one = write_csv(tmp_path / "one.csv", header, [("a", "a.wav", "spoof", "0")])
    with pytest.raises(UsageError, match="all clips are spoof"):
        read_labelled(one)
    twice = write_csv(tmp_path / "two.csv", header, [("a", "a.wav", "spoof", "0"), ("a", "b.wav", "bonafide", "0")])
    with pytest.raises(UsageError, match="more than once"):
        read_labelled(twice)


@pytest.mark.parametrize("change", [{"threshold": 1.0, "dev_fold": "0"}, {"threshold": np.nan}, {"n_resamples": 10}])
def test_impossible_plans_are_refused(change):
    with pytest.raises(UsageError):
        EvaluationPlan(**change)


def test_a_model_on_its_own_training_manifest_is_pointed_out(manifest, scores):
    from covoguard.core.modelcard import sha256_of_file

    notes = evaluate(manifest, scores, POLICY, PLAN, trained_on_sha256=sha256_of_file(manifest)).notes
    assert any("trained on this very manifest" in note for note in notes)


def test_bands():
    edges = (2, 4)
    assert [band(value, edges, "s") for value in (1, 2, 3.9, 4, None)] == [
        "below 2 s", "2 to below 4 s", "2 to below 4 s", "4 s and more", None
    ]  # fmt: skip


def test_scores_of_a_bundled_model_are_known_by_its_weights():
    (bundled,) = [each for each in installed_models() if each.name == "logband-resnet"]
    assert bundled.model is not None
    stated = bundled.card["training"]["manifest_sha256"]
    assert bundled_trained_on_sha256(bundled.model.model_sha256) == stated
    assert bundled_trained_on_sha256("0" * 64) is None
    assert bundled_trained_on_sha256(None) is None
