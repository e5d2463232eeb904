"""Layout `flac`: a folder of clips and one table of all that is known of them.

`clips/CLIP_ID.flac`, and `metadata.csv` and `metadata.parquet` with file, clip_id, label, duration_s and the other
columns of a store.
"""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...core.audio import write_audio
from ..store import StoredClip
from ..store.records import NO_NUMBER, NO_TEXT, NUMBERS, TEXTS, StoreRow, to_values

TABLE_NAME = "metadata"
_FIRST = ("clip_id", "label", "duration_s")
COLUMNS = (*_FIRST, *(name for name in (*NUMBERS, *TEXTS) if name not in _FIRST))


def write_flac(clips: Iterable[StoredClip], folder: Path) -> int:
    """Write the layout into an empty folder; -> number of clips. Raises `OSError`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / "clips").mkdir()
    lines = []
    for clip in clips:
        name = f"clips/{clip.row.clip_id}.flac"
        write_audio(folder / name, clip.audio.samples, clip.audio.rate_hz)
        lines.append({"file": name, **table_line(clip.row)})
    write_table(folder / f"{TABLE_NAME}.csv", lines)
    table = pa.Table.from_pylist(lines, pa.schema([("file", "string"), *table_types()]))
    pq.write_table(table, folder / f"{TABLE_NAME}.parquet", compression="zstd")
    return len(lines)


def table_line(row: StoreRow) -> dict[str, Any]:
    """A row as plain values; None: not known."""
    values: dict[str, Any] = {
        name: None if value in (NO_TEXT, NO_NUMBER) else value for name, value in to_values(row).items()
    }
    values["duration_s"] = row.duration_s
    return {name: values[name] for name in COLUMNS}


def table_types() -> list[tuple[str, str]]:
    """Name and Arrow type of each column of `table_line`, in its order."""
    return [(name, "float64" if name == "duration_s" else "int64" if name in NUMBERS else "string") for name in COLUMNS]


def write_table(path: Path, lines: list[dict[str, Any]]) -> None:
    """Write lines of one shape as CSV; what is not known is empty."""
    with path.open("x", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, lines[0] if lines else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
