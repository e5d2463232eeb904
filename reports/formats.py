"""The formats that records are written in, by name and by file suffix.

A new format is one file and one line here.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from ..core.errors import UsageError
from ..core.scanrecord import ScanRecord
from .csv_file import CsvWriter
from .jsonl import JsonLinesWriter
from .parquet import ParquetWriter
from .table import TableWriter


class RecordWriter(Protocol):
    """Writes records to a stream that it does not own."""

    def write(self, record: ScanRecord) -> None:
        """Take one record."""

    def finish(self) -> None:
        """Write what is left; nothing may be written after it."""


class WriterType(Protocol):
    """What a writer is made from."""

    def __call__(self, stream: BinaryIO) -> RecordWriter:
        """A writer on a binary stream."""
        ...


@dataclass(frozen=True)
class Format:
    """One way to write records."""

    name: str
    suffix: str
    writer: WriterType
    is_text: bool = True
    """Fit for a terminal."""


FORMATS = {
    each.name: each
    for each in (
        Format("table", ".txt", TableWriter),
        Format("jsonl", ".jsonl", JsonLinesWriter),
        Format("csv", ".csv", CsvWriter),
        Format("parquet", ".parquet", ParquetWriter, is_text=False),
    )
}


def format_of(path: Path) -> Format:
    """The format that a file's suffix names; raises `UsageError` that lists the suffixes."""
    for each in FORMATS.values():
        if path.suffix.lower() == each.suffix:
            return each
    known = ", ".join(each.suffix for each in FORMATS.values())
    raise UsageError(f"{path}: no format goes with the suffix {path.suffix!r}; use one of {known}")
