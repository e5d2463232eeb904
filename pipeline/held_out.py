"""What the held-out scores of a training run say: calibration, operating points and the figures of the card."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.records import Row
from ..detect.calibration import Calibration, fit_calibration, supported_log10_lr
from ..detect.metrics.bootstrap import bootstrap_interval
from ..detect.metrics.cllr import cllr, min_cllr
from ..detect.metrics.dcf import act_dcf, min_dcf
from ..detect.metrics.eer import auc, eer, threshold_at_fpr
from ..detect.metrics.per_group import per_family_eer

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

MAX_FPR = 0.01
MAX_FNR = 0.05


@dataclass(frozen=True)
class Trials:
    """Held-out scores (n,) of all rows, by test condition; `clean` is one of them."""

    rows: tuple[Row, ...]
    scores: Mapping[str, FloatArray]

    @property
    def is_spoof(self) -> BoolArray:
        """True for generated speech (n,)."""
        return np.array([row.label == "spoof" for row in self.rows])

    @property
    def folds(self) -> npt.NDArray[np.str_]:
        """Fold of each row (n,)."""
        return np.array([str(row.split) for row in self.rows])

    def select(self, keep: BoolArray) -> "Trials":
        """The rows where `keep` (n,) is true."""
        rows = tuple(row for row, kept in zip(self.rows, keep, strict=True) if kept)
        return Trials(rows, {name: scores[keep] for name, scores in self.scores.items()})


@dataclass(frozen=True)
class OperatingPoint:
    """Thresholds on log10 LR, set by the worst test condition.

    At most 1 % of bona fide lies at or above the upper one, at most 5 % of spoof at or below the lower one.
    """

    synthetic_min_log10_lr: float
    no_evidence_max_log10_lr: float


def fit_final_calibration(trials: Trials) -> Calibration:
    """One affine map over all conditions alike; cut off by the number of independent sources and families."""
    stacked = np.concatenate(list(trials.scores.values()))
    labels = np.tile(trials.is_spoof, len(trials.scores))
    sources = {row.source for row in trials.rows if row.label == "bonafide"}
    families = {row.family for row in trials.rows if row.label == "spoof"}
    clip = supported_log10_lr(len(sources), len(families))
    return fit_calibration(stacked, labels, np.zeros(len(stacked)), clip_log10_lr=clip)


def calibrated(trials: Trials, calibration: Calibration) -> Trials:
    """The same trials with log10 likelihood ratios for scores."""
    ratios = {
        name: np.array([calibration.apply(float(score), 0.0) for score in scores])
        for name, scores in trials.scores.items()
    }
    return Trials(trials.rows, ratios)


def operating_point(ratios: Trials) -> OperatingPoint:
    """The thresholds that hold both bounds in every condition; `ratios` are calibrated."""
    upper = [threshold_at_fpr(scores, ratios.is_spoof, MAX_FPR) for scores in ratios.scores.values()]
    lower = [
        threshold_at_fpr(-scores, ~ratios.is_spoof, MAX_FNR) for scores in ratios.scores.values()
    ]  # a spoof that is missed is a false alarm of the reversed detector
    return OperatingPoint(
        max(value for value in upper if value is not None),
        -max(value for value in lower if value is not None),
    )


def held_out_figures(trials: Trials, *, seed: int) -> dict[str, Any]:
    """All figures of a model card, rates in [0, 1], rounded to four digits."""
    ratios = cross_fitted(trials)
    clean = ratios.scores["clean"]
    groups = [str(row.family if row.label == "spoof" else row.source) for row in trials.rows]
    rng = np.random.default_rng(seed)
    raw = trials.scores["clean"]
    interval = bootstrap_interval(eer, raw, trials.is_spoof, groups, rng=rng)
    point = operating_point(calibrated(trials, fit_final_calibration(trials)))
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
        "operating_point": {
            "synthetic_min_log10_lr": point.synthetic_min_log10_lr,
            "no_evidence_max_log10_lr": point.no_evidence_max_log10_lr,
            "transferred_across_folds": transferred(trials),
        },
        "longer_files": longer_files(calibrated(trials, fit_final_calibration(trials)), point),
        "false_alarms_by_source": _false_alarms_by_source(trials, point),
        **_per_family(trials),
    }
    rounded: dict[str, Any] = _rounded(figures)
    return rounded


def cross_fitted(trials: Trials) -> Trials:
    """Log10 likelihood ratios, each fold through the calibration of the other folds."""
    ratios = {name: np.zeros(len(trials.rows)) for name in trials.scores}
    for fold in sorted(set(trials.folds)):
        inside = trials.folds == fold
        held_out = calibrated(trials.select(inside), fit_final_calibration(trials.select(~inside)))
        for name, values in held_out.scores.items():
            ratios[name][inside] = values
    return Trials(trials.rows, ratios)


def transferred(trials: Trials) -> dict[str, dict[str, float]]:
    """Rates on each fold with calibration and thresholds from the other folds, by condition: what a user meets."""
    counts: dict[str, dict[str, float]] = {name: defaultdict(float) for name in trials.scores}
    for fold in sorted(set(trials.folds)):
        inside = trials.folds == fold
        rest, test = trials.select(~inside), trials.select(inside)
        calibration = fit_final_calibration(rest)
        point = operating_point(calibrated(rest, calibration))
        for name, values in calibrated(test, calibration).scores.items():
            _count(counts[name], values, test.is_spoof, point)
    n_spoof, n_bonafide = int(trials.is_spoof.sum()), int((~trials.is_spoof).sum())
    return {name: _rates(count, n_bonafide, n_spoof) for name, count in counts.items()}


def longer_files(ratios: Trials, point: OperatingPoint, windows: int = 4) -> dict[str, dict[str, float]]:
    """Rates on made-up files of `windows` clips each, of one speaker or one generator, pooled by their mean.

    `ratios` are calibrated; the mean of affine scores is the affine map of the mean, up to the cut-off.
    """
    scores = ratios.scores["clean"]
    clips: dict[tuple[bool, str], list[float]] = defaultdict(list)
    for row, score in zip(ratios.rows, scores, strict=True):
        spoof = row.label == "spoof"
        clips[spoof, str(row.generator if spoof else f"{row.source}/{row.speaker}")].append(float(score))
    joined = [
        (spoof, float(np.mean(values[start : start + windows])))
        for (spoof, _), values in clips.items()
        for start in range(0, len(values) - windows + 1, windows)
    ]
    if not joined:
        return {}
    is_spoof = np.array([spoof for spoof, _ in joined])
    count: dict[str, float] = defaultdict(float)
    _count(count, np.array([value for _, value in joined]), is_spoof, point)
    n_spoof, n_bonafide = int(is_spoof.sum()), int((~is_spoof).sum())
    return {f"{windows}_windows": {**_rates(count, n_bonafide, n_spoof), "bonafide": n_bonafide, "spoof": n_spoof}}


def _count(count: dict[str, float], ratios: FloatArray, is_spoof: BoolArray, point: OperatingPoint) -> None:
    high = ratios >= point.synthetic_min_log10_lr
    low = ratios <= point.no_evidence_max_log10_lr
    count["bonafide_synthetic"] += int((high & ~is_spoof).sum())
    count["bonafide_no_evidence"] += int((low & ~is_spoof).sum())
    count["spoof_synthetic"] += int((high & is_spoof).sum())
    count["spoof_no_evidence"] += int((low & is_spoof).sum())


def _rates(count: Mapping[str, float], n_bonafide: int, n_spoof: int) -> dict[str, float]:
    return {
        name: count.get(name, 0.0) / max(1, n_bonafide if name.startswith("bonafide") else n_spoof)
        for name in ("bonafide_synthetic", "bonafide_no_evidence", "spoof_synthetic", "spoof_no_evidence")
    }


def _matched_voices(trials: Trials, pools: Sequence[str] = ("LibriSpeech", "LibriTTS")) -> float | None:
    """EER where genuine and generated speech share their voices and recordings: shortcuts die there."""
    keep = np.array([str(row.source).startswith(tuple(pools)) for row in trials.rows])
    return eer(trials.scores["clean"][keep], trials.is_spoof[keep])


def _false_alarms_by_source(trials: Trials, point: OperatingPoint) -> dict[str, dict[str, float]]:
    ratios = calibrated(trials, fit_final_calibration(trials)).scores["clean"]
    flagged: dict[str, list[bool]] = defaultdict(list)
    for row, ratio in zip(trials.rows, ratios, strict=True):
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
