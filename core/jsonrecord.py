"""Writes a frozen dataclass as JSON, and reads it back, checking every field on the way."""

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")

ADDED_LATER: Mapping[str, bool] = {"added_later": True}
"""Metadata of a field that older files lack. Where it is None it is not written, so old records keep their bytes."""


def json_line(record: "DataclassInstance") -> str:
    """The record's one JSON form: compact, ASCII only, keys in field order, no newline.

    Raises `ValueError` on NaN and infinity, which JSON does not have.
    """
    return json.dumps(_plain(record), ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def from_json(cls: type[T], value: object) -> T:
    """Build `cls` from parsed JSON (dicts, lists, numbers, strings, None).

    Understands nested dataclasses, tuples, unions, literals, str, int, float and bool. Raises `ValueError`
    that names the field for a wrong type, a number that is not finite, text that is not Unicode, an unknown key
    and a missing one, unless it was `ADDED_LATER`.
    """
    return typing.cast(T, _read(cls, value, cls.__name__))


def _plain(value: Any) -> Any:
    """`value` in the types of JSON."""
    if dataclasses.is_dataclass(value):
        return {
            each.name: _plain(inner)
            for each in dataclasses.fields(value)
            if (inner := getattr(value, each.name)) is not None or not each.metadata.get("added_later")
        }
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, tuple | list) else value


@cache
def _added_later(cls: type) -> frozenset[str]:
    """The fields that may be missing; they are None by default."""
    described: Any = cls
    return frozenset(each.name for each in dataclasses.fields(described) if each.metadata.get("added_later"))


@cache
def _field_types(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _read(kind: Any, value: object, where: str) -> Any:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _read_dataclass(kind, value, where)
    origin = typing.get_origin(kind)
    if kind is None:
        return _read_scalar(types.NoneType, value, where)
    if origin in (types.UnionType, typing.Union):  # the latter for `Literal[…] | None`
        return _read_optional(kind, value, where)
    if origin is tuple:
        return _read_tuple(typing.get_args(kind), value, where)
    if origin is typing.Literal:
        if value in typing.get_args(kind):
            return value
        raise ValueError(f"{where}: {value!r} is not one of {', '.join(map(str, typing.get_args(kind)))}")
    return _read_scalar(kind, value, where)


def _read_dataclass(cls: type, value: object, where: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected an object, found {type(value).__name__}")
    hints, added = _field_types(cls), _added_later(cls)
    for name in hints:
        if name not in value and name not in added:
            raise ValueError(f"{where}: {name} is missing")
    for name in value:
        if name not in hints:
            raise ValueError(f"{where}: {name!r} is not a known key")
    return cls(**{name: _read(kind, value.get(name), f"{where}.{name}") for name, kind in hints.items()})


def _read_optional(kind: Any, value: object, where: str) -> Any:
    """`X | None`: the only unions that records have."""
    if value is None:
        return None
    (inner,) = (arm for arm in typing.get_args(kind) if arm is not types.NoneType)
    return _read(inner, value, where)


def _read_tuple(arms: tuple[Any, ...], value: object, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{where}: expected a list, found {type(value).__name__}")
    if len(arms) == 2 and arms[1] is Ellipsis:
        arms = (arms[0],) * len(value)
    if len(value) != len(arms):
        raise ValueError(f"{where}: expected {len(arms)} values, found {len(value)}")
    return tuple(_read(arm, item, f"{where}[{i}]") for i, (arm, item) in enumerate(zip(arms, value, strict=True)))


def _read_scalar(kind: Any, value: object, where: str) -> Any:
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise ValueError(f"{where}: expected {kind.__name__}, found {value!r}")
    if isinstance(value, str) and not _is_unicode(value):
        raise ValueError(f"{where}: {value!r} is not Unicode (it holds a lone surrogate)")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where}: {value} is not a finite number")
    return value


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
