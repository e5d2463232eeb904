"""What the held-out scores of a training run say: calibration, operating points and the figures of the card."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..detect.calibration import Calibration, fit_calibration, supported_log10_lr
from ..detect.metrics.bootstrap import bootstrap_interval
from ..detect.metrics.cllr import cllr, min_cllr
from ..detect.metrics.dcf import act_dcf, min_dcf
from ..detect.metrics.eer import auc, eer, threshold_at_fpr
from ..detect.metrics.per_group import per_family_eer
from .trials import BoolArray, FloatArray, Trials, by_length

MAX_FPR = 0.01
MAX_FNR = 0.05

UNDECIDED_CONDITIONS = frozenset({"telephone", "low-pass-4k"})
"""The default policy says `inconclusive` to a narrow band, so no threshold has to hold under these."""


@dataclass(frozen=True)
class OperatingPoint:
    """Thresholds on log10 LR, set by the worst test condition that the default policy decides on.

    At most 1 % of bona fide lies at or above the upper one, at most 5 % of spoof at or below the lower one.
    """

    synthetic_min_log10_lr: float
    no_evidence_max_log10_lr: float


def fit_final_calibration(trials: Trials, shorter: Sequence[Trials] = ()) -> Calibration:
    """An affine map per length of file, over all conditions alike: whole clips, `shorter` cuts of them, joined ones.

    A file has the map of the longest trials that are no longer than it, so that none is trusted beyond its length.
    Cut off by the number of independent sources and families, since clips of one of them are not independent.
    """
    sources = {row.source for row in trials.rows if row.label == "bonafide"}
    families = {row.family for row in trials.rows if row.label == "spoof"}
    sets = by_length(trials, shorter)
    return fit_calibration(
        np.concatenate([scores for each in sets for scores in each.scores.values()]),
        np.concatenate([each.is_spoof for each in sets for _ in each.scores]),
        np.concatenate([np.full(len(each.rows), each.speech_s) for each in sets for _ in each.scores]),
        clip_log10_lr=supported_log10_lr(len(sources), len(families)),
        bin_starts_s=(0.0, *(each.speech_s for each in sets[1:])),
    )


def calibrated(trials: Trials, calibration: Calibration) -> Trials:
    """The same trials with log10 likelihood ratios for scores."""
    ratios = {
        name: np.array([calibration.apply(float(score), trials.speech_s) for score in scores])
        for name, scores in trials.scores.items()
    }
    return replace(trials, scores=ratios)


def operating_point(*sets: Trials) -> OperatingPoint:
    """The thresholds that hold both bounds in every set and every condition but the undecided; all calibrated.

    Sets without both classes set nothing. Nor do sets of too few trials to show such a rate, 100 of bona fide and 20 of
    spoof, where others have them: with 67, the threshold would be the largest score that one recording happened to get.
    """
    upper = [
        threshold_at_fpr(scores, is_spoof, MAX_FPR)
        for each in _large_enough(sets, lambda each: int((~each.is_spoof).sum()), MAX_FPR)
        for scores, is_spoof in _decided_on(each)
    ]
    # A spoof that is missed is a false alarm of the reversed detector.
    lower = [
        threshold_at_fpr(-scores, ~is_spoof, MAX_FNR)
        for each in _large_enough(sets, lambda each: int(each.is_spoof.sum()), MAX_FNR)
        for scores, is_spoof in _decided_on(each)
    ]
    return OperatingPoint(
        max(value for value in upper if value is not None), -max(value for value in lower if value is not None)
    )


def _large_enough(sets: Sequence[Trials], count: Callable[[Trials], int], rate: float) -> list[Trials]:
    """Those sets whose class of `count` trials can show `rate`; all of both classes where none can."""
    usable = [each for each in sets if each.is_spoof.any() and not each.is_spoof.all()]
    return [each for each in usable if count(each) * rate >= 1] or usable


def _decided_on(trials: Trials) -> list[tuple[FloatArray, BoolArray]]:
    """Scores and labels under each condition that the default policy decides on."""
    decided = (scores for name, scores in trials.scores.items() if name not in UNDECIDED_CONDITIONS)
    return [(scores, trials.is_spoof) for scores in decided]


def held_out_figures(trials: Trials, *, seed: int, shorter: Sequence[Trials] = ()) -> dict[str, Any]:
    """All figures of a model card, rates in [0, 1], rounded to four digits."""
    ratios = cross_fitted(trials, shorter)
    clean = ratios.scores["clean"]
    groups = [str(row.family if row.label == "spoof" else row.source) for row in trials.rows]
    rng = np.random.default_rng(seed)
    raw = trials.scores["clean"]
    interval = bootstrap_interval(eer, raw, trials.is_spoof, groups, rng=rng)
    calibration = fit_final_calibration(trials, shorter)
    point = operating_point(*_calibrated_by_length(trials, shorter, calibration))
    single, unseen, longer = transferred(trials, shorter)
    of_unseen_sources = trials.select(_spoof_or_from(trials, trials.sources_of_one_fold()))
    figures = {
        "trials": {"bonafide": int((~trials.is_spoof).sum()), "spoof": int(trials.is_spoof.sum())},
        "eer_pooled": eer(raw, trials.is_spoof),
        "eer_pooled_ci95": None if interval is None else [interval.low, interval.high],
        "auc": auc(raw, trials.is_spoof),
        "min_dcf": min_dcf(raw, trials.is_spoof),
        "act_dcf_cross_fitted": act_dcf(clean, trials.is_spoof),
        "cllr_cross_fitted": cllr(clean, trials.is_spoof),
        "min_cllr": min_cllr(raw, trials.is_spoof),
        "eer_by_fold": {
            fold: eer(raw[trials.folds == fold], trials.is_spoof[trials.folds == fold])
            for fold in sorted(set(trials.folds))
        },
        "eer_by_condition": {name: eer(scores, trials.is_spoof) for name, scores in trials.scores.items()},
        "eer_matched_voices": _matched_voices(trials),
        "eer_unseen_sources": eer(of_unseen_sources.scores["clean"], of_unseen_sources.is_spoof),
        "operating_point": {
            "synthetic_min_log10_lr": point.synthetic_min_log10_lr,
            "no_evidence_max_log10_lr": point.no_evidence_max_log10_lr,
            "transferred_across_folds": single,
            "transferred_across_folds_unseen_sources": unseen,
            "transferred_across_folds_joined": longer,
        },
        "calibration_by_length": length_figures(trials, shorter),
        "false_alarms_by_source": _false_alarms_by_source(calibrated(trials, calibration), point),
        **_per_family(trials),
    }
    rounded: dict[str, Any] = _rounded(figures)
    return rounded


def cross_fitted(trials: Trials, shorter: Sequence[Trials] = ()) -> Trials:
    """Log10 likelihood ratios of whole clips, each fold through the calibration of the other folds."""
    return _across_folds(trials, _maps_by_fold(trials, shorter))


def length_figures(trials: Trials, shorter: Sequence[Trials] = ()) -> list[dict[str, Any]]:
    """What a map per length is worth: one table per bin of the calibration, shortest first.

    Cllr is cross-fitted and over all conditions: `cllr_one_map` with the map of whole clips for every length, `cllr`
    with the map of the bin. `trials` counts recordings.
    """
    sets = by_length(trials, shorter)
    bins = fit_final_calibration(trials, shorter).bins
    maps = _maps_by_fold(trials, shorter)
    one_map = {fold: _map_of_all_lengths(calibration, trials.speech_s) for fold, calibration in maps.items()}
    figures = []
    for each, fitted in zip(sets, bins, strict=True):
        labels = np.tile(each.is_spoof, len(each.scores))
        figures.append(
            {
                "min_speech_s": fitted.min_speech_s,
                "trial_speech_s": each.speech_s,
                "trials": {"bonafide": int((~each.is_spoof).sum()), "spoof": int(each.is_spoof.sum())},
                "slope": fitted.slope,
                "offset": fitted.offset,
                "eer": eer(_all_conditions(each), labels),
                "cllr_one_map": cllr(_all_conditions(_across_folds(each, one_map)), labels),
                "cllr": cllr(_all_conditions(_across_folds(each, maps)), labels),
                "min_cllr": min_cllr(_all_conditions(each), labels),
            }
        )
    return figures


def transferred(trials: Trials, shorter: Sequence[Trials] = ()) -> tuple[dict[str, Any], ...]:
    """Rates on each fold with calibration and thresholds from the other folds, by condition: what a user meets.

    -> (for single clips, for those whose genuine source is in that fold only, for joined ones), each with its
    numbers of trials under `trials`.
    """
    tallies: tuple[dict[str, Any], ...] = ({}, {}, {})
    unseen = trials.sources_of_one_fold()
    counts = [{name: Counter[str]() for name in trials.scores} for _ in tallies]
    totals = [Counter[str]() for _ in tallies]
    for fold in sorted(set(trials.folds)):
        inside = trials.folds == fold
        test, (rest, rest_shorter) = trials.select(inside), _without(fold, trials, shorter)
        calibration = fit_final_calibration(rest, rest_shorter)
        point = operating_point(*_calibrated_by_length(rest, rest_shorter, calibration))
        sets = (test, test.select(_spoof_or_from(test, unseen)), test.joined())
        for count, total, each in zip(counts, totals, sets, strict=True):
            total.update(row.label for row in each.rows)
            for name, values in calibrated(each, calibration).scores.items():
                count[name].update(_decided(values, each.is_spoof, point))
    for tally, count, total in zip(tallies, counts, totals, strict=True):
        tally["trials"] = dict(total)
        for name, decided in count.items():
            tally[name] = {
                f"{label}_{verdict}": decided[f"{label}_{verdict}"] / max(1, total[label])
                for label in ("bonafide", "spoof")
                for verdict in ("synthetic", "no_evidence")
            }
    return tallies


def _without(fold: str, trials: Trials, shorter: Sequence[Trials]) -> tuple[Trials, list[Trials]]:
    """Whole and shorter clips of the other folds."""
    rest, *rest_shorter = (each.select(each.folds != fold) for each in (trials, *shorter))
    return rest, rest_shorter


def _maps_by_fold(trials: Trials, shorter: Sequence[Trials]) -> dict[str, Calibration]:
    """For each fold the calibration of the other folds."""
    return {fold: fit_final_calibration(*_without(fold, trials, shorter)) for fold in sorted(set(trials.folds))}


def _across_folds(trials: Trials, maps: Mapping[str, Calibration]) -> Trials:
    """Log10 likelihood ratios, each fold through the calibration that it is given."""
    ratios = {name: np.zeros(len(trials.rows)) for name in trials.scores}
    for fold, calibration in maps.items():
        inside = trials.folds == fold
        for name, values in calibrated(trials.select(inside), calibration).scores.items():
            ratios[name][inside] = values
    return replace(trials, scores=ratios)


def _map_of_all_lengths(calibration: Calibration, speech_s: float) -> Calibration:
    """The map for `speech_s` of speech, for every length."""
    chosen = [each for each in calibration.bins if each.min_speech_s <= speech_s][-1]
    return Calibration((replace(chosen, min_speech_s=0.0),), calibration.clip_log10_lr)


def _calibrated_by_length(trials: Trials, shorter: Sequence[Trials], calibration: Calibration) -> list[Trials]:
    return [calibrated(each, calibration) for each in by_length(trials, shorter)]


def _all_conditions(trials: Trials) -> FloatArray:
    return np.concatenate(list(trials.scores.values()))


def _spoof_or_from(trials: Trials, sources: set[str | None]) -> BoolArray:
    return np.array([row.label == "spoof" or row.source in sources for row in trials.rows], dtype=bool)


def _decided(ratios: FloatArray, is_spoof: BoolArray, point: OperatingPoint) -> Counter[str]:
    high = ratios >= point.synthetic_min_log10_lr
    low = ratios <= point.no_evidence_max_log10_lr
    return Counter(
        {
            "bonafide_synthetic": int((high & ~is_spoof).sum()),
            "bonafide_no_evidence": int((low & ~is_spoof).sum()),
            "spoof_synthetic": int((high & is_spoof).sum()),
            "spoof_no_evidence": int((low & is_spoof).sum()),
        }
    )


def _matched_voices(trials: Trials, pools: Sequence[str] = ("LibriSpeech", "LibriTTS")) -> float | None:
    """EER where genuine and generated speech share their voices and recordings: shortcuts die there."""
    keep = np.array([str(row.source).startswith(tuple(pools)) for row in trials.rows])
    return eer(trials.scores["clean"][keep], trials.is_spoof[keep])


def _false_alarms_by_source(ratios: Trials, point: OperatingPoint) -> dict[str, dict[str, float]]:
    flagged: dict[str, list[bool]] = defaultdict(list)
    for row, ratio in zip(ratios.rows, ratios.scores["clean"], strict=True):
        if row.label == "bonafide":
            flagged[str(row.source)].append(bool(ratio >= point.synthetic_min_log10_lr))
    return {name: {"fpr": float(np.mean(hits)), "clips": len(hits)} for name, hits in sorted(flagged.items())}


def _per_family(trials: Trials) -> dict[str, Any]:
    table = per_family_eer(trials.scores["clean"], trials.is_spoof, [row.family for row in trials.rows])
    if table is None:
        return {}
    kinds: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(trials.rows):
        kinds[str(row.kind) if row.label == "spoof" else ""].append(index)
    bonafide = kinds.pop("", [])
    scores = trials.scores["clean"]
    return {
        "eer_macro_mean_over_families": table.macro_mean,
        "eer_by_kind": {
            kind: eer(scores[bonafide + members], trials.is_spoof[bonafide + members])
            for kind, members in sorted(kinds.items())
        },
        "eer_by_family": {each.family: {"eer": each.eer, "clips": each.n_spoof} for each in table.families},
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, Mapping):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return value
