"""Observations on files for people: a line per file in 80 columns, and under it each observation with its reading."""

from typing import BinaryIO

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..core.observationrecord import InspectRecord, Observation
from .page import TextPage
from .text import printable

WHAT_OBSERVATIONS_ARE = (
    "Observations are facts with readings, never verdicts: each also has harmless explanations, and a file without "
    "any may still be edited or generated."
)
_STYLES = {"notable": "bold yellow", "note": "", "error": "magenta"}


class InspectTableWriter:
    """Nothing is cut off: long texts go on below."""

    def __init__(self, stream: BinaryIO) -> None:
        """Write UTF-8 to a binary stream; the caller closes it. Colours only on a terminal."""
        self._page = TextPage(stream)
        self._files = 0

    def write(self, record: InspectRecord) -> None:
        """One file, flushed."""
        self._files += 1
        head = Text(f"#{record.seq} {printable(record.input.path)}", style="bold", overflow="fold")
        self._page.print(head, _indented(_summary(record)))
        for observation in record.observations:
            self._page.print(_observed(observation))

    def finish(self) -> None:
        """What the reader must know of all of them."""
        if self._files:
            self._page.print(Text(WHAT_OBSERVATIONS_ARE))


def _indented(text: str, columns: int = 3) -> Padding:
    return Padding(Text(text, overflow="fold"), (0, 0, 0, columns))


def _summary(record: InspectRecord) -> str:
    if record.error is not None:
        return f"not examined: {record.error.code}: {printable(record.error.message)}"
    notable = sum(observation.strength == "notable" for observation in record.observations)
    facts = record.input
    form = f"{facts.container}, {facts.codec}, {facts.sample_rate_hz} Hz, {facts.channels} ch, {facts.duration_s:.2f} s"
    skipped = f"; could not look: {', '.join(record.skipped)}" if record.skipped else ""
    return f"{form}; {notable} notable of {len(record.observations)} observations{skipped}"


def _observed(observation: Observation) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(width=3)
    table.add_column(width=7, no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    strength = Text(observation.strength, style=_STYLES[observation.strength])
    table.add_row("", strength, Text(f"{observation.code}: {printable(observation.seen)}"))
    if observation.strength == "notable":
        table.add_row("", "", Text(f"may mean: {observation.reading}", style="dim"))
        table.add_row("", "", Text(f"but: {observation.limits}", style="dim"))
    return table
