"""Counts over a run of `generate`, and its clips as a table for people."""

import io
from collections import Counter
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..core.cliprecord import CheckStatus, ClipRecord
from .text import printable

WIDTH_COLUMNS = 80
FOUND: Mapping[CheckStatus, tuple[str, str]] = {
    "mark_found": ("found", "green"),
    "too_short": ("too short", "yellow"),
    "not_marked": ("none", ""),
    "mark_not_found": ("NOT FOUND", "bold red"),
    "wrong_length": ("WRONG LENGTH", "bold red"),
    "unreadable": ("UNREADABLE", "bold red"),
}
"""How a check is shown: word and style."""


class ClipTally:
    """Counts records, seconds, checks and errors."""

    def __init__(self) -> None:
        """Start at zero."""
        self.records = 0
        self.clips = 0
        self.failures = 0
        self.speech_s = 0.0
        self.checks: Counter[CheckStatus] = Counter()
        self.credentials: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()

    def add(self, record: ClipRecord) -> None:
        """Count one record."""
        self.records += 1
        self.clips += record.path is not None
        self.failures += record.is_failure
        self.speech_s += record.duration_s or 0.0
        if record.check is not None:
            self.checks[record.check.status] += 1
        if record.credentials is not None:
            self.credentials[record.credentials.status] += 1
        if record.error is not None:
            self.errors[record.error.code] += 1


def clip_summary_lines(tally: ClipTally, earlier: int, elapsed_s: float) -> list[str]:
    """The run in a few lines of plain text; `earlier` of the records are of runs before this one."""
    noun = "clip" if tally.clips == 1 else "clips"
    lines = [f"{tally.clips} {noun}, {tally.speech_s:.1f} s of speech, in {elapsed_s:.1f} s"]
    if earlier:
        lines[0] += f" ({earlier} of {tally.records} were there already)"
    if tally.checks:
        counts = (f"{FOUND[status][0]} {tally.checks[status]}" for status in FOUND if tally.checks[status])
        lines.append(f"marks read back: {', '.join(counts)}")
    if tally.credentials:
        lines.append(f"content credentials: signed {tally.credentials['signed']}, failed {tally.credentials['failed']}")
    if tally.errors:
        counts = (f"{code} {count}" for code, count in tally.errors.most_common())
        lines.append(f"prompts without a clip: {', '.join(counts)}")
    return lines


class ClipTable:
    """Rows of fixed column widths, in 80 columns or more; long texts go on below, nothing is cut off."""

    def __init__(self, *, is_terminal: bool, width_columns: int = WIDTH_COLUMNS) -> None:
        """Colours only on a terminal."""
        self._page = io.StringIO()
        width = max(width_columns, WIDTH_COLUMNS)
        self._console = Console(
            file=self._page, force_terminal=is_terminal, width=width, highlight=False, markup=False, emoji=False
        )

    def header(self) -> str:
        """The line of column names."""
        return self._row("#", "length", Text("mark"), "log10 p", "text", style="bold")

    def row(self, record: ClipRecord) -> str:
        """A record as one or more lines, without the last line break."""
        check = record.check
        word, style = FOUND[check.status] if check else ("", "")
        said = printable(record.prompt.text)
        if record.error is not None:
            word, style = "NO CLIP", "bold red"
            said = printable(record.error.message) + (f": {said}" if said else "")
        length = "" if record.duration_s is None else f"{record.duration_s:.2f} s"
        log10_p = "" if check is None or check.log10_p is None else f"{check.log10_p:.1f}"
        return self._row(record.clip_id, length, Text(word, style=style), log10_p, said)

    def _row(self, clip: str, length: str, mark: Text, log10_p: str, text: str, style: str = "") -> str:
        row = Table.grid(padding=(0, 1), expand=True)
        row.add_column(width=6, justify="right", no_wrap=True)
        row.add_column(width=8, justify="right", no_wrap=True)
        row.add_column(width=12, no_wrap=True)
        row.add_column(width=7, justify="right", no_wrap=True)
        row.add_column(ratio=1, overflow="fold")
        row.add_row(clip, length, mark, log10_p, Text(text), style=style)
        self._console.print(row)
        lines = [line.rstrip() for line in self._page.getvalue().splitlines()]
        self._page.seek(0)
        self._page.truncate()
        return "\n".join(lines)
