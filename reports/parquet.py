"""Parquet: the records as they are, nested, in row groups. A file is readable once it is finished."""

import dataclasses
import types
import typing
from typing import TYPE_CHECKING, Any, BinaryIO

from ..core.scanrecord import ScanRecord

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP_RECORDS = 1000
"""Records that are held before they are written together."""


class ParquetWriter:
    """Writes row groups; `finish` adds the index without which the file cannot be read."""

    def __init__(self, stream: BinaryIO) -> None:
        """Write to a binary stream, which need not be seekable; the caller closes it."""
        import pyarrow.parquet as pq

        self._schema = record_schema()
        self._writer = pq.ParquetWriter(stream, self._schema, compression="zstd")
        self._waiting: list[dict[str, Any]] = []

    def write(self, record: ScanRecord) -> None:
        """Take one record; every thousandth writes a row group."""
        self._waiting.append(dataclasses.asdict(record))
        if len(self._waiting) >= ROW_GROUP_RECORDS:
            self._write_group()

    def finish(self) -> None:
        """Write the last row group and the index."""
        if self._waiting:
            self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        import pyarrow as pa

        self._writer.write_table(pa.Table.from_pylist(self._waiting, schema=self._schema))
        self._waiting = []


def record_schema() -> "pa.Schema":
    """The Arrow schema of `ScanRecord`, from its type annotations."""
    import pyarrow as pa

    return pa.schema(list(_arrow_type(ScanRecord)))


_SCALARS = {str: "string", int: "int64", float: "float64", bool: "bool"}


def _arrow_type(kind: Any) -> "pa.DataType":
    import pyarrow as pa

    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return pa.struct([pa.field(name, _arrow_type(hint)) for name, hint in hints.items()])
    arms = typing.get_args(kind)
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):  # the latter for `Literal[…] | None`
        (inner,) = (arm for arm in arms if arm is not types.NoneType)
        return _arrow_type(inner)
    if origin is tuple:
        return pa.list_(_arrow_type(arms[0]))  # tuples of fixed length hold one type as well
    if origin is typing.Literal:
        return _arrow_type(type(arms[0]))
    if kind is None or kind is types.NoneType:
        return pa.null()
    return pa.type_for_alias(_SCALARS[kind])
