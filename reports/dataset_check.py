"""A check or a split of a labelled collection in words, 80 columns wide."""

import textwrap
from collections.abc import Sequence

from ..core.datasetrecord import DatasetCheck, Finding, Part, SplitReport
from .text import printable

WIDTH_COLUMNS = 80
CLIPS_SHOWN = 3


def check_lines(check: DatasetCheck) -> list[str]:
    """Counts, the parts, every finding with its first clips, and the probe."""
    lines = _wrapped(f"{check.path}: {check.clips} clips, {check.usable} can be used")
    if check.has_labels:
        lines += ["", *_part_lines(check.parts)]
    else:
        lines.append("no manifest here: labels and splits were not checked")
    if check.probe:
        lines += ["", "EER of numbers that say nothing of the speech (45 to 55 % is chance):"]
        lines += [
            f"  {each.numbers.replace('_', ' '):20s} " + ("none" if each.eer is None else f"{100 * each.eer:.1f} %")
            for each in check.probe
        ]
    lines.append("")
    for finding in sorted(check.findings, key=lambda each: each.severity):
        lines += _finding_lines(finding)
    return [*lines, _verdict(check.findings)]


def split_lines(report: SplitReport) -> list[str]:
    """The parts, and what hangs together too much to be divided evenly."""
    lines = [
        *_wrapped(
            f"{report.groups} groups of clips that share no {' or '.join(report.by)}, balanced by label and "
            f"{report.balanced_by} (seed {report.seed})"
        ),
        *(_wrapped(f"may stand in several parts: {', '.join(report.spread)}") if report.spread else []),
        *_part_lines(report.parts),
    ]
    for group in report.oversized:
        glue = ", ".join(f"{each.key}={each.value} (joins {each.joins} groups)" for each in group.glue)
        without = ", ".join(f"{key} {100 * share:.0f} %" for key, share in group.share_without)
        lines += _wrapped(
            f"warning: {group.clips} clips, {100 * group.share:.0f} % of a class, hang together, so all are in part "
            f"{group.part}. Held together most by {glue}. Largest piece without one key: {without}"
        )
    if report.lacking:
        lines += _wrapped(f"warning: without one of the classes: {', '.join(report.lacking)}")
    return lines


def _part_lines(parts: Sequence[Part]) -> list[str]:
    lines = [f"{'part':16s} {'bonafide':>9s} {'spoof':>9s} {'bonafide':>12s} {'spoof':>12s}"]
    for part in parts:
        times = "".join(f" {_hours(seconds):>12s}" for seconds in (part.bonafide_s, part.spoof_s))
        lines.append(f"{printable(part.name or '(none)'):16s} {part.bonafide:9d} {part.spoof:9d}{times}".rstrip())
    return lines


def _hours(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds / 3600:.3f} h"


def _finding_lines(finding: Finding) -> list[str]:
    lines = _wrapped(f"{finding.severity}: {finding.message}")
    if finding.clips:
        rest = len(finding.clips) - CLIPS_SHOWN
        more = f", and {rest} more (all with --json)" if rest > 0 else ""
        lines += _wrapped(f"{', '.join(finding.clips[:CLIPS_SHOWN])}{more}", indent="    ")
    return lines


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        printable(text), WIDTH_COLUMNS, initial_indent=indent, subsequent_indent=indent + "  ", break_on_hyphens=False
    )


def _verdict(findings: Sequence[Finding]) -> str:
    if not findings:
        return "nothing found that is wrong"
    unusable = sum(each.severity == "unusable" for each in findings)
    return f"findings: {len(findings)}, of which {unusable} concern clips that cannot be used"
