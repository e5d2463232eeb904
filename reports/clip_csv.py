"""The clips of a run as CSV, for spreadsheets and as a manifest: one flat row per clip, without tokens.

The first columns are those of a training manifest (`datasets/manifest.py`) but for the fold, which belongs to
the collection that the clips end up in.
"""

import csv
import io
from collections.abc import Iterable, Iterator

from ..core.cliprecord import ClipRecord
from .csv_file import Cell
from .text import printable

COLUMNS = (
    "clip", "file", "label", "generator", "family", "kind", "source", "speaker", "license", "sha256", "duration_s",
    "sample_rate_hz", "tokens", "seed", "take", "prompt_id", "prompt_line", "text", "mark_scheme", "key_id",
    "key_epoch", "check", "log10_p", "error_code", "error_message", "model_id", "model_sha256", "tool_version",
)  # fmt: skip

_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def spreadsheet(records: Iterable[ClipRecord]) -> Iterator[bytes]:
    """The file in pieces, UTF-8: a header, then a row per record. Unknown is empty."""
    yield _line(COLUMNS)
    for record in records:
        row = _flat_row(record)
        yield _line([row[name] for name in COLUMNS])


def _line(cells: Iterable[Cell]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode("utf-8")


def _flat_row(record: ClipRecord) -> dict[str, Cell]:
    mark, check, error = record.mark, record.check, record.error
    return {
        "clip": record.clip_id,
        "file": record.path,
        "label": record.label,
        "generator": record.generator,
        "family": record.family,
        "kind": record.kind,
        "source": record.source,
        "speaker": _text_cell(record.speaker),
        "license": _text_cell(record.licence),
        "sha256": record.sha256,
        "duration_s": record.duration_s,
        "sample_rate_hz": record.sample_rate_hz,
        "tokens": None if record.tokens is None else len(record.tokens),
        "seed": record.seed,
        "take": record.take,
        "prompt_id": _text_cell(record.prompt.id),
        "prompt_line": record.prompt.line,
        "text": _text_cell(record.prompt.text),
        "mark_scheme": mark.scheme if mark else None,
        "key_id": mark.key_id if mark else None,
        "key_epoch": mark.epoch if mark else None,
        "check": check.status if check else None,
        "log10_p": check.log10_p if check else None,
        "error_code": error.code if error else None,
        "error_message": _text_cell(error.message if error else None),
        "model_id": record.model_id,
        "model_sha256": record.model_sha256,
        "tool_version": record.tool_version,
    }


def _text_cell(text: str | None) -> str | None:
    """The user's text on one line, and never a formula: a spreadsheet would run `=...` in a prompt."""
    if text is None:
        return None
    return printable("'" + text if text.startswith(_STARTS_FORMULA) else text)
