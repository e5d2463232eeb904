"""Read a checkpoint's JSON field by field: what is missing, of another kind or out of range is named, never guessed."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ...core.errors import IntegrityError, ModelMissing

_MOST = 2**24
"""No size of any model is above this: a larger number is damage, and must not become an allocation."""


def read_json(path: Path) -> Any:
    """A JSON file. Raises `ModelMissing` when it is not there, `IntegrityError` when it is no JSON."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ModelMissing(f"{path}: missing; give the whole folder of a Covo-Audio checkpoint") from error
    except OSError as error:
        raise ModelMissing(f"{path}: cannot be read ({error.strerror}); grant it, or download it again") from error
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{path}: not JSON ({error}); download this file again") from error


@dataclass(frozen=True)
class JsonFields:
    """One object of a JSON file; `path` is where it lies in the file, for messages."""

    content: Mapping[str, Any]
    source: str
    path: str = ""

    @classmethod
    def of(cls, content: object, source: str) -> "JsonFields":
        """The whole file. Raises `IntegrityError` when it is no object."""
        if not isinstance(content, Mapping):
            raise IntegrityError(f"{source}: not a JSON object; download this file of the checkpoint again")
        return cls(content, source)

    def section(self, name: str) -> "JsonFields":
        """An object inside this one."""
        value = self.content.get(name)
        if not isinstance(value, Mapping):
            self.refuse(name, "is missing" if value is None else "is no JSON object")
        return JsonFields(value, self.source, f"{self.path}{name}.")

    def size(self, name: str, *, default: int | None = None, low: int = 1, high: int = _MOST) -> int:
        """A whole number from `low` to `high`; absent (or null) it is `default`, or refused when that is None."""
        value = self.content.get(name)
        if value is None and default is not None:
            return default
        return self._whole(name, value, low, high)

    def sizes(self, name: str) -> tuple[int, ...]:
        """A list of one to 32 sizes."""
        value = self.content.get(name)
        if not isinstance(value, list) or not 0 < len(value) <= 32:
            self.refuse(name, f"is {_shown(value)}, not a list of 1 to 32 whole numbers")
        return tuple(self._whole(f"{name}[{n}]", each, 1, _MOST) for n, each in enumerate(value))

    def number(self, name: str, *, default: float | None = None, low: float = 0.0, high: float = 1e9) -> float:
        """A finite number from `low` to `high`; absent (or null) it is `default`, or refused when that is None."""
        value = self.content.get(name)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.refuse(name, f"is {_shown(value)}, not a number")
        # compared before it becomes a float: a whole number of 400 digits is no float
        if not low <= value <= high or not math.isfinite(value):
            self.refuse(name, f"is {_shown(value)}, not between {low:g} and {high:g}")
        return float(value)

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false; absent it is `default`."""
        value = self.content.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.refuse(name, f"is {_shown(value)}, not true or false")
        return value

    def expect(self, name: str, *accepted: object, default: object = None) -> None:
        """Refuse any value but those `accepted`; absent (or null) the field counts as `default`."""
        value = self.content.get(name)
        value = default if value is None else value
        if not any(value == each and type(value) is type(each) for each in accepted):
            wanted = " or ".join(_shown(each) for each in accepted)
            self.refuse(name, "is missing" if value is None else f"is {_shown(value)}; only {wanted} is supported")

    def refuse(self, name: str, problem: str) -> NoReturn:
        """Raise `IntegrityError` about one field."""
        raise IntegrityError(
            f"{self.source}: {self.path}{name} {problem}; use the folder of a Covo-Audio checkpoint, "
            "or download this file again"
        )

    def _whole(self, name: str, value: object, low: int, high: int) -> int:
        if value is None:
            self.refuse(name, "is missing")
        if isinstance(value, bool) or not isinstance(value, int):
            self.refuse(name, f"is {_shown(value)}, not a whole number")
        if not low <= value <= high:
            self.refuse(name, f"is {_shown(value)}, not between {low} and {high}")
        return value


def _shown(value: object) -> str:
    """A value as JSON would write it, cut where it is long."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError):  # what no JSON file holds, or a whole number of thousands of digits
        text = type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."
