"""A public corpus as a CSV manifest: what training, splitting and evaluation read."""

import csv
import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ...core.errors import CovoguardError, UsageError
from ...core.wholefile import write_whole
from .corpus import CorpusRow

COLUMNS = (
    "clip", "file", "label", "fold", "generator", "family", "kind", "source", "speaker", "language", "codec", "license",
    "text",
)  # fmt: skip
NO_SPLIT = "all"
"""Fold of the clips of a corpus without splits."""


def write_corpus_manifest(clips: Iterable[CorpusRow], root: Path, out: Path) -> int:
    """Write the clips of the corpus at `root` as the new file `out`, whole or not at all; -> number of clips.

    Files are given relative to `out`, the fold is the corpus's own split, and `codec` its channel. Raises `UsageError`
    when `out` is there already, `CovoguardError` (output_error) when it cannot be written, and as `clips` does.
    """
    if out.exists():
        raise UsageError(f"{out}: there already; name a new file with -o")
    prefix = Path(os.path.relpath(root.resolve(), out.parent.resolve()))
    lines = [_line(clip, prefix) for clip in clips]
    try:
        write_whole(out, _csv(lines))
    except OSError as error:
        raise CovoguardError(
            f"{out}: cannot be written: {error.strerror or error}; choose another place with -o, or make room",
            code="output_error",
        ) from error
    return len(lines)


def _line(clip: CorpusRow, prefix: Path) -> tuple[str, ...]:
    row = clip.row
    known = (row.generator, row.family, row.kind, row.source, row.speaker, clip.language, clip.channel, row.licence)
    file = (prefix / row.path).as_posix()
    return row.clip_id, file, row.label, row.split or NO_SPLIT, *(text or "" for text in (*known, clip.text))


def _csv(lines: Iterable[tuple[str, ...]]) -> Iterator[bytes]:
    for line in (COLUMNS, *lines):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(line)
        yield text.getvalue().encode("utf-8")
