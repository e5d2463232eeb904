"""A table for people: one row per record as it becomes known."""

from typing import BinaryIO

from rich.table import Table
from rich.text import Text

from ..core.scanrecord import AuditRef, ScanRecord
from .page import TextPage
from .text import printable, short_seconds

_VERDICT_STYLES = {
    "synthetic": "bold red",
    "inconclusive": "yellow",
    "no_evidence": "green",
    "not_analysable": "magenta",
}


class TableWriter:
    """Rows of fixed column widths; long names and lists of reasons go on below, nothing is cut off."""

    def __init__(self, stream: BinaryIO) -> None:
        """Write UTF-8 to a binary stream; the caller closes it. Colours only on a terminal."""
        self._page = TextPage(stream)
        self._print("#", Text("verdict"), "log10 LR", "speech", "reasons", "file", style="bold")

    def write(self, record: ScanRecord) -> None:
        """One row, flushed."""
        log10_lr = next((result.log10_lr for result in record.detectors if result.log10_lr is not None), None)
        reasons = " ".join(record.decision.reasons)
        if record.duplicate_of is not None:
            reasons += f" same_as_#{record.duplicate_of}"
        self._print(
            str(record.seq),
            Text(record.decision.verdict, style=_VERDICT_STYLES[record.decision.verdict]),
            "" if log10_lr is None else f"{log10_lr:+.2f}",
            "" if record.quality is None else short_seconds(record.quality.speech_s),
            reasons,
            printable(record.input.path),
        )
        if record.audit is not None:
            self._page.print(audit_line(record.audit))

    def finish(self) -> None:
        """Nothing is left to write."""

    def _print(
        self, seq: str, verdict: Text, log10_lr: str, speech: str, reasons: str, path: str, style: str = ""
    ) -> None:
        row = Table.grid(padding=(0, 1), expand=True)
        row.add_column(min_width=3, justify="right", no_wrap=True)
        row.add_column(width=14, no_wrap=True)
        row.add_column(width=8, justify="right", no_wrap=True)
        row.add_column(min_width=6, justify="right", no_wrap=True)
        row.add_column(width=18, overflow="fold")
        row.add_column(ratio=1, overflow="fold")
        row.add_row(seq, verdict, log10_lr, speech, Text(reasons), Text(path), style=style)
        self._page.print(row)


def audit_line(audit: AuditRef) -> Text:
    """Where the audit log has the entry, as `covoguard audit verify --expect-head` takes it."""
    return Text(f"    audit {audit.sha256}:{audit.seq}", overflow="fold")
