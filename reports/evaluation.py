"""An evaluation for people and programs: JSON, Markdown, a plain page, and a summary in 80 columns."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from typing import BinaryIO

from ..core.evaluationrecord import Evaluation
from .evaluation_plots import evaluation_plots
from .evaluation_sections import Section, sections
from .evaluation_summary import EvaluationSummaryWriter
from .formats import Format, Formats
from .markdown import bullets
from .markdown import table as markdown_table
from .text import printable

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem;color:#222}
h1,li,code{overflow-wrap:anywhere}.wide{overflow-x:auto;margin:.5rem 0 1.5rem}
table{border-collapse:collapse}th,td{padding:.15rem .6rem;text-align:right;border-bottom:1px solid #ddd;
white-space:nowrap}th:first-child,td:first-child,th:last-child,td:last-child{text-align:left}th{vertical-align:bottom}
th:first-child,td:first-child{white-space:normal;min-width:7rem;overflow-wrap:anywhere}
figure{display:inline-block;width:29rem;max-width:100%;margin:0 1rem 1rem 0;vertical-align:top}
svg{width:100%;font:11px system-ui,sans-serif}
"""


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
        parts = [f"# {_title(record)}", bullets(_facts(record)), "## How the scores came about", bullets(record.rules)]
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
            f"<h2>How the scores came about</h2>{_html_list(record.rules)}",
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
        f"generator), seed {evaluation.seed}; of a group: its speakers or clips, and the other side, are drawn anew",
        f"a group needs {evaluation.min_clips} scored clips of each side",
        f"covoguard {evaluation.tool.version}",
    ]


def _html_list(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(printable(line))}</li>" for line in lines) + "</ul>"


def _html_section(section: Section) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in section.header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in section.rows)
    return (
        f"<h2>{escape(section.title)}</h2><p>{escape(section.text)}</p>"
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )
