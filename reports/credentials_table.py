"""Credentials of files for people: a line per file in 80 columns, and under it who says what."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..core.credentialsfinding import CredentialsFinding, ManifestFacts
from ..core.credentialsrecord import CredentialsRecord, SigningRecord
from .page import TextPage
from .text import printable

_STYLES = {
    "trusted": "bold green", "valid_untrusted": "yellow", "invalid": "bold red", "absent": "", "unreadable": "magenta",
    "sidecar": "", "recovered": "cyan", "not_checked": "magenta", "error": "magenta", "signed": "green",
}  # fmt: skip


class CredentialsTableWriter:
    """One file, its state, the reason in words, and what the manifest says."""

    def __init__(self, stream: BinaryIO) -> None:
        """Write UTF-8 to a binary stream; the caller closes it. Colours only on a terminal."""
        self._page = TextPage(stream)
        self._page.print(_row("credentials", "file", style="bold"))

    def write(self, record: CredentialsRecord) -> None:
        """One file, flushed."""
        found, error = record.credentials, record.error
        lines = [f"{error.code}: {error.message}"] if error else _found_lines(found) if found else []
        self._page.print(_row(_state(found), record.path), *map(_below, lines))

    def finish(self) -> None:
        """Nothing is left to write."""


class SigningTableWriter:
    """One file and what became of it."""

    def __init__(self, stream: BinaryIO) -> None:
        """As `CredentialsTableWriter`."""
        self._page = TextPage(stream)
        self._page.print(_row("signing", "file", style="bold"))

    def write(self, record: SigningRecord) -> None:
        """One file, flushed."""
        if record.error is not None:
            self._page.print(_row("error", record.path), _below(f"{record.error.code}: {record.error.message}"))
            return
        where = f"manifest in {record.sidecar}" if record.sidecar else f"signed copy in {record.output}"
        self._page.print(_row("signed", record.path), _below(where))

    def finish(self) -> None:
        """Nothing is left to write."""


class CredentialsTally:
    """Counts files by state."""

    def __init__(self) -> None:
        """Start at zero."""
        self.states: Counter[str] = Counter()
        self.broken = 0
        """Files whose credentials do not hold."""

    @property
    def unknown(self) -> int:
        """Files of which nothing is known."""
        return sum(self.states[state] for state in ("error", "unreadable", "not_checked"))

    def counting(self, records: Iterable[CredentialsRecord]) -> Iterator[CredentialsRecord]:
        """The same records, counted as they pass."""
        for record in records:
            found = record.credentials
            self.states[found.state if found else "error"] += 1
            self.broken += found is not None and found.is_broken
            yield record

    def summary(self) -> str:
        """One line for people."""
        counts = ", ".join(f"{state} {count}" for state, count in self.states.most_common())
        return f"credentials: {counts or 'no files'}"


def _state(finding: CredentialsFinding | None) -> str:
    """A sidecar or a recovered manifest is shown with what it is worth."""
    if finding is None:
        return "error"
    if finding.state in ("sidecar", "recovered") and finding.validation is not None:
        return f"{finding.state}, {finding.validation}"
    return finding.state


def _found_lines(finding: CredentialsFinding) -> list[str]:
    lines = [f"{finding.words} ({finding.reason})"]
    if finding.sidecar is not None:
        lines.append(f"sidecar: {finding.sidecar}")
    return lines + (_manifest_lines(finding.manifest) if finding.manifest else [])


def _manifest_lines(manifest: ManifestFacts) -> list[str]:
    lines = [f"written by {manifest.claim_generator or 'an unnamed program'}: {manifest.title or 'no title'}"]
    for action in manifest.actions:
        source = f", {action.digital_source_type.rpartition('/')[2]}" if action.digital_source_type else ""
        lines.append(f"{action.action}{f' by {action.agent}' if action.agent else ''}{source}")
    lines += [f"names the mark {each.value} ({each.alg})" for each in manifest.soft_bindings]
    return lines + [f"odd: {remark}" for remark in manifest.remarks]


def _row(state: str, path: str, style: str = "") -> Table:
    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(width=26, no_wrap=True)
    row.add_column(ratio=1, overflow="fold")
    row.add_row(Text(state, style=_STYLES.get(state.rpartition(" ")[2], "")), Text(printable(path)), style=style)
    return row


def _below(line: str) -> Padding:
    return Padding(Text(printable(line), overflow="fold"), (0, 0, 0, 4))
