"""The formats that records are written in, by name and by file suffix.

A new format is one file and one line here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Generic, Protocol, TypeVar

from ..core.credentialsrecord import CredentialsRecord, SigningRecord
from ..core.errors import UsageError
from ..core.observationrecord import InspectRecord
from ..core.scanrecord import ScanRecord
from ..core.verifyrecord import VerifyRecord
from .credentials_table import CredentialsTableWriter, SigningTableWriter
from .csv_file import CsvWriter
from .inspect_table import InspectTableWriter
from .jsonl import JsonLinesWriter
from .parquet import ParquetWriter
from .table import TableWriter
from .verify_table import VerifyTableWriter

Record = TypeVar("Record")
Written = TypeVar("Written", contravariant=True)


class RecordWriter(Protocol[Written]):
    """Writes records of one kind to a stream that it does not own."""

    def write(self, record: Written) -> None:
        """Take one record."""

    def finish(self) -> None:
        """Write what is left; nothing may be written after it."""


class WriterType(Protocol[Written]):
    """What a writer is made from."""

    def __call__(self, stream: BinaryIO) -> RecordWriter[Written]:
        """A writer on a binary stream."""
        ...


@dataclass(frozen=True)
class Format(Generic[Record]):
    """One way to write records."""

    name: str
    suffix: str
    writer: WriterType[Record]
    is_text: bool = True
    """Fit for a terminal."""


Formats = Mapping[str, Format[Record]]
"""By name."""

FORMATS: Formats[ScanRecord] = {
    "table": Format("table", ".txt", TableWriter),
    "jsonl": Format("jsonl", ".jsonl", JsonLinesWriter),
    "csv": Format("csv", ".csv", CsvWriter),
    "parquet": Format("parquet", ".parquet", ParquetWriter, is_text=False),
}
CREDENTIALS_FORMATS: Formats[CredentialsRecord] = {
    "table": Format("table", ".txt", CredentialsTableWriter),
    "jsonl": Format("jsonl", ".jsonl", JsonLinesWriter),
}
SIGNING_FORMATS: Formats[SigningRecord] = {
    "table": Format("table", ".txt", SigningTableWriter),
    "jsonl": Format("jsonl", ".jsonl", JsonLinesWriter),
}
VERIFY_FORMATS: Formats[VerifyRecord] = {
    "table": Format("table", ".txt", VerifyTableWriter),
    "jsonl": Format("jsonl", ".jsonl", JsonLinesWriter),
}
INSPECT_FORMATS: Formats[InspectRecord] = {
    "table": Format("table", ".txt", InspectTableWriter),
    "jsonl": Format("jsonl", ".jsonl", JsonLinesWriter),
}


def format_of(path: Path, formats: Formats[Record]) -> Format[Record]:
    """The format that a file's suffix names; raises `UsageError` that lists the suffixes."""
    for each in formats.values():
        if path.suffix.lower() == each.suffix:
            return each
    known = ", ".join(each.suffix for each in formats.values())
    raise UsageError(f"{path}: no format goes with the suffix {path.suffix!r}; use one of {known}")
