"""The runs of an audit log, as it stands: for whoever shows it or hands it on, after `verify_log`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from .entry import Entry, line_sha256

NumberedLine = tuple[int, bytes, Entry | None]
"""As `read_entries` gives them: the number of a line, its bytes, and its content where it is an entry."""


@dataclass(frozen=True)
class LoggedEntry:
    """An entry and the hash of its line."""

    entry: Entry
    sha256: str


@dataclass(frozen=True)
class LoggedRun:
    """A run from its first entry to its last. `close` is None where it never ended."""

    opened: LoggedEntry
    files: tuple[LoggedEntry, ...]
    close: LoggedEntry | None

    @property
    def case(self) -> dict[str, Any]:
        """`id`, `item` and `examiner`, each None where it was not given."""
        return case_of(self.opened.entry)


def case_of(opened: Entry) -> dict[str, Any]:
    """`id`, `item` and `examiner` of the run that this entry opened, each None where it was not given."""
    given = opened.facts.get("case")
    return {name: given.get(name) if isinstance(given, dict) else None for name in ("id", "item", "examiner")}


def of_case(lines: Iterable[NumberedLine], case_id: str | None, item: str | None) -> Iterator[NumberedLine]:
    """The lines of the runs of one case and one item in it (None: of any); all lines where both are None."""
    is_wanted = asks_nothing = case_id is None and item is None
    for line in lines:
        entry = line[2]
        if entry is not None and entry.action == "open":
            case = case_of(entry)
            is_wanted = case_id in (None, case["id"]) and item in (None, case["item"])
        if is_wanted:
            yield line
        if entry is not None and entry.action == "close":
            is_wanted = asks_nothing


def runs_of(lines: Iterable[NumberedLine]) -> list[LoggedRun]:
    """The runs in these lines."""
    runs: list[LoggedRun] = []
    opened: LoggedEntry | None = None
    files: list[LoggedEntry] = []
    for _, raw, entry in lines:
        if entry is None:
            continue
        logged = LoggedEntry(entry, line_sha256(raw))
        if entry.action in ("open", "close") and opened is not None:
            runs.append(LoggedRun(opened, tuple(files), logged if entry.action == "close" else None))
            opened = None
        if entry.action == "open":
            opened, files = logged, []
        elif entry.action == "file":
            files.append(logged)
    if opened is not None:
        runs.append(LoggedRun(opened, tuple(files), None))
    return runs
