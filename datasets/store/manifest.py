"""The rows of a store as a Parquet file beside its shards, for tools that read tables.

Columns: `path` (`shard-00000.h5#12`), then the fields of `StoreRow`, of which recipe, mark and degradations are JSON
text. The shards are the authority; the file is made from them.
"""

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.errors import IntegrityError
from ...core.records import Row
from .records import NO_NUMBER, NO_TEXT, NUMBERS, TEXTS, from_values, to_values

if TYPE_CHECKING:
    from .reader import Store

MANIFEST_NAME = "manifest.parquet"


def write_manifest(store: "Store") -> Path:
    """Write the manifest of a store into its folder, whole or not at all; -> its path. Raises `OSError`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, list[Any]] = {name: [] for name in ("path", *TEXTS, *NUMBERS)}
    for index, row in enumerate(store.rows()):
        columns["path"].append(store.path(index))
        for name, value in to_values(row).items():
            columns[name].append(None if value in (NO_TEXT, NO_NUMBER) else value)
    types = {name: pa.int64() if name in NUMBERS else pa.string() for name in columns}
    table = pa.table({name: pa.array(column, types[name]) for name, column in columns.items()})
    path = store.folder / MANIFEST_NAME
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def read_manifest(path: Path) -> list[Row]:
    """The manifest's rows; their paths are relative to its folder. Raises `IntegrityError` when it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as file:
            lines = pq.read_table(file).to_pylist()
        return [_row(line) for line in lines]
    except (OSError, pa.ArrowException, ValueError, KeyError) as error:
        raise IntegrityError(
            f"{path}: cannot be read ({error}); remove it, and `covoguard dataset add` makes it anew"
        ) from error


def _row(line: dict[str, Any]) -> Row:
    values = {name: NO_TEXT if line[name] is None else line[name] for name in TEXTS}
    values |= {name: NO_NUMBER if line[name] is None else line[name] for name in NUMBERS}
    return from_values(values).to_row(line["path"])
