"""Results of `verify` for people: a line per file in 80 columns, and under it what there is to say."""

from typing import BinaryIO

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..core.ledgerrecord import LedgerReading
from ..core.markrecord import KeyReading, MarkPayload, TokenMark
from ..core.verifyrecord import VerifyRecord
from .page import TextPage
from .text import printable, short_seconds

SAME_TEMPO = 0.005
"""Changes of tempo up to this are not worth a word."""
_STYLES = {"present": "bold red", "absent": "green", "not_checked": "magenta", "error": "magenta"}


class VerifyTableWriter:
    """Columns of fixed width; long names and details go on below, nothing is cut off."""

    def __init__(self, stream: BinaryIO) -> None:
        """Write UTF-8 to a binary stream; the caller closes it. Colours only on a terminal."""
        self._page = TextPage(stream)
        self._page.print(_row("#", "mark", "log10 p", "sharp*", "log10 E", "used", "file", style="bold"))

    def write(self, record: VerifyRecord) -> None:
        """One file, flushed."""
        mark = record.token_mark
        status = mark.status if mark else "error"
        numbers = ["", "", "", ""]
        if mark is not None:
            logs = map(_number, (mark.log10_p, mark.log10_p_sharp, mark.log10_e))
            numbers = [*logs, short_seconds(mark.seconds_used)]
        row = _row(str(record.seq), Text(status, style=_STYLES[status]), *numbers, printable(record.input.path))
        self._page.print(row, *(Padding(Text(line, overflow="fold"), (0, 0, 0, 4)) for line in _details(record)))

    def finish(self) -> None:
        """Nothing is left to write."""


def _row(*cells: str | Text, style: str = "") -> Table:
    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(min_width=3, justify="right", no_wrap=True)
    row.add_column(width=11, no_wrap=True)
    for _ in range(4):
        row.add_column(width=7, justify="right", no_wrap=True)
    row.add_column(ratio=1, overflow="fold")
    row.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells), style=style)
    return row


def _number(log10: float | None) -> str:
    return "" if log10 is None else f"{log10:+.1f}"


def _details(record: VerifyRecord) -> list[str]:
    """What a line has no room for."""
    beside = [_listed(record.ledger)] if record.ledger is not None else []
    if record.audit is not None:
        beside.append(f"audit {record.audit.sha256}:{record.audit.seq}")
    if record.error is not None:
        return [f"{record.error.code}: {printable(record.error.message)}", *beside]
    return [*_mark_details(record.token_mark), *beside] if record.token_mark is not None else beside


def _mark_details(mark: TokenMark) -> list[str]:
    lines = [_found(key, mark) for key in mark.keys if key.status == "present"]
    if mark.reason == "no_recoverer":
        lines.append(f"no recoverer for model {printable(mark.model)}: see `covoguard explain no_recoverer`")
    elif mark.reason is not None:
        lines.append(f"{mark.reason}: see `covoguard explain {mark.reason}`")
    if mark.status != "present" and mark.seconds_needed is not None and mark.seconds_needed > mark.seconds_used:
        lines.append(f"short: a mark would need about {mark.seconds_needed:.1f} s of marked speech to be certain")
    return lines


def _listed(ledger: LedgerReading) -> str:
    """What the ledger says, named as evidence of its own kind."""
    if ledger.status == "not_listed":
        return "ledger: not listed there"
    where = f"ledger, line {ledger.line}: byte for byte clip {printable(str(ledger.clip_id))}"
    if ledger.reason is not None:
        return f"{where}; not tested: see `covoguard explain {ledger.reason}`"
    found = [key for key in ledger.keys if key.status == "present"]
    if not found:
        return f"{where}; its {ledger.tokens} recorded tokens carry no mark of these keys"
    keys = ", ".join(f"key {key.key_id} epoch {key.epoch}, log10 p {_number(key.log10_p)}" for key in found)
    return f"{where}; its {ledger.tokens} recorded tokens carry the mark of {keys}"


def _found(key: KeyReading, mark: TokenMark) -> str:
    spans = [span for span in mark.spans if (span.key_id, span.epoch) == (key.key_id, key.epoch)]
    where = ", ".join(f"{span.start_s:.1f} to {span.end_s:.1f} s" for span in spans)
    played = ""
    if key.alignment is not None:
        tempo = key.alignment.speed / key.alignment.rate
        played = f", played at {tempo:.3f} times its tempo" if abs(tempo - 1) > SAME_TEMPO else ""
    return f"key {key.key_id} epoch {key.epoch}" + (f": {where}" if where else "") + played + _says(key.payload)


def _says(payload: MarkPayload | None) -> str:
    if payload is None:
        return ""
    if payload.status == "uncertain":
        return "; payload not certain enough to show"
    return f"; payload: model {payload.model}, tenant {payload.tenant}, {payload.date}"
