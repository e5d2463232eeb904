"""Operating points keep their promise, and what transfers across folds is measured on folds that did not set it."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from covoguard.core.records import Row
from covoguard.detect.metrics.eer import eer
from covoguard.pipeline.held_out import (
    MAX_FNR,
    MAX_FPR,
    calibrated,
    cross_fitted,
    fit_final_calibration,
    held_out_figures,
    length_figures,
    operating_point,
    transferred,
)
from covoguard.pipeline.trials import Trials, by_length

CONDITIONS = ("clean", "mp3-32k", "telephone")


def make_trials(separation=2.0, fold_shift=0.0, count=2000):
    """Gaussian scores: spoof one `separation` above bona fide, each fold shifted by its number times `fold_shift`."""
    rng = np.random.default_rng(8)
    rows = []
    for index in range(count):
        spoof, group = index % 2 == 1, (index // 2) % 40
        who = {"family": f"F{group}", "generator": f"F{group}", "kind": "tts"} if spoof else {"speaker": f"{group}"}
        source = "LibriTTS" if group % 4 == 0 else f"S{group}"
        label = "spoof" if spoof else "bonafide"
        rows.append(Row(f"c{index}", "x", label, source=source, split=str(group % 5), **who))
    base = np.array([separation * (row.label == "spoof") + fold_shift * int(row.split) for row in rows])
    scores = {name: base + rng.standard_normal(count) for name in CONDITIONS}
    scores["telephone"] = rng.standard_normal(count)  # a condition under which nothing can be told
    return Trials(tuple(rows), scores)


def test_the_thresholds_hold_in_every_condition_that_is_decided():
    trials = make_trials()
    ratios = calibrated(trials, fit_final_calibration(trials))
    point = operating_point(ratios)
    assert point.no_evidence_max_log10_lr < point.synthetic_min_log10_lr
    for name in ("clean", "mp3-32k"):
        values = ratios.scores[name]
        assert np.mean(values[~trials.is_spoof] >= point.synthetic_min_log10_lr) <= MAX_FPR
        assert np.mean(values[trials.is_spoof] <= point.no_evidence_max_log10_lr) <= MAX_FNR
    assert np.mean(ratios.scores["clean"][trials.is_spoof] >= point.synthetic_min_log10_lr) > 0.2


def test_a_fold_that_differs_breaks_the_bound_where_it_is_carried_over():
    steady, shifted = (transferred(make_trials(fold_shift=shift))[0]["clean"] for shift in (0.0, 0.8))
    assert steady["bonafide_synthetic"] < 0.02
    assert shifted["bonafide_synthetic"] > 2 * steady["bonafide_synthetic"]


def test_cross_fitted_ratios_use_the_other_folds_only():
    trials = make_trials()
    changed = {name: scores.copy() for name, scores in trials.scores.items()}
    first = trials.folds == "0"
    rng = np.random.default_rng(1)
    changed["clean"][first] = rng.permutation(changed["clean"][first])
    before, after = cross_fitted(trials), cross_fitted(Trials(trials.rows, changed))
    assert sorted(before.scores["clean"][first]) == pytest.approx(sorted(after.scores["clean"][first]))


def test_longer_files_join_one_voice_and_gain_from_it():
    trials = make_trials()
    longer = trials.joined()
    assert len(longer.rows) == pytest.approx(500, abs=20)
    assert longer.scores["clean"][longer.is_spoof].std() == pytest.approx(0.5, abs=0.1)
    single_rates, _, joined_rates = transferred(trials)
    assert joined_rates["clean"]["bonafide_synthetic"] <= 2 * MAX_FPR
    assert joined_rates["clean"]["spoof_synthetic"] > single_rates["clean"]["spoof_synthetic"]


def test_genuine_clips_without_a_named_speaker_are_not_joined():
    trials = make_trials()
    unnamed = tuple(replace(row, speaker=None) for row in trials.rows)
    longer = Trials(unnamed, trials.scores).joined()
    assert len(longer.rows) > 200
    assert longer.is_spoof.all()


def test_unseen_sources_are_those_of_one_fold():
    trials = make_trials()
    assert "LibriTTS" not in trials.sources_of_one_fold()
    assert "S1" in trials.sources_of_one_fold()
    single, unseen, _ = (each["trials"] for each in transferred(trials))
    assert unseen["spoof"] == single["spoof"] == 1000
    assert unseen["bonafide"] == sum(row.label == "bonafide" and row.source != "LibriTTS" for row in trials.rows)


def test_few_voices_leave_one_calibration_for_all_lengths():
    starts = [each.min_speech_s for each in fit_final_calibration(make_trials()).bins]
    assert starts == [0.0, 12.0, 24.0]
    assert len(fit_final_calibration(make_trials(count=100)).bins) == 1


def cut_short(trials, speech_s, share=1.0):
    """The same clips heard more briefly: scores are `speech_s` / 3 of what they were, and some are too short."""
    rng = np.random.default_rng(int(10 * speech_s))
    scores = {name: values * speech_s / 3 + rng.standard_normal(len(values)) for name, values in trials.scores.items()}
    return replace(trials, scores=scores, speech_s=speech_s).select(rng.random(len(trials.rows)) < share)


def test_every_length_has_a_map_of_its_own_and_gains_by_it():
    trials = make_trials()
    shorter = [cut_short(trials, 1.0, share=0.9), cut_short(trials, 2.0, share=0.8)]
    calibration = fit_final_calibration(trials, shorter)
    assert [each.min_speech_s for each in calibration.bins] == [0.0, 2.0, 3.0, 12.0, 24.0]
    assert calibration.apply(3.0, 1.5) < calibration.apply(3.0, 3.5)
    figures = length_figures(trials, shorter)
    assert [each["trial_speech_s"] for each in figures] == [1.0, 2.0, 3.0, 12.0, 24.0]
    assert sum(figures[0]["trials"].values()) == len(shorter[0].rows) < 2000
    assert figures[0]["cllr"] < figures[0]["cllr_one_map"]
    assert figures[2]["cllr"] == pytest.approx(figures[2]["cllr_one_map"])
    assert all(each["min_cllr"] <= each["cllr"] for each in figures)


def test_a_length_with_few_trials_has_no_map():
    trials = make_trials(count=400)
    assert [each.speech_s for each in by_length(trials, [cut_short(trials, 1.0, share=0.05)])] == [3.0, 12.0]


def test_scores_of_cuts_stand_beside_those_of_whole_clips(tmp_path):
    trials = make_trials(count=100)
    short = cut_short(trials, 1.0, share=0.5)
    trials.write(tmp_path / "held_out.csv", [short])
    with (tmp_path / "held_out.csv").open() as file:
        lines = list(csv.DictReader(file))
    given = {line["clip"]: float(line["clean@1s"]) for line in lines if line["clean@1s"]}
    assert given == pytest.approx(
        dict(zip((row.clip_id for row in short.rows), short.scores["clean"], strict=True)), abs=1e-4
    )


def test_the_card_figures_are_those_of_the_scores(tmp_path):
    trials = make_trials()
    figures = held_out_figures(trials, seed=1)
    assert figures["eer_pooled"] == pytest.approx(eer(trials.scores["clean"], trials.is_spoof), abs=1e-4)
    assert figures["eer_pooled_ci95"][0] < figures["eer_pooled"] < figures["eer_pooled_ci95"][1]
    assert figures["eer_by_condition"]["telephone"] == pytest.approx(0.5, abs=0.05)
    assert figures["min_cllr"] <= figures["cllr_cross_fitted"] + 1e-6
    assert len(figures["eer_by_family"]) == 40
    trials.write(tmp_path / "held_out.csv")
    with (tmp_path / "held_out.csv").open() as file:
        lines = list(csv.DictReader(file))
    again = np.array([float(line["clean"]) for line in lines])
    assert eer(again, [line["label"] == "spoof" for line in lines]) == pytest.approx(figures["eer_pooled"], abs=1e-4)
