"""Manifests: one labelled clip per line of a CSV file, with folds that keep families and speakers apart."""

import contextlib
import csv
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from ..core.errors import CovoguardError, InputError, UsageError
from ..core.records import Label, Row

REQUIRED = ("clip", "file", "label", "fold")
LABELS = ("bonafide", "spoof")
FOLD = "fold"
_DURATIONS = ("duration_s", "dur")
_TEXTS = ("text", "text_sha256")


def read_manifest(path: Path, *, needs_folds: bool = True) -> list[Row]:
    """Read a CSV manifest; `file` is relative to it.

    Columns: clip, file, label (bonafide or spoof), fold; optional: generator, family, kind, source, speaker, license,
    sha256, text or text_sha256, duration_s or dur. A collection that is not split yet may lack folds where
    `needs_folds` is False. Raises `InputError` when the file cannot be read, `UsageError` when a column or value is
    wrong.
    """
    names, lines = read_columns(path)
    required = REQUIRED if needs_folds else tuple(name for name in REQUIRED if name != FOLD)
    missing = [name for name in required if name not in names]
    if missing:
        raise UsageError(f"{path}: the manifest lacks the columns {', '.join(missing)}")
    if not lines:
        raise UsageError(f"{path}: lists no clips; give one line to each")
    return [_row(line, f"{path}, line {number}", needs_folds) for number, line in enumerate(lines, start=2)]


def read_columns(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """The names of a manifest's columns and its lines as they are; what a short line lacks is empty.

    Raises `InputError` when the file cannot be read, `UsageError` for a line with more values than columns.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            lines, names = list(reader), list(reader.fieldnames or [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a CSV manifest ({error})", code="read_error") from error
    for number, line in enumerate(lines, start=2):
        if None in line:
            raise UsageError(f"{path}, line {number}: more values than columns; quote values that hold a comma")
    return names, lines


def write_split(manifest: Path, new: Path, parts: Sequence[str]) -> None:
    """Write the manifest again as `new`, whole or not at all, with `parts` as its folds, one per line.

    All other columns stay as they are; relative files are given from the new place. Raises `UsageError` when `new`
    is there already, and `CovoguardError` (output_error) when it cannot be written.
    """
    if new.exists():
        raise UsageError(f"{new}: there already; name a new file, since no manifest is changed")
    names, lines = read_columns(manifest)
    partial = new.with_name(f".{new.name}.{os.getpid()}.part")
    try:
        with partial.open("x", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names if FOLD in names else [*names, FOLD], lineterminator="\n")
            writer.writeheader()
            for line, part in zip(lines, parts, strict=True):
                writer.writerow(line | {"file": _moved(line["file"], manifest.parent, new.parent), FOLD: part})
            file.flush()
            os.fsync(file.fileno())
        partial.replace(new)
    except OSError as error:
        advice = "choose another place with -o, or make room"
        raise CovoguardError(
            f"{new}: cannot be written: {error.strerror or error}; {advice}", code="output_error"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def read_recording_columns(path: Path) -> list[dict[str, str]]:
    """What a manifest says of each original file (columns `orig_*`): never an input, only ever a probe."""
    _, lines = read_columns(path)
    return [{name: value for name, value in line.items() if name.startswith("orig_")} for line in lines]


def _moved(file: str, old: Path, new: Path) -> str:
    if Path(file).is_absolute() or old.resolve() == new.resolve():
        return file
    return Path(os.path.relpath(old.resolve() / file, new.resolve())).as_posix()


def _row(line: dict[str, str], where: str, needs_folds: bool) -> Row:
    if line["label"] not in LABELS:
        raise UsageError(f"{where}: label {line['label']!r} is not one of {', '.join(LABELS)}")
    if needs_folds and not line[FOLD]:
        raise UsageError(f"{where}: no fold; give every clip the number of its fold, or let `dataset split` do it")
    if not line["file"]:
        raise UsageError(f"{where}: no file; give the path of the clip, relative to the manifest")
    return Row(
        clip_id=line["clip"],
        path=line["file"],
        label=cast(Label, line["label"]),
        sha256=line.get("sha256") or None,
        generator=line.get("generator") or None,
        family=line.get("family") or None,
        kind=line.get("kind") or None,
        speaker=line.get("speaker") or None,
        source=line.get("source") or None,
        licence=line.get("license") or None,
        split=line.get(FOLD) or None,
        text=_first_of(line, _TEXTS),
        duration_s=_duration_s(_first_of(line, _DURATIONS), where),
    )


def _first_of(line: dict[str, str], names: Sequence[str]) -> str | None:
    return next((line[name] for name in names if line.get(name)), None)


def _duration_s(text: str | None, where: str) -> float | None:
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0.0 <= seconds < math.inf:
        raise UsageError(f"{where}: {text!r} is no duration in seconds")
    return seconds
