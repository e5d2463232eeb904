"""Frozen records as tables of a TOML file: read strictly, and written out as an example that explains itself.

The type of a field says what a value must be, the record's own checks say more, and the words under the field are its
comment in the example; so nothing is said twice.
"""

import ast
import dataclasses
import inspect
import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ..core.errors import UsageError

Record = TypeVar("Record")
_COMMENT_WIDTH = 100
_PLAIN: Mapping[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
}


class TomlTable:
    """One table of a file, whose keys are taken out record by record."""

    def __init__(self, file: Path, name: str, content: object) -> None:
        """Raises `UsageError` for a value where a table should be."""
        self.file = file
        self.name = name
        if not isinstance(content, dict):
            raise UsageError(f"{file}: {name!r} must be a table: write [{name}] above its keys")
        self._content: dict[str, Any] = content

    def error(self, complaint: str) -> UsageError:
        """The error for this table; raising it is the caller's."""
        return UsageError(f"{self.file}: [{self.name}] {complaint}")

    def check_keys(self, allowed: Sequence[str], why: str = "allowed are") -> None:
        """Refuse keys that are none of `allowed`."""
        for key in self._content:
            if key not in allowed:
                raise self.error(f"has the key {key!r}; {why} {', '.join(allowed) or 'none'}")

    def read(self, *records: type[Any]) -> tuple[Any, ...]:
        """One object of each record; their fields are together all keys that the table may have.

        What the file leaves out is as the record has it. Raises `UsageError` for an unknown or missing key, a value of
        another type, and what a record refuses.
        """
        self.check_keys([name for record in records for name in names_of(record)])
        return tuple(self._read(record) for record in records)

    def _read(self, record: type[Record]) -> Record:
        hints = get_type_hints(record)
        given: dict[str, Any] = {}
        for field in dataclasses.fields(record):  # type: ignore[arg-type]  # a TypeVar cannot be bound to dataclasses
            if field.name in self._content:
                given[field.name] = self._value(field.name, hints[field.name])
            elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                raise self.error(f"lacks the key {field.name!r}; it must be {_wanted(hints[field.name])}")
        try:
            return record(**given)
        except UsageError as error:
            raise self.error(error.message) from error

    def _value(self, key: str, hint: Any) -> Any:
        found, value = _taken(self._content[key], hint, self.file.parent)
        if not found:
            raise self.error(f"{key} is {self._content[key]!r}; it must be {_wanted(hint)}")
        return value


def names_of(record: type[Any]) -> list[str]:
    """The fields of a record, in order."""
    return [field.name for field in dataclasses.fields(record)]


def example_of(name: str, about: str, *records: Any) -> str:
    """A table with the values of `records` and the words that stand under their fields; None is commented out."""
    lines = [_comment(about), f"[{name}]"]
    for record in records:
        notes = _notes(type(record))
        for field in dataclasses.fields(record):
            if field.name in notes:
                lines.append(_comment(notes[field.name]))
            value = getattr(record, field.name)
            lines.append(f"# {field.name} = ..." if value is None else f"{field.name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _taken(value: Any, hint: Any, folder: Path) -> tuple[bool, Any]:
    """Whether `value` is of the type, and what it is then; paths are seen from `folder`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        tried = [_taken(value, each, folder) for each in arguments if each is not NoneType]
        return next((each for each in tried if each[0]), (False, None))
    if origin is Literal:
        return value in arguments, value
    if origin is tuple:
        if not isinstance(value, list):
            return False, None
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(kinds) != len(value):
            return False, None
        parts = [_taken(each, kind, folder) for each, kind in zip(value, kinds, strict=True)]
        return all(found for found, _ in parts), tuple(part for _, part in parts)
    if hint is Path:
        return isinstance(value, str) and bool(value.strip()), folder / value if isinstance(value, str) else None
    if hint is float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return is_number, float(value) if is_number else None
    return type(value) is hint, value


def _wanted(hint: Any) -> str:
    """The type in words."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(_wanted(each) for each in arguments if each is not NoneType)
    if origin is Literal:
        return "one of " + ", ".join(repr(each) for each in arguments)
    if origin is tuple and arguments[-1] is Ellipsis:
        return f"a list, each of it {_wanted(arguments[0])}"
    if origin is tuple:
        return "a list of " + " and ".join(_wanted(each) for each in arguments)
    return _PLAIN[hint]


def _notes(record: type[Any]) -> dict[str, str]:
    """The texts under the fields of a record, by field."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(record))).body
    notes = {}
    statements = body.body if isinstance(body, ast.ClassDef) else []
    for field, below in pairwise(statements):
        text = below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else None
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, str):
            notes[field.target.id] = " ".join(text.split())
    return notes


def _comment(text: str) -> str:
    return textwrap.fill(text, _COMMENT_WIDTH, initial_indent="# ", subsequent_indent="# ")


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    if isinstance(value, Path):
        return json.dumps(value.as_posix())
    if isinstance(value, str | bool):
        return json.dumps(value)
    return repr(value)
