"""An evaluation for people and programs: JSON, Markdown, a plain page, and a summary in 80 columns.

What the pages show is laid out once, in `sections`; the formats only differ in how they write it down.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import BinaryIO

from ..core.evaluationrecord import Estimate, Evaluation, GroupTable, LeftOutFamily, SegmentFigures, VerdictShares
from .evaluation_plots import evaluation_plots
from .evaluation_summary import EvaluationSummaryWriter
from .formats import Format, Formats
from .markdown import bullets
from .markdown import table as markdown_table
from .text import printable

_AGAINST = {
    "all_bonafide": "Generated clips of the group against all genuine ones.",
    "all_spoof": "Genuine clips of the group against all generated ones.",
    "within": "Both classes within the group.",
}
_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}th,td{padding:.15rem .6rem;text-align:right;border-bottom:1px solid
#ddd}th:first-child,td:first-child{text-align:left}td:nth-child(2){white-space:nowrap}
figure{display:inline-block;width:29rem;max-width:100%;margin:0 1rem
1rem 0;vertical-align:top}svg{width:100%;font:11px system-ui,sans-serif}code{word-break:break-all}
"""


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
        yield _groups(table)
    if evaluation.left_out_families:
        yield _left_out(evaluation.left_out_families)
    if evaluation.segments is not None:
        yield _segments(evaluation.segments)


class EvaluationJsonWriter:
    """One JSON object, indented."""

    def __init__(self, stream: BinaryIO) -> None:
        """Write to a binary stream; the caller closes it."""
        self._stream = stream

    def write(self, record: Evaluation) -> None:
        """The whole evaluation. Raises `ValueError` on NaN and infinity, which JSON does not have."""
        self._stream.write(json.dumps(asdict(record), indent=1, allow_nan=False).encode("ascii") + b"\n")

    def finish(self) -> None:
        """Nothing is left to write."""


class EvaluationMarkdownWriter:
    """Every table, without the plots."""

    def __init__(self, stream: BinaryIO) -> None:
        """Write UTF-8 to a binary stream; the caller closes it."""
        self._stream = stream

    def write(self, record: Evaluation) -> None:
        """The whole page."""
        parts = [f"# {_title(record)}", bullets(_facts(record))]
        if record.notes:
            parts += ["## Notes", bullets(map(printable, record.notes))]
        for each in sections(record):
            parts += [f"## {each.title}", each.text, markdown_table(each.header, each.rows)]
        self._stream.write(("\n\n".join(parts) + "\n").encode("utf-8"))

    def finish(self) -> None:
        """Nothing is left to write."""


class EvaluationPageWriter:
    """One HTML file that needs nothing else: no script, no style sheet, no picture from anywhere."""

    def __init__(self, stream: BinaryIO) -> None:
        """Write UTF-8 to a binary stream; the caller closes it."""
        self._stream = stream

    def write(self, record: Evaluation) -> None:
        """The whole page."""
        title = escape(_title(record))
        parts = [
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><h1>{title}</h1>',
            _html_list(_facts(record)),
            f"<h2>Notes</h2>{_html_list(record.notes)}" if record.notes else "",
        ]
        tables = [_html_section(each) for each in sections(record)]
        figures = [
            f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"
            for caption, svg in evaluation_plots(record)
        ]
        self._stream.write("\n".join([*parts, tables[0], *figures, *tables[1:], "</body></html>\n"]).encode("utf-8"))

    def finish(self) -> None:
        """Nothing is left to write."""


EVALUATION_FORMATS: Formats[Evaluation] = {
    "table": Format("table", ".txt", EvaluationSummaryWriter),
    "json": Format("json", ".json", EvaluationJsonWriter),
    "markdown": Format("markdown", ".md", EvaluationMarkdownWriter),
    "html": Format("html", ".html", EvaluationPageWriter),
}


def _title(evaluation: Evaluation) -> str:
    return f"Evaluation of {printable(evaluation.system.name)}"


def _facts(evaluation: Evaluation) -> list[str]:
    clips, threshold = evaluation.clips, evaluation.threshold
    fixed = f"{threshold.value:.4g} ({printable(threshold.origin)})" if threshold else "none"
    scale = "log10 likelihood ratios" if evaluation.system.scale == "log10_lr" else "raw, higher is more synthetic"
    return [
        f"model or scores: sha256 {evaluation.system.sha256 or 'not known'}; scores: {scale}",
        f"manifest: {printable(evaluation.manifest)}, sha256 {evaluation.manifest_sha256}",
        f"clips with a score: {clips.bonafide} bona fide, {clips.spoof} generated; "
        f"without: {clips.unscored_bonafide} and {clips.unscored_spoof}",
        f"threshold, fixed beforehand: {fixed}",
        f"intervals: {100 * evaluation.level:g} %, {evaluation.n_resamples} resamples of groups (speaker and source; "
        f"generator), seed {evaluation.seed}",
        f"a group needs {evaluation.min_clips} scored clips of each side",
        f"covoguard {evaluation.tool.version}",
    ]


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
    rows += [
        [f"EER, macro mean by {table.name}", _percent(table.macro_mean_eer), "worst: " + _names(table.worst)]
        for table in evaluation.tables
        if table.against == "all_bonafide"
    ]
    text = "minDCF and actDCF: Pspoof 0.05, Cmiss 1, Cfa 10, over the cost of the better trivial system."
    return Section("Figures", text, ["measure", "value", f"{100 * evaluation.level:g} % interval"], rows)


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


def _groups(table: GroupTable) -> Section:
    rows = [
        [
            printable(each.name),
            str(each.n_bonafide),
            str(each.n_spoof),
            str(each.n_unscored),
            _percent(each.eer),
            _number(each.auc),
            _percent(each.fpr) if each.n_bonafide else "",
            _percent(each.fnr) if each.n_spoof else "",
            each.undefined or "",
        ]
        for each in table.groups
    ]
    text = f"{_AGAINST[table.against]} Macro mean of the EER: {_percent(table.macro_mean_eer)}."
    header = ["group", "bona fide", "generated", "no score", "EER", "AUC", "flagged", "missed", "not measured: why"]
    return Section(f"By {table.name}", text, header, rows)


def _left_out(families: Sequence[LeftOutFamily]) -> Section:
    rows = [
        [
            printable(each.family),
            printable(", ".join(each.folds)),
            str(each.n_spoof),
            *(_number(each.threshold), _percent(each.eer), _percent(each.fpr), _percent(each.fnr)),
            each.undefined or "",
        ]
        for each in families
    ]
    text = (
        "Each family with a threshold of equal errors on the other families and genuine clips, all of other folds. It "
        "is a test on strangers only where the scores themselves are out of fold."
    )
    header = ["family", "folds", "clips", "threshold", "EER in its folds", "flagged", "missed", "not measured: why"]
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


def _html_list(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(printable(line))}</li>" for line in lines) + "</ul>"


def _html_section(section: Section) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in section.header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in section.rows)
    return (
        f"<h2>{escape(section.title)}</h2><p>{escape(section.text)}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _estimate(estimate: Estimate, factor: float = 1, digits: int = 3) -> tuple[str, str]:
    unit = " %" if factor == 100 else ""
    if estimate.value is None:
        return "not measured", ""
    if estimate.low is None or estimate.high is None:
        return f"{factor * estimate.value:.{digits}f}{unit}", "not known"
    interval = f"{factor * estimate.low:.{digits}f} to {factor * estimate.high:.{digits}f}{unit}"
    return f"{factor * estimate.value:.{digits}f}{unit}", interval


def _names(names: Sequence[str]) -> str:
    return ", ".join(map(printable, names)) or "none measured"


def _percent(value: float | None) -> str:
    return "not measured" if value is None else f"{100 * value:.1f} %"


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"
