"""Remembers what was found for each file content, so that equal bytes are scored once."""

import json
import sqlite3
from threading import Condition
from types import TracebackType

from ..core.jsonrecord import from_json
from ..core.scanrecord import ScanRecord, record_line


class SeenFiles:
    """Records by SHA-256, shared by the workers of one scan.

    Lives in an unnamed SQLite database: SQLite keeps it in memory while it is small and moves it to a
    temporary file, which vanishes with it, when it grows. So memory stays flat over a million files.
    """

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=OFF")
        self._database.execute("PRAGMA synchronous=OFF")
        self._database.execute("CREATE TABLE seen (sha256 TEXT PRIMARY KEY, line TEXT, first_seq INTEGER)")
        self._closed = False
        self._in_work: set[str] = set()
        self._changed = Condition()

    def __enter__(self) -> "SeenFiles":
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Forget everything. Threads that are still at a file may go on asking; nothing is kept for them."""
        with self._changed:
            self._closed = True
            self._database.close()

    def claim(self, sha256: str) -> ScanRecord | None:
        """The record for these bytes, or None: then the caller makes it and must call `settle`.

        Waits while another worker is making it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or sha256 not in self._in_work)
            if self._closed:
                return None
            row = self._database.execute("SELECT line FROM seen WHERE sha256 = ?", (sha256,)).fetchone()
            if row is not None:
                return from_json(ScanRecord, json.loads(row[0]))
            self._in_work.add(sha256)
            return None

    def settle(self, sha256: str, record: ScanRecord | None) -> None:
        """End a claim.

        With None nothing is kept, and the next one to ask for these bytes makes the record.
        """
        with self._changed:
            if record is not None and not self._closed:
                row = (sha256, record_line(record))
                self._database.execute("INSERT INTO seen (sha256, line) VALUES (?, ?)", row)
            self._in_work.discard(sha256)
            self._changed.notify_all()

    def first_seq(self, sha256: str, seq: int) -> int:
        """The number of the first file with these bytes; `seq` itself when there was none before.

        Called in order of `seq`, so that the answer does not depend on which worker was quicker.
        """
        with self._changed:
            self._database.execute(
                "UPDATE seen SET first_seq = ? WHERE sha256 = ? AND first_seq IS NULL", (seq, sha256)
            )
            row = self._database.execute("SELECT first_seq FROM seen WHERE sha256 = ?", (sha256,)).fetchone()
        return int(row[0])
