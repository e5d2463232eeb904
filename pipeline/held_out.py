"""What the held-out scores of a training run say: calibration, operating points and the figures of the card."""

import csv
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.records import Row
from ..detect.calibration import MIN_TRIALS_PER_CLASS, Calibration, fit_calibration, supported_log10_lr
from ..detect.metrics.bootstrap import bootstrap_interval
from ..detect.metrics.cllr import cllr, min_cllr
from ..detect.metrics.dcf import act_dcf, min_dcf
from ..detect.metrics.eer import auc, eer, threshold_at_fpr
from ..detect.metrics.per_group import per_family_eer
from ..detect.windows import pool

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

MAX_FPR = 0.01
MAX_FNR = 0.05

UNDECIDED_CONDITIONS = frozenset({"telephone", "low-pass-4k"})
"""The default policy says `inconclusive` to a narrow band, so no threshold has to hold under these."""


SINGLE_SPEECH_S = 3.0
"""Nominal speech of one clip: one window."""
JOINED_CLIPS = 4
JOINED_SPEECH_S = 12.0
"""Nominal speech of four clips of one voice; from here on a file has the calibration of such."""


@dataclass(frozen=True)
class Trials:
    """Held-out scores (n,) of all rows, by test condition; `clean` is one of them."""

    rows: tuple[Row, ...]
    scores: Mapping[str, FloatArray]
    speech_s: float = SINGLE_SPEECH_S

    @property
    def is_spoof(self) -> BoolArray:
        """True for generated speech (n,)."""
        return np.array([row.label == "spoof" for row in self.rows], dtype=bool)

    @property
    def folds(self) -> npt.NDArray[np.str_]:
        """Fold of each row (n,)."""
        return np.array([str(row.split) for row in self.rows])

    def write(self, path: Path) -> None:
        """One line per clip: who it is and its score under each condition, so that every figure can be redone."""
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["clip", "label", "generator", "family", "kind", "source", "speaker", "fold", *self.scores])
            for index, row in enumerate(self.rows):
                scores = [f"{values[index]:.5f}" for values in self.scores.values()]
                who = [row.clip_id, row.label, row.generator, row.family, row.kind, row.source, row.speaker, row.split]
                writer.writerow(["" if value is None else value for value in who] + scores)

    def select(self, keep: BoolArray) -> "Trials":
        """The rows where `keep` (n,) is true."""
        rows = tuple(row for row, kept in zip(self.rows, keep, strict=True) if kept)
        return replace(self, rows=rows, scores={name: scores[keep] for name, scores in self.scores.items()})

    def sources_of_one_fold(self) -> set[str | None]:
        """Genuine sources that stand in one fold only: the model that scored them never heard their like."""
        folds: dict[str | None, set[str | None]] = defaultdict(set)
        for row in self.rows:
            if row.label == "bonafide":
                folds[row.source].add(row.split)
        return {source for source, where in folds.items() if len(where) == 1}

    def joined(self) -> "Trials":
        """Made-up longer recordings: four clips of one voice or generator and one fold, pooled as a scan pools windows.

        Clips of one speaker stand in for one long recording of that speaker, which they are only nearly. Genuine
        clips without a named speaker are left out: together they would be several voices.
        """
        members: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for index, row in enumerate(self.rows):
            if row.label == "spoof":
                members["spoof", str(row.generator), str(row.split)].append(index)
            elif row.speaker:
                members["bonafide", f"{row.source}/{row.speaker}", str(row.split)].append(index)
        together = [
            indices[start : start + JOINED_CLIPS]
            for indices in members.values()
            for start in range(0, len(indices) - JOINED_CLIPS + 1, JOINED_CLIPS)
        ]
        return Trials(
            tuple(self.rows[indices[0]] for indices in together),
            {name: np.array([pool(scores[indices]) for indices in together]) for name, scores in self.scores.items()},
            JOINED_SPEECH_S,
        )


@dataclass(frozen=True)
class OperatingPoint:
    """Thresholds on log10 LR, set by the worst test condition that the default policy decides on.

    At most 1 % of bona fide lies at or above the upper one, at most 5 % of spoof at or below the lower one.
    """

    synthetic_min_log10_lr: float
    no_evidence_max_log10_lr: float


def fit_final_calibration(trials: Trials) -> Calibration:
    """Affine maps over all conditions alike, for single windows and, where there are enough, for longer files.

    Cut off by the number of independent sources and families, since clips of one of them are not independent.
    """
    sources = {row.source for row in trials.rows if row.label == "bonafide"}
    families = {row.family for row in trials.rows if row.label == "spoof"}
    longer = trials.joined()
    counted = int(longer.is_spoof.sum()), int((~longer.is_spoof).sum())
    sets = [trials, longer] if min(counted) >= MIN_TRIALS_PER_CLASS else [trials]
    return fit_calibration(
        np.concatenate([scores for each in sets for scores in each.scores.values()]),
        np.concatenate([each.is_spoof for each in sets for _ in each.scores]),
        np.concatenate([np.full(len(each.rows), each.speech_s) for each in sets for _ in each.scores]),
        clip_log10_lr=supported_log10_lr(len(sources), len(families)),
        bin_starts_s=(0.0, JOINED_SPEECH_S)[: len(sets)],
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

    Sets without both classes set nothing.
    """
    decided = [
        (scores, each.is_spoof)
        for each in sets
        if each.is_spoof.any() and not each.is_spoof.all()
        for name, scores in each.scores.items()
        if name not in UNDECIDED_CONDITIONS
    ]
    upper = [threshold_at_fpr(scores, is_spoof, MAX_FPR) for scores, is_spoof in decided]
    # A spoof that is missed is a false alarm of the reversed detector.
    lower = [threshold_at_fpr(-scores, ~is_spoof, MAX_FNR) for scores, is_spoof in decided]
    return OperatingPoint(
        max(value for value in upper if value is not None), -max(value for value in lower if value is not None)
    )


def held_out_figures(trials: Trials, *, seed: int) -> dict[str, Any]:
    """All figures of a model card, rates in [0, 1], rounded to four digits."""
    ratios = cross_fitted(trials)
    clean = ratios.scores["clean"]
    groups = [str(row.family if row.label == "spoof" else row.source) for row in trials.rows]
    rng = np.random.default_rng(seed)
    raw = trials.scores["clean"]
    interval = bootstrap_interval(eer, raw, trials.is_spoof, groups, rng=rng)
    calibration = fit_final_calibration(trials)
    point = operating_point(calibrated(trials, calibration), calibrated(trials.joined(), calibration))
    single, unseen, longer = transferred(trials)
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
    return replace(trials, scores=ratios)


def transferred(trials: Trials) -> tuple[dict[str, Any], ...]:
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
        rest, test = trials.select(~inside), trials.select(inside)
        calibration = fit_final_calibration(rest)
        point = operating_point(calibrated(rest, calibration), calibrated(rest.joined(), calibration))
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
