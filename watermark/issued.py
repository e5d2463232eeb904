"""The register of messages that were put into waveform marks here: one SQLite file, readable by its owner alone.

A mark's decoder gives bits for any sound. They mean something only where they are, bit for bit, a message that was
drawn at random and written down here before it was used.
"""

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..core.datafolder import default_data_folder
from ..core.errors import CovoguardError, IntegrityError

REGISTER_NAME = "issued_marks.sqlite"
_APPLICATION_ID = 0x636F_6D6B
"""Tells our file from another program's."""
_WAIT_S = 30.0
"""For another process that is writing."""
_TABLE = """
CREATE TABLE issued (
    method TEXT NOT NULL,
    message TEXT NOT NULL,
    issued_utc TEXT NOT NULL,
    file_sha256 TEXT,
    PRIMARY KEY (method, message)
) WITHOUT ROWID
"""


@dataclass(frozen=True)
class IssuedMessage:
    """One message, and what became of it."""

    method: str
    message: str
    """In hex."""
    issued_utc: str
    file_sha256: str | None
    """Of the marked file as it was written; None: it was not."""


class IssuedMessages:
    """The register in one file, which is made when the first message is issued.

    Every method raises `IntegrityError` for a file that is no register, `CovoguardError` (`output_error`) when it can
    be neither read nor written.
    """

    def __init__(self, path: Path | None = None) -> None:
        """None: `issued_marks.sqlite` in the data folder. Nothing is opened yet."""
        self.path = path or default_data_folder() / REGISTER_NAME

    def issue(self, method: str, n_bytes: int) -> bytes:
        """Draw a message that this method never had, and write it down before anyone uses it."""
        with self._opened(make=True) as register:
            while True:
                message = secrets.token_bytes(n_bytes)
                row = (method, message.hex(), datetime.now(UTC).isoformat(timespec="seconds"))
                if register.execute("INSERT OR IGNORE INTO issued VALUES (?, ?, ?, NULL)", row).rowcount:
                    return message

    def record_file(self, method: str, message: bytes, file_sha256: str) -> None:
        """Write down the hash of the file that carries an issued message."""
        with self._opened(make=True) as register:
            register.execute(
                "UPDATE issued SET file_sha256 = ? WHERE method = ? AND message = ?",
                (file_sha256, method, message.hex()),
            )

    def find(self, method: str, candidates: Iterable[bytes]) -> IssuedMessage | None:
        """The first of `candidates` that was issued, bit for bit."""
        with self._opened() as register:
            for candidate in candidates:
                row = register.execute(
                    "SELECT method, message, issued_utc, file_sha256 FROM issued WHERE method = ? AND message = ?",
                    (method, candidate.hex()),
                ).fetchone()
                if row is not None:
                    return IssuedMessage(*row)
        return None

    def count(self, method: str) -> int:
        """How many messages of a method were issued."""
        with self._opened() as register:
            return int(register.execute("SELECT count(*) FROM issued WHERE method = ?", (method,)).fetchone()[0])

    @contextlib.contextmanager
    def _opened(self, *, make: bool = False) -> Iterator[sqlite3.Connection]:
        """One transaction: kept when the block ends well. Without a file, and `make` False, an empty register."""
        try:
            if make:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            exists = self.path.exists()
            with contextlib.closing(
                sqlite3.connect(self.path if exists else ":memory:", timeout=_WAIT_S, isolation_level=None)
            ) as register:
                register.execute("BEGIN IMMEDIATE" if make or not exists else "BEGIN")
                self._check_or_make(register, make=make or not exists)
                yield register
                register.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise self._unusable(str(error)) from error
        except sqlite3.DatabaseError as error:
            raise IntegrityError(
                f"{self.path}: not a register of issued messages ({error}); restore it from a backup"
            ) from error
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from error

    def _check_or_make(self, register: sqlite3.Connection, *, make: bool) -> None:
        found = register.execute("PRAGMA application_id").fetchone()[0]
        if found == _APPLICATION_ID:
            return
        if not make or found or register.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise IntegrityError(
                f"{self.path}: not a register of issued messages; restore it from a backup, or name another file"
            )
        register.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        register.execute(_TABLE)

    def _unusable(self, why: str) -> CovoguardError:
        return CovoguardError(
            f"{self.path}: the register of issued messages cannot be used: {why}; make room, grant access, or choose "
            "another data folder with $COVOGUARD_DATA",
            code="output_error",
        )


def chance_of_a_match(candidates: int, issued: int, bits: int) -> float:
    """The probability that one of `candidates` messages is one of `issued`, for sound made without knowledge of them.

    Over the random draw of the messages, which is ours, so it holds for any such sound; by the union bound.
    """
    return min(1.0, candidates * issued / 2.0**bits)
