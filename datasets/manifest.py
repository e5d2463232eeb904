"""Manifests: one labelled clip per line of a CSV file, with folds that keep families and speakers apart."""

import csv
from pathlib import Path
from typing import cast

from ..core.errors import InputError, UsageError
from ..core.records import Label, Row

REQUIRED = ("clip", "file", "label", "fold")
LABELS = ("bonafide", "spoof")


def read_manifest(path: Path) -> list[Row]:
    """Read a CSV manifest; `file` is relative to it.

    Columns: clip, file, label (bonafide or spoof), fold; optional: generator, family, kind, source, speaker, license.
    Raises `InputError` when the file cannot be read, `UsageError` when a column or value is wrong.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a CSV manifest ({error})", code="read_error") from error
    missing = [name for name in REQUIRED if not lines or name not in lines[0]]
    if missing:
        raise UsageError(f"{path}: the manifest lacks the columns {', '.join(missing)}")
    return [_row(line, f"{path}, line {number}") for number, line in enumerate(lines, start=2)]


def read_recording_columns(path: Path) -> list[dict[str, str]]:
    """What a manifest says of each original file (columns `orig_*`): never an input, only ever a probe."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {name: value for name, value in line.items() if name.startswith("orig_")} for line in csv.DictReader(file)
        ]


def _row(line: dict[str, str], where: str) -> Row:
    if line["label"] not in LABELS:
        raise UsageError(f"{where}: label {line['label']!r} is not one of {', '.join(LABELS)}")
    if not line["fold"]:
        raise UsageError(f"{where}: no fold; give every clip the number of its fold")
    return Row(
        clip_id=line["clip"],
        path=line["file"],
        label=cast(Label, line["label"]),
        generator=line.get("generator") or None,
        family=line.get("family") or None,
        kind=line.get("kind") or None,
        speaker=line.get("speaker") or None,
        source=line.get("source") or None,
        licence=line.get("license") or None,
        split=line["fold"],
    )
