"""Reads results back: JSON Lines or Parquet, told apart by their first bytes."""

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..core.errors import UsageError
from ..core.jsonrecord import from_json
from ..core.reasons import REASONS
from ..core.scanrecord import ScanRecord

_PARQUET_MAGIC = b"PAR1"
_MAX_LINE_BYTES = 1 << 26
"""A day of speech with all its windows has a tenth of this; a file that is no list of records has no lines."""


def read_records(path: Path) -> Iterator[ScanRecord]:
    """The records of a results file, one at a time; `-` is JSON Lines on standard input.

    Raises `UsageError` that names the line or row for anything that is not a scan record.
    """
    if str(path) == "-":
        yield from _from_json_lines(sys.stdin.buffer, "standard input")
        return
    try:
        with path.open("rb") as file:
            if file.peek(len(_PARQUET_MAGIC)).startswith(_PARQUET_MAGIC):
                yield from _from_parquet(file, path)
            else:
                yield from _from_json_lines(file, str(path))
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read: {error.strerror}; give a results file of `covoguard scan`"
        ) from error


def _from_json_lines(stream: BinaryIO, name: str) -> Iterator[ScanRecord]:
    for number in itertools.count(1):
        line = stream.readline(_MAX_LINE_BYTES + 1)
        if not line:
            return
        where = f"{name}, line {number}"
        if len(line) > _MAX_LINE_BYTES:
            raise UsageError(f"{where}: longer than any record; give the .jsonl or .parquet of a run")
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            hint = "; the line is cut off: delete it if the rest is what you need"
            if number == 1 or line.endswith(b"\n"):
                hint = "; give the .jsonl or .parquet of a run"
            raise UsageError(f"{where}: not JSON ({error}){hint}") from error
        yield _record(value, where)


def _from_parquet(file: BinaryIO, path: Path) -> Iterator[ScanRecord]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = itertools.count(1)
    try:
        for batch in pq.ParquetFile(file).iter_batches(batch_size=1000):
            for value in batch.to_pylist():
                yield _record(value, f"{path}, row {next(numbers)}")
    except pa.ArrowException as error:
        raise UsageError(f"{path}: not a whole Parquet file ({error}); use the .jsonl of the run instead") from error


def _record(value: object, where: str) -> ScanRecord:
    try:
        record = from_json(ScanRecord, value)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{where}: not a scan record of this version ({error})") from error
    if record.error is None and record.quality is None:
        raise UsageError(f"{where}: not a scan record: neither `error` nor `quality` is there")
    if record.error is not None and record.error.code not in REASONS:
        raise UsageError(f"{where}: {record.error.code!r} is not an error code that a record can carry")
    return record
