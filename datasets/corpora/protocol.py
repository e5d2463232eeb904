"""Strict reading of the lists that come with corpora: a line that is not as released is named, never guessed at."""

import csv
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Literal

from ...core.errors import InputError
from ...core.records import Label

LABEL_WORDS: Mapping[str, Label] = {
    "bonafide": "bonafide",
    "bona-fide": "bonafide",
    "bona_fide": "bonafide",
    "genuine": "bonafide",
    "human": "bonafide",
    "real": "bonafide",
    "fake": "spoof",
    "generated": "spoof",
    "spoof": "spoof",
    "synthetic": "spoof",
}
"""What corpora call the two classes. Numbers are not among them: 1 means bona fide in some and spoof in others."""


def malformed(where: str, problem: str) -> InputError:
    """The error for one line of a list."""
    return InputError(f"{where}: {problem}; restore the file from the release", code="read_error")


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Each line that is not blank, with where it stands. Raises `InputError` for a file that is not text."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{path}, line {number}", line.rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error


def read_columns(path: Path, counts: Collection[int], columns: str) -> Iterator[tuple[str, list[str]]]:
    """The words of each line, with where it stands; `counts` says how many may be there, `columns` names them."""
    for where, line in read_lines(path):
        words = line.split()
        if len(words) not in counts:
            expected = " or ".join(map(str, sorted(counts)))
            raise malformed(where, f"{len(words)} columns where {expected} are expected ({columns})")
        yield where, words


def read_table(
    path: Path, required: Collection[str], *, delimiter: str = ",", quoted: bool = True
) -> Iterator[tuple[str, dict[str, str]]]:
    """The lines of a table with a header, as column to text, with where each stands.

    `quoted`: whether a quotation mark may enclose a field; where not, it is a character like others. Raises
    `InputError` for a header that lacks a required column or names one twice, and for a line of another length.
    """
    number = 0
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
            reader = csv.reader(file, delimiter=delimiter, quoting=quoting, strict=True)
            header = next(reader, [])
            lacking = [name for name in required if name not in header]
            if lacking or len(set(header)) < len(header):
                problem = f"no column {', '.join(lacking)}" if lacking else "a column is named twice"
                raise malformed(f"{path}, line 1", f"{problem} in the header ({', '.join(header)})")
            number = reader.line_num
            for fields in reader:
                number = reader.line_num
                where = f"{path}, line {number}"
                if fields and len(fields) != len(header):
                    raise malformed(where, f"{len(fields)} fields where the header has {len(header)}")
                if fields:
                    yield where, dict(zip(header, fields, strict=True))
    except csv.Error as error:
        raise malformed(f"{path}, after line {number}", str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error


def label_of(word: str, where: str, words: Mapping[str, Label] = LABEL_WORDS) -> Label:
    """The class that a word means."""
    label = words.get(word.strip().lower())
    if label is None:
        raise malformed(where, f"label {word!r} is not one of {', '.join(sorted(words))}")
    return label


def inside(name: str, where: str) -> str:
    """A path that a list gives, which must stay within the corpus, in its plainest form."""
    path = PurePosixPath(name)
    if not name.strip() or "\0" in name or path.is_absolute() or ".." in path.parts:
        raise malformed(where, f"{name!r} is no path within the corpus")
    return path.as_posix()


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = getattr(error, "strerror", None) or error
    return InputError(f"{path}: cannot be read: {reason}; restore the file from the release", code="read_error")
