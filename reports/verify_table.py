"""Results of `verify` for people: a line per file in 80 columns, and under it each kind of evidence."""

from collections.abc import Iterator
from typing import BinaryIO

from rich.table import Table
from rich.text import Text

from ..core.ledgerrecord import LedgerReading
from ..core.markrecord import KeyReading, MarkPayload, TokenMark
from ..core.verifyrecord import VerifyRecord
from .page import TextPage
from .provenance_text import change_text, credentials_text, detector_text, examined_text, waveform_texts
from .table import audit_line
from .text import printable, short_seconds

SAME_TEMPO = 0.005
"""Changes of tempo up to this are not worth a word."""
_STYLES = {
    "present": "bold red", "absent": "green", "not_checked": "magenta", "error": "magenta",
    "synthetic": "bold red", "inconclusive": "yellow", "no_evidence": "green", "not_analysable": "magenta",
}  # fmt: skip


class VerifyTableWriter:
    """Columns of fixed width; evidence goes on below, nothing is cut off."""

    def __init__(self, stream: BinaryIO) -> None:
        """Write UTF-8 to a binary stream; the caller closes it. Colours only on a terminal."""
        self._page = TextPage(stream)
        self._page.print(_row("#", "verdict", "token mark", "log10 p", "used", "file", style="bold"))

    def write(self, record: VerifyRecord) -> None:
        """One file, flushed."""
        mark = record.token_mark
        verdict = record.decision.verdict if record.decision else "error" if record.error else ""
        answer = [mark.status, _number(mark.log10_p), short_seconds(mark.seconds_used)] if mark else ["", "", ""]
        row = _row(str(record.seq), _styled(verdict), _styled(answer[0]), *answer[1:], printable(record.input.path))
        self._page.print(row, *(_evidence(title, text) for title, text in _details(record)))
        if record.audit is not None:
            self._page.print(audit_line(record.audit))

    def finish(self) -> None:
        """Nothing is left to write."""


def _row(*cells: str | Text, style: str = "") -> Table:
    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(min_width=3, justify="right", no_wrap=True)
    row.add_column(width=14, no_wrap=True)
    row.add_column(width=11, no_wrap=True)
    for _ in range(2):
        row.add_column(width=7, justify="right", no_wrap=True)
    row.add_column(ratio=1, overflow="fold")
    row.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells), style=style)
    return row


def _evidence(title: str, text: str) -> Table:
    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(width=3)
    row.add_column(width=11, no_wrap=True)
    row.add_column(ratio=1, overflow="fold")
    row.add_row("", Text(title), Text(printable(text)))
    return row


def _styled(word: str) -> Text:
    return Text(word, style=_STYLES.get(word, ""))


def _number(log10: float | None) -> str:
    return "" if log10 is None else f"{log10:+.1f}"


def _details(record: VerifyRecord) -> Iterator[tuple[str, str]]:
    """Each kind of evidence by its name, in the order of its weight."""
    decision = record.decision
    if record.error is not None:
        yield "error", f"{record.error.code}: {record.error.message}"
    elif decision is not None:
        yield "why", ", ".join(decision.reasons)
    if record.token_mark is not None:
        for line in _mark_details(record.token_mark):
            yield "token mark", line
    if record.ledger is not None:
        yield "ledger", _listed(record.ledger)
    if record.credentials is not None:
        yield "credentials", credentials_text(record.credentials)
    for line in waveform_texts(record.waveform_marks or ()):
        yield "waveform", line
    for result in record.detectors or ():
        yield "detector", detector_text(result, decision)
    if record.examined is not None:
        yield "forensics", examined_text(record.examined)
    for change in (decision.would_change or ()) if decision else ():
        yield "would be", change_text(change)


def _mark_details(mark: TokenMark) -> list[str]:
    lines = [_found(key, mark) for key in mark.keys if key.status == "present"]
    if mark.log10_e is not None and mark.log10_p_sharp is not None:
        lines.append(f"log10 E {_number(mark.log10_e)}, log10 p sharp* {_number(mark.log10_p_sharp)}")
    if mark.reason == "no_recoverer":
        lines.append(f"no recoverer for model {mark.model}: see `covoguard explain no_recoverer`")
    elif mark.reason is not None:
        lines.append(f"{mark.reason}: see `covoguard explain {mark.reason}`")
    if mark.status != "present" and mark.seconds_needed is not None and mark.seconds_needed > mark.seconds_used:
        lines.append(f"short: a mark would need about {mark.seconds_needed:.1f} s of marked speech to be certain")
    return lines


def _listed(ledger: LedgerReading) -> str:
    """What the ledger says, named as evidence of its own kind."""
    if ledger.status == "not_listed":
        return "not listed there"
    where = f"line {ledger.line}: byte for byte clip {ledger.clip_id}"
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
