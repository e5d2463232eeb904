"""Reads what is to be said: texts from the command line, or a file of prompts as text, CSV or JSON Lines.

A prompt that cannot be used is an entry with its problem, so that a batch goes on without it.
"""

import csv
import hashlib
import io
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Self

from ..core.errors import InputError, UsageError

PromptFormat = Literal["text", "csv", "jsonl"]

STANDARD_INPUT = "-"
MAX_FILE_BYTES = 256 << 20
MAX_LINE_BYTES = 64 << 10
"""Of one prompt with all that goes with it; a generator's own limit is far below."""
_HEAD_BYTES = 8 << 10
_SUFFIXES: dict[str, PromptFormat] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_BLANKS = re.compile(r"[ \t\r\n]+")


@dataclass(frozen=True)
class PromptEntry:
    """One prompt of a list, or what is wrong with it."""

    line: int
    """Where it ends in the file, from 1; its place in the list for texts of the command line."""
    text: str
    voice: str | None = None
    prompt_id: str | None = None
    problem: str | None = None
    """Why it cannot be said; None for a prompt that a generator may try."""


@dataclass(frozen=True)
class PromptList:
    """Prompts in their order. `sha256` tells two lists apart."""

    name: str
    prompt_format: PromptFormat
    content: bytes

    @classmethod
    def of_texts(cls, texts: Sequence[str]) -> Self:
        """The texts as they are, also empty ones and such with line breaks."""
        lines = (json.dumps({"text": text}) for text in texts)
        return cls("command line", "jsonl", "\n".join(lines).encode("ascii"))

    @property
    def sha256(self) -> str:
        """Hash of format and content."""
        return hashlib.sha256(f"{self.prompt_format}\n".encode() + self.content).hexdigest()

    def __iter__(self) -> Iterator[PromptEntry]:
        """Each prompt; blank lines are none. Raises `UsageError` for a CSV file without a column `text`."""
        if self.prompt_format == "csv":
            return _csv_entries(self.name, self.content)
        return _line_entries(self.content, self.prompt_format)

    def count(self) -> int:
        """How many prompts there are."""
        return sum(1 for _ in self)


def read_prompts(source: str, standard_input: BinaryIO | None = None) -> PromptList:
    """Read a file of prompts, or standard input for `-`.

    The suffix names the format: `.csv` (column text; optional voice, id), `.jsonl` and `.ndjson` (an object per
    line with the same keys), anything else is text with one prompt per line. Standard input is text, or JSON
    Lines when it begins with `{`. Raises `InputError` for a file that cannot be read, is empty or too large,
    `UsageError` for one that is no UTF-8 text or holds no prompts.
    """
    if source == STANDARD_INPUT:
        content = _read_all("standard input", standard_input or sys.stdin.buffer)
        name, prompt_format = "standard input", _format_of_content(content)
    else:
        name, content = source, _read_file(Path(source))
        prompt_format = _SUFFIXES.get(Path(source).suffix.lower(), "text")
    _check_text(name, content)
    prompts = PromptList(name, prompt_format, content.removeprefix(_BOM))
    if next(iter(prompts), None) is None:
        raise UsageError(f"{name}: holds no prompts; write one per line")
    return prompts


def _format_of_content(content: bytes) -> PromptFormat:
    return "jsonl" if content.removeprefix(_BOM).lstrip().startswith(b"{") else "text"


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return _read_all(str(path), file)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; check the path", code="not_found") from error
    except IsADirectoryError as error:
        raise InputError(f"{path}: a folder; name a file of prompts", code="not_a_file") from error
    except PermissionError as error:
        raise InputError(f"{path}: cannot be opened; grant read permission", code="no_permission") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); check the disk and the path", code="read_error") from error


def _read_all(name: str, file: BinaryIO) -> bytes:
    content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        limit = f"{MAX_FILE_BYTES >> 20} MiB"
        raise InputError(f"{name}: larger than {limit}; split it and run once for each part", code="too_large")
    return content


def _check_text(name: str, content: bytes) -> None:
    """Refuse what is no text at all; a single bad line is an entry with a problem."""
    if not content:
        raise InputError(f"{name}: has no bytes; write one prompt per line", code="empty_file")
    if content.startswith(_UTF16_BOMS):
        raise UsageError(f"{name}: is UTF-16; save it as UTF-8")
    # NULs alone may be one bad prompt, and so may one line that is no UTF-8
    if b"\0" in content[:_HEAD_BYTES] and not _is_utf8(content):
        raise UsageError(f"{name}: is no text file; give prompts as UTF-8 text, CSV or JSON Lines")


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _line_entries(content: bytes, prompt_format: PromptFormat) -> Iterator[PromptEntry]:
    for number, raw in enumerate(io.BytesIO(content), start=1):
        line = raw.strip(b" \t\r\n")
        if not line:
            continue
        if len(line) > MAX_LINE_BYTES:
            yield _bad(number, line[:200].decode("utf-8", "replace"), f"longer than {MAX_LINE_BYTES >> 10} KiB")
        elif (text := _decoded(line)) is None:
            yield _bad(number, line[:200].decode("utf-8", "backslashreplace"), "not UTF-8")
        else:
            yield _entry(number, text) if prompt_format == "text" else _json_entry(number, text)


def _decoded(line: bytes) -> str | None:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _json_entry(number: int, line: str) -> PromptEntry:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return _bad(number, line[:200], "not JSON")
    if not isinstance(value, dict) or not isinstance(value.get("text"), str):
        return _bad(number, line[:200], 'not an object with "text"')
    voice, prompt_id = value.get("voice"), value.get("id")
    if not isinstance(voice, str | None) or not isinstance(prompt_id, str | int | None):
        return _bad(number, value["text"], '"voice" or "id" is not text')
    return _entry(number, value["text"], voice, None if prompt_id is None else str(prompt_id))


def _csv_entries(name: str, content: bytes) -> Iterator[PromptEntry]:
    # surrogateescape: a byte that is no UTF-8 spoils its own row only
    stream = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", errors="surrogateescape", newline="")
    reader = csv.reader(stream, strict=True)
    header = _csv_header(name, reader)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield _bad(reader.line_num, "", f"not CSV ({error})")
            continue
        if not any(cells):
            continue
        row = dict(zip(header, cells, strict=False))
        if "text" not in row or len(cells) > len(header):
            yield _bad(reader.line_num, row.get("text", ""), f"{len(cells)} cells where the header has {len(header)}")
        else:
            yield _entry(reader.line_num, row["text"], row.get("voice") or None, row.get("id") or None)


def _csv_header(name: str, reader: Iterator[list[str]]) -> list[str]:
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
    except csv.Error as error:
        raise UsageError(f"{name}: the first line is not CSV ({error}); begin with a line of column names") from error
    if header.count("text") != 1:
        raise UsageError(f"{name}: needs one column called text (and may have voice and id); begin with a header line")
    return header


def _entry(line: int, text: str, voice: str | None = None, prompt_id: str | None = None) -> PromptEntry:
    text = _BLANKS.sub(" ", text).strip(" ")
    problem = None
    if not all(map(_is_clean, (text, voice or "", prompt_id or ""))):
        problem = "holds a NUL or what is not Unicode"
    elif not text:
        problem = "empty"
    elif len(text) > MAX_LINE_BYTES:
        problem = f"longer than {MAX_LINE_BYTES} characters"
    if problem is not None:
        return _bad(line, text, problem)
    return PromptEntry(line, text, voice, prompt_id)


def _is_clean(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _bad(line: int, text: str, problem: str) -> PromptEntry:
    """The problem, with as much of the prompt as helps to find it, made encodable."""
    shown = text[:200].encode("utf-8", "backslashreplace").decode("utf-8")
    return PromptEntry(line, shown, problem=f"line {line}: {problem}")
