"""What must not stand on both sides of a split: generator family, speaker, text and source of a clip."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence

from ..core.errors import UsageError
from ..core.records import Row

GROUP_KEYS = ("family", "speaker", "source", "text")
"""In the order in which they are reported."""

_NO_WORD = re.compile(r"[\W_]+")


def key_values(rows: Iterable[Row], key: str, spread: Collection[str] = ()) -> list[str | None]:
    """The value of `key` per row; None where it is not known, or stands in `spread` as `key=value`.

    The family of a clip whose manifest gives none is its generator; texts are compared normalised. What is not
    known binds nothing.
    """
    values = (_value(row, key) for row in rows)
    return [value if value and f"{key}={value}" not in spread else None for value in values]


def check_keys(keys: Sequence[str], spread: Collection[str]) -> None:
    """Raise `UsageError` for an unknown key, no key, or a `spread` that is not KEY=VALUE."""
    for key in keys:
        if key not in GROUP_KEYS:
            raise UsageError(f"{key!r} is no key of a clip; known: {', '.join(GROUP_KEYS)}")
    if not keys:
        raise UsageError(f"name at least one key; known: {', '.join(GROUP_KEYS)}")
    for pair in spread:
        key, equals, value = pair.partition("=")
        if key not in GROUP_KEYS or not equals or not value:
            raise UsageError(f"{pair!r}: expected KEY=VALUE with KEY one of {', '.join(GROUP_KEYS)}")


def normalised_text(text: str) -> str:
    """Words in lower case with one space between, without punctuation: two readings of a line compare equal."""
    return _NO_WORD.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def _value(row: Row, key: str) -> str | None:
    if key == "family":
        return row.family or (row.generator if row.label == "spoof" else None)
    if key == "text":
        return normalised_text(row.text) if row.text else None
    value: str | None = getattr(row, key)
    return value
