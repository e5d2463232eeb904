"""Reads what is to be said: texts from the command line, or a file of prompts as text, CSV or JSON Lines.

A prompt that cannot be used is an entry with its problem, so that a batch goes on without it.
"""

import csv
import hashlib
import io
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal, Self

from ..core.errors import InputError, UsageError
from .prompt_turns import PromptTurn, checked_text, is_clean, partner_of, turns_of

PromptFormat = Literal["text", "csv", "jsonl"]

STANDARD_INPUT = "-"
MAX_FILE_BYTES = 256 << 20
MAX_LINE_BYTES = 64 << 10
"""Of one prompt with all that goes with it; a generator's own limit is far below."""
_HEAD_BYTES = 8 << 10
_SUFFIXES: dict[str, PromptFormat] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class PromptEntry:
    """One prompt of a list, or what is wrong with it."""

    line: int
    """Where it ends in the file, from 1; its place in the list for texts of the command line."""
    text: str
    """What is said; of sounds and conversations, their turns in words, one per line."""
    voice: str | None = None
    prompt_id: str | None = None
    turns: tuple[PromptTurn, ...] = ()
    """At least one where there is no problem."""
    partner: str | None = None
    """Of a two-sided call."""
    exchanges: int = 0
    """Replies of a talk with itself."""
    problem: str | None = None
    """Why it cannot be said; None for a prompt that a generator may try."""


@dataclass(frozen=True)
class PromptList:
    """Prompts in their order. `sha256` tells two lists apart."""

    name: str
    prompt_format: PromptFormat
    content: bytes
    folder: Path = Path()
    """Where relative names of sound files begin."""

    @classmethod
    def of_texts(cls, texts: Sequence[str]) -> Self:
        """The texts as they are, also empty ones and such with line breaks."""
        lines = (json.dumps({"text": text}) for text in texts)
        return cls("command line", "jsonl", "\n".join(lines).encode("ascii"))

    @classmethod
    def of_sounds(cls, paths: Sequence[str]) -> Self:
        """Sound files that are spoken to the generator, one prompt each."""
        lines = (json.dumps({"audio": path}) for path in paths)
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
    line with the same keys, or "audio" with the name of a sound file, or "turns", a list of such objects: a
    conversation), anything else is text with one prompt per line. Standard input is text, or JSON
    Lines when it begins with `{`. Raises `InputError` for a file that cannot be read, is empty or too large,
    `UsageError` for one that is no UTF-8 text or holds no prompts.
    """
    if source == STANDARD_INPUT:
        content = _read_all("standard input", standard_input or sys.stdin.buffer)
        name, prompt_format, folder = "standard input", _format_of_content(content), Path()
    else:
        name, content, folder = source, _read_file(Path(source)), Path(source).parent
        prompt_format = _SUFFIXES.get(Path(source).suffix.lower(), "text")
    _check_text(name, content)
    prompts = PromptList(name, prompt_format, content.removeprefix(_BOM), folder)
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
            yield _text_entry(number, text) if prompt_format == "text" else _json_entry(number, text)


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
    if not isinstance(value, dict):
        return _bad(number, line[:200], 'not an object with "text"')
    shown = value["text"] if isinstance(value.get("text"), str) else line[:200]
    voice, prompt_id = value.get("voice"), value.get("id")
    if not isinstance(voice, str | None) or not isinstance(prompt_id, str | int | None):
        return _bad(number, shown, '"voice" or "id" is not text')
    try:
        turns = turns_of(value)
        partner, exchanges = partner_of(value, len(turns))
        entry = _entry(number, turns, voice, None if prompt_id is None else str(prompt_id))
        return replace(entry, partner=partner, exchanges=exchanges)
    except ValueError as error:
        return _bad(number, shown, str(error))


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
            yield _text_entry(reader.line_num, row["text"], row.get("voice") or None, row.get("id") or None)


def _csv_header(name: str, reader: Iterator[list[str]]) -> list[str]:
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
    except csv.Error as error:
        raise UsageError(f"{name}: the first line is not CSV ({error}); begin with a line of column names") from error
    if header.count("text") != 1:
        raise UsageError(f"{name}: needs one column called text (and may have voice and id); begin with a header line")
    return header


def _text_entry(line: int, text: str, voice: str | None = None, prompt_id: str | None = None) -> PromptEntry:
    try:
        return _entry(line, (PromptTurn(checked_text(text)),), voice, prompt_id)
    except ValueError as error:
        return _bad(line, text, str(error))


def _entry(line: int, turns: tuple[PromptTurn, ...], voice: str | None, prompt_id: str | None) -> PromptEntry:
    """Raises `ValueError` for a voice, an id or a file name that is no text."""
    names = (voice, prompt_id, *(turn.audio for turn in turns))
    if not all(is_clean(name or "") for name in names):
        raise ValueError("holds a NUL or what is not Unicode")
    return PromptEntry(line, "\n".join(map(str, turns)), voice, prompt_id, turns)


def _bad(line: int, text: str, problem: str) -> PromptEntry:
    """The problem, with as much of the prompt as helps to find it, made encodable."""
    shown = text[:200].encode("utf-8", "backslashreplace").decode("utf-8")
    return PromptEntry(line, shown, problem=f"line {line}: {problem}")
