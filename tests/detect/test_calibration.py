import json
import math
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covoguard.core.errors import UsageError
from covoguard.detect.calibration import (
    Affine,
    Calibration,
    CalibrationBin,
    fit_affine,
    fit_calibration,
    supported_log10_lr,
)
from covoguard.detect.metrics.cllr import cllr, min_cllr
from covoguard.detect.metrics.trials import ScoresError

TWO_BINS = Calibration((CalibrationBin(0.0, 0.5, -0.25), CalibrationBin(3.0, 2.0, 1.0)), clip_log10_lr=2.5)
finite = st.floats(-1e6, 1e6)


def gaussian_trials(n_spoof, n_bonafide, *, mean=1.5, seed=0):
    """Scores N(+-mean, 1): their natural log likelihood ratio is exactly 2 * mean * score."""
    rng = np.random.default_rng(seed)
    scores = np.concatenate((rng.normal(mean, 1, n_spoof), rng.normal(-mean, 1, n_bonafide)))
    return scores, np.arange(n_spoof + n_bonafide) < n_spoof


# --- apply ------------------------------------------------------------------------------------------


def test_apply_takes_the_map_of_the_length_and_clips():
    assert TWO_BINS.apply(1.0, 0.0) == 0.25
    assert TWO_BINS.apply(1.0, 2.999) == 0.25
    assert TWO_BINS.apply(0.5, 3.0) == 2.0
    assert TWO_BINS.apply(0.5, 1e6) == 2.0
    assert TWO_BINS.apply(100.0, 1.0) == 2.5
    assert TWO_BINS.apply(-100.0, 5.0) == -2.5


@pytest.mark.parametrize(("score", "speech_s"), [(math.nan, 1), (math.inf, 1), (0, -1), (0, math.nan), (0, math.inf)])
def test_apply_refuses_what_has_no_ratio(score, speech_s):
    with pytest.raises(ScoresError):
        TWO_BINS.apply(score, speech_s)


@given(finite, finite, st.floats(0, 100))
def test_apply_never_turns_scores_round_and_stays_in_bounds(one, other, speech_s):
    low, high = sorted((one, other))
    assert -2.5 <= TWO_BINS.apply(low, speech_s) <= TWO_BINS.apply(high, speech_s) <= 2.5


# --- records and JSON ---------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.floats(0.01, 100), st.floats(0, 1e3), finite), max_size=3, unique_by=lambda b: b[0]),
    st.floats(0.01, 10),
    finite,
    st.floats(0, 200),
)
def test_json_round_trip_gives_the_same_bits(bins, clip, score, speech_s):
    first = CalibrationBin(0.0, 1.0, -0.5)
    calibration = Calibration((first, *(CalibrationBin(*each) for each in sorted(bins))), clip)
    again = Calibration.from_json(calibration.to_json())
    assert again == calibration
    assert again == Calibration.from_object(json.loads(calibration.to_json()))
    assert struct.pack("d", again.apply(score, speech_s)) == struct.pack("d", calibration.apply(score, speech_s))


@pytest.mark.parametrize(
    "change",
    [
        {"bins": ()},
        {"bins": (CalibrationBin(1.0, 1.0, 0.0),)},
        {"bins": (CalibrationBin(0.0, 1.0, 0.0), CalibrationBin(0.0, 1.0, 0.0))},
        {
            "bins": (
                CalibrationBin(0.0, 1.0, 0.0),
                CalibrationBin(3.0, 1.0, 0.0),
                CalibrationBin(2.0, 1.0, 0.0),
            )
        },
        {"bins": (CalibrationBin(0.0, -0.1, 0.0),)},
        {"bins": (CalibrationBin(0.0, math.nan, 0.0),)},
        {"bins": (CalibrationBin(0.0, 1.0, math.inf),)},
        {"clip_log10_lr": 0.0},
        {"clip_log10_lr": -1.0},
        {"clip_log10_lr": math.inf},
    ],
)
def test_calibrations_that_cannot_be_applied_are_refused(change):
    with pytest.raises(UsageError):
        replace(TWO_BINS, **change)


def _broken(change):
    parsed = json.loads(TWO_BINS.to_json())
    change(parsed)
    return parsed


@pytest.mark.parametrize(
    ("parsed", "named"),
    [
        ([], "list"),
        (None, "NoneType"),
        ("{}", "str"),
        ({}, "clip_log10_lr"),
        (_broken(lambda parsed: parsed.update(extra=1)), "extra"),
        (_broken(lambda parsed: parsed.pop("clip_log10_lr")), "clip_log10_lr"),
        (_broken(lambda parsed: parsed["bins"][0].update(extra=1)), "extra"),
        (_broken(lambda parsed: parsed["bins"][1].pop("slope")), "slope"),
        (_broken(lambda parsed: parsed["bins"][1].update(slope="2")), "slope"),
        (_broken(lambda parsed: parsed["bins"][1].update(slope=True)), "slope"),
        (_broken(lambda parsed: parsed["bins"][1].update(slope=None)), "slope"),
        (_broken(lambda parsed: parsed.update(bins={})), "bins"),
        (_broken(lambda parsed: parsed.update(bins=[[0, 1, 0]])), "bins"),
        (_broken(lambda parsed: parsed["bins"][1].update(slope=math.nan)), "finite"),
    ],
)
def test_json_that_is_not_a_calibration_is_refused_by_name(parsed, named):
    with pytest.raises(UsageError, match=named):
        Calibration.from_object(parsed)


def test_text_that_is_not_json_is_refused():
    with pytest.raises(UsageError, match="not JSON"):
        Calibration.from_json("{")


# --- fitting ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_spoof", "n_bonafide", "prior"), [(4000, 4000, 0.5), (6000, 1500, 0.5), (4000, 4000, 0.1)])
def test_fit_finds_the_true_ratio_whatever_the_class_balance_and_prior(n_spoof, n_bonafide, prior):
    scores, is_spoof = gaussian_trials(n_spoof, n_bonafide)
    fitted = fit_affine(scores, is_spoof, prior_spoof=prior, l2=1e-6)
    assert fitted.slope == pytest.approx(3 / math.log(10), rel=0.08)
    assert fitted.offset == pytest.approx(0, abs=0.08)


def test_fit_undoes_an_affine_change_of_scale():
    scores, is_spoof = gaussian_trials(300, 200)
    plain, moved = fit_affine(scores, is_spoof), fit_affine(1000 * scores - 7e4, is_spoof)
    assert moved.slope == pytest.approx(plain.slope / 1000, rel=1e-6)
    assert moved.offset == pytest.approx(plain.offset + 70 * plain.slope, rel=1e-6)


def test_fit_is_at_the_minimum_of_the_prior_weighted_cross_entropy():
    scores, is_spoof = gaussian_trials(120, 60)
    prior, l2 = 0.3, 1e-2
    weights = np.where(is_spoof, prior / is_spoof.sum(), (1 - prior) / (~is_spoof).sum())
    deviation = np.sqrt(np.average((scores - np.average(scores, weights=weights)) ** 2, weights=weights))

    def loss(slope, offset):
        log_odds = math.log(10) * (slope * scores + offset) + math.log(prior / (1 - prior))
        cross_entropy = np.sum(weights * np.logaddexp(0, np.where(is_spoof, -log_odds, log_odds)))
        return cross_entropy + l2 / 2 * (slope * math.log(10) * deviation) ** 2

    fitted = fit_affine(scores, is_spoof, prior_spoof=prior, l2=l2)
    best = loss(*fitted)
    for step in (1e-3, -1e-3):
        assert loss(fitted.slope + step, fitted.offset) > best
        assert loss(fitted.slope, fitted.offset + step) > best


def test_calibrated_scores_come_close_to_min_cllr():
    scores, is_spoof = gaussian_trials(2000, 500)
    slope, offset = fit_affine(5 * scores + 3, is_spoof)
    calibrated = slope * (5 * scores + 3) + offset
    assert cllr(5 * scores + 3, is_spoof) > 0.9
    assert cllr(calibrated, is_spoof) - min_cllr(calibrated, is_spoof) < 0.02


def test_useless_and_reversed_scores_say_nothing():
    scores, is_spoof = gaussian_trials(100, 100)
    assert fit_affine(-scores, is_spoof) == Affine(0.0, 0.0)
    assert fit_affine(np.ones(10), np.arange(10) < 4) == Affine(0.0, 0.0)


def test_classes_that_do_not_overlap_give_a_finite_slope_that_l2_bounds():
    scores, is_spoof = [-2.0, -1.0, 1.0, 2.0], [False, False, True, True]
    loose, tight = fit_affine(scores, is_spoof, l2=1e-4), fit_affine(scores, is_spoof, l2=1e-1)
    assert 0 < tight.slope < loose.slope < 100
    assert loose.offset == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("labels", [[True] * 4, [False] * 4])
def test_fit_needs_both_classes(labels):
    with pytest.raises(ScoresError, match="both classes"):
        fit_affine([1, 2, 3, 4], labels)


@pytest.mark.parametrize("arguments", [{"prior_spoof": 0.0}, {"prior_spoof": 1.0}, {"l2": 0.0}, {"l2": math.nan}])
def test_fit_refuses_impossible_settings(arguments):
    with pytest.raises(UsageError):
        fit_affine([1, 2], [False, True], **arguments)


def test_fit_refuses_scores_that_are_not_numbers():
    with pytest.raises(ScoresError):
        fit_affine([1, math.nan], [False, True])


def test_bins_are_fitted_on_their_own_trials():
    short, labels = gaussian_trials(400, 400, mean=0.5)
    long, _ = gaussian_trials(400, 400, mean=2.0, seed=1)
    scores, is_spoof = np.concatenate((short, long)), np.concatenate((labels, labels))
    speech_s = np.repeat([1.0, 4.0], len(labels))
    calibration = fit_calibration(scores, is_spoof, speech_s, clip_log10_lr=2.0, bin_starts_s=(0.0, 4.0))
    assert [each.min_speech_s for each in calibration.bins] == [0.0, 4.0]
    for each, part in zip(calibration.bins, (short, long), strict=True):
        assert (each.slope, each.offset) == fit_affine(part, labels)
    assert calibration.bins[1].slope > 2 * calibration.bins[0].slope
    assert calibration.clip_log10_lr == 2.0


def test_a_bin_with_too_few_trials_is_refused_with_its_bounds():
    scores, is_spoof = gaussian_trials(30, 30)
    speech_s = np.where(np.arange(60) % 30 < 25, 1.0, 5.0)
    with pytest.raises(ScoresError, match="2 to inf s"):
        fit_calibration(scores, is_spoof, speech_s, clip_log10_lr=1.0, bin_starts_s=(0.0, 2.0))
    with pytest.raises(ScoresError, match="lengths"):
        fit_calibration(scores, is_spoof, speech_s[:-1], clip_log10_lr=1.0)


# --- what the trials can support ------------------------------------------------------------------------


def test_bound_equals_elub_of_separated_classes_of_three():
    # The lir package's own test of ELUB: three ratios of infinity, three of 0 -> 1/3 to 3 (2.97 on its grid).
    assert supported_log10_lr(3, 3) == pytest.approx(math.log10(3))


def test_bound_at_which_listening_stops_paying():
    # One misleading trial of n + 1 bona fide and of m + 1 spoof: r / (n + 1) + 1 / (m + 1) = 1 at ratio r.
    n_bonafide, n_spoof = 40, 700
    ratio = 10 ** supported_log10_lr(n_bonafide, n_spoof)
    assert ratio / (n_bonafide + 1) + 1 / (n_spoof + 1) == pytest.approx(1)


@given(st.integers(2, 10**6), st.integers(2, 10**6))
def test_bound_is_about_the_smaller_class_and_symmetric(n_bonafide, n_spoof):
    smaller = min(n_bonafide, n_spoof)
    bound = supported_log10_lr(n_bonafide, n_spoof)
    assert bound == supported_log10_lr(n_spoof, n_bonafide)
    assert math.log10(smaller) - 1e-12 <= bound <= math.log10(smaller + 1)


@pytest.mark.parametrize(("n_bonafide", "n_spoof"), [(0, 10), (10, 1), (1, 1)])
def test_too_few_trials_support_nothing(n_bonafide, n_spoof):
    with pytest.raises(UsageError):
        supported_log10_lr(n_bonafide, n_spoof)
