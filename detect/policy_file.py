"""Reading a policy file strictly: each complaint names the file, the table, the key and what is allowed."""

import hashlib
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from ..core.errors import UsageError

DEFAULT_POLICY = Path(__file__).parent / "policies" / "default.toml"

Record = TypeVar("Record")
Choice = TypeVar("Choice", bound=str)


MAX_POLICY_BYTES = 1 << 20


def limits(low: float, high: float, *, exclusive: bool = False) -> Mapping[str, Any]:
    """Metadata of a number field: the range that a file may give it, its ends included unless `exclusive`."""
    return {"low": low, "high": high, "exclusive": exclusive}


@dataclass(frozen=True)
class PolicyFile:
    """A parsed TOML file whose values are checked as they are taken out."""

    path: Path
    sha256: str
    table: Mapping[str, Any]

    def error(self, complaint: str) -> UsageError:
        """The error for this file; raising it is the caller's."""
        return UsageError(f"{self.path}: {complaint}; correct the policy file")

    def has(self, section: str, key: str | None = None) -> bool:
        """Whether the file has this table, and this key in it."""
        return section in self.table and (key is None or key in self._section(section))

    def check_keys(self, section: str, required: Sequence[str], optional: Sequence[str] = ()) -> None:
        """Refuse unknown and missing keys of a table; the top of the file is the section ""."""
        where, table = self._where(section), self._section(section)
        allowed = ", ".join((*required, *optional))
        for key in table:
            if key not in required and key not in optional:
                raise self.error(f"{where} has the unknown key {key!r}; allowed are {allowed}")
        for key in required:
            if key not in table:
                raise self.error(f"{where} lacks the key {key!r}; needed are {', '.join(required)}")

    def numbers(self, section: str, record: type[Record]) -> Record:
        """A table of numbers as `record`, whose fields carry their `limits`."""
        described = fields(record)  # type: ignore[arg-type]  # TypeVar cannot be bound to "any dataclass"
        self.check_keys(section, [each.name for each in described])
        return record(**{each.name: self._number(section, each.name, each.metadata) for each in described})

    def choice(self, section: str, key: str, allowed: Sequence[Choice]) -> Choice:
        """One of a few words."""
        value = self._section(section)[key]
        for word in allowed:
            if word == value:
                return word
        raise self.error(f"[{section}] {key} is {value!r}; allowed are {', '.join(allowed)}")

    def text(self, section: str, key: str) -> str:
        """Free text that says something."""
        value = self._section(section)[key]
        if not isinstance(value, str) or not value.strip():
            raise self.error(f"[{section}] {key} must be a text that is not empty")
        return value.strip()

    def name(self) -> str:
        """The policy's name: lower-case letters, digits and hyphens, since it becomes part of an id."""
        value = self.table["name"]
        if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9][a-z0-9-]*", value):
            raise self.error(f"name is {value!r}; allowed are lower-case letters, digits and hyphens")
        return value

    def version(self) -> int:
        """The policy's version, counted from 1."""
        value = self.table["version"]
        if type(value) is not int or value < 1:
            raise self.error(f"version is {value!r}; it must be a whole number from 1")
        return value

    def _number(self, section: str, key: str, allowed: Mapping[str, Any]) -> float:
        value = self._section(section)[key]
        low, high, exclusive = allowed["low"], allowed["high"], allowed["exclusive"]
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not is_number or not (low < value < high if exclusive else low <= value <= high):
            kind = "a number between" if exclusive else "a number from"
            link = "and" if exclusive else "to"
            raise self.error(f"[{section}] {key} is {value!r}; it must be {kind} {low} {link} {high}")
        return float(value)

    def _section(self, section: str) -> Mapping[str, Any]:
        table = self.table[section] if section else self.table
        if not isinstance(table, dict):
            raise self.error(f"{section!r} must be a table: write [{section}] above its keys")
        return table

    @staticmethod
    def _where(section: str) -> str:
        return f"[{section}]" if section else "the file"


def read_policy_file(path: Path) -> PolicyFile:
    """Parse `path`; raises `UsageError` when it cannot be read or is not TOML."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_POLICY_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot read the policy ({error.strerror}); check the path") from error
    if len(content) > MAX_POLICY_BYTES:
        raise UsageError(f"{path}: larger than {MAX_POLICY_BYTES} bytes, so not a policy file; check the path")
    try:
        table = tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: not a TOML file ({error}); correct the policy file") from error
    return PolicyFile(path, hashlib.sha256(content).hexdigest(), table)
