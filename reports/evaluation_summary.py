"""What an evaluation comes to, on a terminal: a few lines of 80 columns; the rest is in the files."""

from collections.abc import Iterator
from typing import BinaryIO

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..core.evaluationrecord import Estimate, Evaluation
from .page import TextPage
from .text import printable

_VERDICTS = ("synthetic", "inconclusive", "no_evidence", "not_analysable")


class EvaluationSummaryWriter:
    """The headline, the worst generators and sources, verdicts, notes."""

    def __init__(self, stream: BinaryIO) -> None:
        """Write UTF-8 to a binary stream; the caller closes it. Colours only on a terminal."""
        self._page = TextPage(stream)

    def write(self, record: Evaluation) -> None:
        """The whole summary."""
        clips = record.clips
        head = f"{printable(record.system.name)}: {clips.bonafide} bona fide and {clips.spoof} generated clips"
        self._page.print(Text(head, style="bold"), _figures(record))
        for line in _lines(record):
            self._page.print(Text(line))
        for note in record.notes:
            self._page.print(Padding(Text(f"note: {printable(note)}", style="yellow", overflow="fold"), (0, 0, 0, 0)))

    def finish(self) -> None:
        """Nothing is left to write."""


def _figures(record: Evaluation) -> Table:
    pooled = record.pooled
    grid = Table.grid(padding=(0, 2))
    for name, estimate, is_rate in (
        ("EER", pooled.eer, True),
        ("AUC", pooled.auc, False),
        ("minDCF / ASVspoof 5", pooled.min_dcf, False),
        ("actDCF / ASVspoof 5", pooled.act_dcf, False),
        ("min Cllr, bits", pooled.min_cllr, False),
        ("Cllr, bits", pooled.cllr, False),
        ("Brier score", pooled.brier, False),
        ("ECE", pooled.ece, False),
        ("bona fide flagged", pooled.fpr, True),
        ("generated missed", pooled.fnr, True),
    ):
        grid.add_row(name, *_cells(estimate, is_rate))
    return grid


def _cells(estimate: Estimate, is_rate: bool) -> tuple[str, str]:
    def shown(value: float) -> str:
        return f"{100 * value:.1f} %" if is_rate else f"{value:.3f}"

    if estimate.value is None:
        return "not measured", ""
    if estimate.low is None or estimate.high is None:
        return shown(estimate.value), ""
    return shown(estimate.value), f"{shown(estimate.low)} to {shown(estimate.high)}"


def _in_one(estimate: Estimate) -> str:
    value, interval = _cells(estimate, is_rate=True)
    return f"{value} ({interval})" if interval else value


def _lines(record: Evaluation) -> Iterator[str]:
    if record.threshold is not None:
        yield f"threshold {record.threshold.value:.4g}: {printable(record.threshold.origin)}"
    for table in record.tables:
        if table.macro_mean_eer.value is None or (table.against == "within" and table.name != "voice pool"):
            continue
        yield f"by {table.name}: macro mean EER {_in_one(table.macro_mean_eer)}, worst"
        for group in table.groups[: len(table.worst)]:
            yield f"  {100 * (group.eer.value or 0):5.1f} %  {printable(group.name)}"
        if table.against == "all_spoof" and table.macro_mean_fpr.value is not None:
            yield f"  bona fide flagged, macro mean over sources: {_in_one(table.macro_mean_fpr)}"
    if record.cross_test is not None:
        cross = record.cross_test
        yield (
            f"generators against each genuine source: mean EER {100 * cross.mean_eer:.1f} %, of the worst "
            f"{100 * cross.mean_of_worst_eer:.1f} %"
        )
    if record.left_out is not None and record.left_out.macro_mean_fnr is not None:
        left_out = record.left_out
        cllr = "not measured" if left_out.macro_mean_cllr is None else f"{left_out.macro_mean_cllr:.3f}"
        yield (
            f"one family left out: missed {100 * (left_out.macro_mean_fnr or 0):.1f} %, flagged "
            f"{100 * (left_out.macro_mean_fpr or 0):.1f} %, Cllr {cllr}"
        )
    for each in record.verdicts:
        shares = ", ".join(f"{name} {100 * getattr(each, name):.1f} %" for name in _VERDICTS)
        yield f"{'bona fide' if each.label == 'bonafide' else 'generated'}: {shares}"
    if record.segments is not None:
        values = (
            ("precision", record.segments.precision),
            ("recall", record.segments.recall),
            ("F1", record.segments.f1),
        )
        yield "segments: " + ", ".join(
            f"{name} {'not measured' if value is None else f'{100 * value:.1f} %'}" for name, value in values
        )
