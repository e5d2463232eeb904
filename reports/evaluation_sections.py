"""The tables of an evaluation with their headings and what they mean, as text: laid out once for every format."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..core.evaluationrecord import (
    CrossTest,
    Estimate,
    Evaluation,
    GroupTable,
    LeftOutFamilies,
    SegmentFigures,
    VerdictShares,
)
from .text import printable

_AGAINST = {
    "all_bonafide": "Generated clips of the group against all genuine ones.",
    "all_spoof": "Genuine clips of the group against all generated ones.",
    "within": "Both classes within the group.",
}
_PLURALS = {"generator": "generators", "family": "families", "kind": "kinds"}
_VOICE_POOLS = (
    "Genuine and generated speech of the same voices, where no difference between collections can help; the figure "
    "that counts most."
)


@dataclass(frozen=True)
class Section:
    """A heading, what it means, and a table."""

    title: str
    text: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def sections(evaluation: Evaluation) -> Iterator[Section]:
    """All tables, the headline first; text from outside is made printable."""
    yield _headline(evaluation)
    if evaluation.verdicts:
        yield _verdicts(evaluation.verdicts, evaluation.policy)
    for table in evaluation.tables:
        yield _groups(table, evaluation.level)
    if evaluation.cross_test is not None:
        yield _cross_test_generators(evaluation.cross_test)
        yield _cross_test_sources(evaluation.cross_test)
    if evaluation.left_out is not None:
        yield _left_out(evaluation.left_out)
    if evaluation.segments is not None:
        yield _segments(evaluation.segments)


def _headline(evaluation: Evaluation) -> Section:
    pooled = evaluation.pooled
    rows = [
        ["EER (ROC points joined by straight lines)", *_estimate(pooled.eer, 100, 1)],
        ["AUC", *_estimate(pooled.auc)],
        ["minDCF (ASVspoof 5)", *_estimate(pooled.min_dcf)],
        ["actDCF (ASVspoof 5)", *_estimate(pooled.act_dcf)],
        ["min Cllr, bits", *_estimate(pooled.min_cllr)],
        ["Cllr, bits", *_estimate(pooled.cllr)],
        ["Brier score, classes weighing alike", *_estimate(pooled.brier)],
        ["expected calibration error, 10 bins of equal weight", *_estimate(pooled.ece)],
        ["bona fide flagged at the threshold", *_estimate(pooled.fpr, 100, 1)],
        ["generated missed at the threshold", *_estimate(pooled.fnr, 100, 1)],
    ]
    rows += _macro_rows(evaluation)
    text = "minDCF and actDCF: Pspoof 0.05, Cmiss 1, Cfa 10, over the cost of the better trivial system."
    return Section("Figures", text, ["measure", "value", f"{100 * evaluation.level:g} % interval"], rows)


def _macro_rows(evaluation: Evaluation) -> list[list[str]]:
    """Means over groups, each counting once."""
    rows = []
    for table in evaluation.tables:
        if table.against == "all_bonafide" or table.name == "voice pool":
            label = "same voices: EER, macro mean over voice pools"
            label = (
                label if table.name == "voice pool" else f"EER, macro mean over {_PLURALS.get(table.name, table.name)}"
            )
            rows.append([label, *_estimate(table.macro_mean_eer, 100, 1)])
        if table.against == "all_spoof":
            rows.append(["bona fide flagged, macro mean over sources", *_estimate(table.macro_mean_fpr, 100, 1)])
    if evaluation.cross_test is not None:
        cross = evaluation.cross_test
        rows.append(["bona fide cross-testing: EER, mean over all pairs", _percent(cross.mean_eer), ""])
        rows.append(["bona fide cross-testing: mean of each generator's worst", _percent(cross.mean_of_worst_eer), ""])
    if evaluation.left_out is not None:
        left_out = evaluation.left_out
        rows.append(["one family left out: generated missed, macro mean", _percent(left_out.macro_mean_fnr), ""])
        rows.append(["one family left out: bona fide flagged, macro mean", _percent(left_out.macro_mean_fpr), ""])
        rows.append(["one family left out: Cllr, bits, macro mean", _number(left_out.macro_mean_cllr), ""])
    return rows


def _verdicts(verdicts: Sequence[VerdictShares], policy: str) -> Section:
    rows = [
        [
            "bona fide" if each.label == "bonafide" else "generated",
            str(each.n),
            *map(_percent, (each.synthetic, each.inconclusive, each.no_evidence, each.not_analysable)),
        ]
        for each in verdicts
    ]
    header = ["class", "clips", "synthetic", "inconclusive", "no evidence", "not analysable"]
    return Section("Verdicts", f"By policy {printable(policy)}, of all clips; marks left aside.", header, rows)


def _groups(table: GroupTable, level: float) -> Section:
    rows = [
        [
            printable(each.name),
            str(each.n_bonafide),
            str(each.n_spoof),
            str(each.n_unscored),
            *(_estimate(each.eer, 100, 1) if each.undefined is None else ("not measured", "")),
            _number(each.auc),
            _short(each.fpr) if each.n_bonafide else "",
            _short(each.fnr) if each.n_spoof else "",
            each.undefined or "",
        ]
        for each in table.groups
    ]
    text = _VOICE_POOLS if table.name == "voice pool" else _AGAINST[table.against]
    means = [
        f"{name} {_short(mean)}"
        for name, mean in (
            ("EER", table.macro_mean_eer),
            ("flagged", table.macro_mean_fpr),
            ("missed", table.macro_mean_fnr),
        )
        if mean.value is not None
    ]
    if means:
        text += f" Macro means: {', '.join(means)}."
    interval = f"{100 * level:g} % interval"
    header = [
        "group",
        "bona fide",
        "generated",
        "no score",
        "EER",
        interval,
        "AUC",
        "flagged",
        "missed",
        "not measured: why",
    ]
    return Section(f"By {table.name}", text, header, rows)


def _cross_test_generators(cross: CrossTest) -> Section:
    rows = [
        [
            printable(each.name),
            str(each.n_spoof),
            *map(_percent, (each.mean_eer, each.worst_eer)),
            printable(each.worst_source),
        ]
        for each in cross.generators
    ]
    text = (
        f"Bona fide cross-testing (arXiv 2509.09204): the EER of each generator against each of {len(cross.sources)} "
        "sources of genuine speech by itself. The JSON holds every pair."
    )
    header = ["generator", "clips", "mean EER", "worst EER", "source of the worst"]
    return Section("Generators against each genuine source", text, header, rows)


def _cross_test_sources(cross: CrossTest) -> Section:
    rows = [
        [
            printable(each.name),
            str(each.n_bonafide),
            *map(_percent, (each.mean_eer, each.worst_eer)),
            printable(each.worst_generator),
        ]
        for each in cross.sources
    ]
    text = "The same pairs by source: whose genuine speech is taken for generated."
    header = ["genuine source", "clips", "mean EER", "worst EER", "generator of the worst"]
    return Section("Genuine sources against each generator", text, header, rows)


def _left_out(left_out: LeftOutFamilies) -> Section:
    rows = [
        [
            printable(each.family),
            printable(", ".join(each.folds)),
            str(each.n_spoof),
            *(_number(each.threshold), _percent(each.eer), _percent(each.fpr), _percent(each.fnr), _number(each.cllr)),
            each.undefined or "",
        ]
        for each in left_out.families
    ]
    text = (
        "Each family judged by a threshold (of equal errors) and a calibration that were fitted on the other families "
        "and genuine clips, all of other folds. It is a test on strangers only where the scores themselves are out of "
        f"fold. Macro means: flagged {_percent(left_out.macro_mean_fpr)}, missed {_percent(left_out.macro_mean_fnr)}, "
        f"Cllr {_number(left_out.macro_mean_cllr)}."
    )
    header = [
        "family", "folds", "clips", "threshold", "EER in its folds", "flagged", "missed", "Cllr", "not measured: why"
    ]  # fmt: skip
    return Section("One family left out", text, header, rows)


def _segments(segments: SegmentFigures) -> Section:
    rows = [
        ["precision", _percent(segments.precision)],
        ["recall", _percent(segments.recall)],
        ["F1", _percent(segments.f1)],
        ["generated and flagged", f"{segments.hit_s:.2f} s"],
        ["generated and missed", f"{segments.miss_s:.2f} s"],
        ["bona fide and flagged", f"{segments.false_alarm_s:.2f} s"],
        ["bona fide and not flagged", f"{segments.correct_rejection_s:.2f} s"],
        ["left out near boundaries", f"{segments.near_boundary_s:.2f} s"],
        ["covered by no window", f"{segments.unscored_s:.2f} s"],
    ]
    text = (
        f"{segments.clips} clips; windows flagged at {segments.threshold.value:.4g} "
        f"({printable(segments.threshold.origin)}); {segments.tolerance_s:g} s on either side of a boundary left out."
    )
    return Section("Segments", text, ["measure", "value"], rows)


def _estimate(estimate: Estimate, factor: float = 1, digits: int = 3) -> tuple[str, str]:
    unit = " %" if factor == 100 else ""
    if estimate.value is None:
        return "not measured", ""
    if estimate.low is None or estimate.high is None:
        return f"{factor * estimate.value:.{digits}f}{unit}", "not known"
    interval = f"{factor * estimate.low:.{digits}f} to {factor * estimate.high:.{digits}f}{unit}"
    return f"{factor * estimate.value:.{digits}f}{unit}", interval


def _short(estimate: Estimate) -> str:
    """A rate with its interval in one cell."""
    if estimate.low is None or estimate.high is None:
        return _percent(estimate.value)
    return f"{_percent(estimate.value)} ({100 * estimate.low:.1f} to {100 * estimate.high:.1f})"


def _percent(value: float | None) -> str:
    return "not measured" if value is None else f"{100 * value:.1f} %"


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"
