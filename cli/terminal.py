"""What people see while a command runs: log lines and a progress bar, all on standard error."""

import logging
import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from ..reports.text import printable

Record = TypeVar("Record")


class _OneLine(logging.Formatter):
    """`covoguard: level: message`, with foreign text made harmless."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"covoguard: {record.levelname.lower()}: {printable(record.getMessage())}"
        if not record.exc_info:
            return line
        trace = self.formatException(record.exc_info).splitlines()
        return "\n".join([line, *map(printable, trace)])


def set_up_logging(*, verbosity: int, quiet: bool) -> None:
    """Log lines of the package to standard error: warnings; errors only when quiet; more with each -v."""
    logger = logging.getLogger("covoguard")
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG)
    logger.setLevel(logging.ERROR if quiet and not verbosity else level)
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine())
    logger.handlers[:] = [handler]
    logger.propagate = False


def shows_progress(*, quiet: bool, rows_on_terminal: bool) -> bool:
    """Only for someone who watches, and not between rows that already show how far the run is."""
    return sys.stderr.isatty() and not quiet and not rows_on_terminal


def with_progress(records: Iterable[Record], total: int | None, title: str = "scanning") -> Iterator[Record]:
    """The same records, with a bar on standard error; `total` None: their number is not known."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=total)
        for record in records:
            yield record
            progress.advance(task)
