"""What a store keeps of one clip: the row of its columns, and the clip itself."""

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...core.cliprecord import ClipMark
from ...core.jsonrecord import from_json, json_line
from ...core.records import Audio, Float32Array, Int32Array, Label, Recipe, Row

Value = str | int
"""Of one column: text, or a whole number of 64 bits."""
NO_TEXT = ""
NO_NUMBER = -1
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class StoreRow:
    """One clip of a store; each field is a column. None: not known."""

    clip_id: str
    """Letters, digits, `.`, `-` and `_`: it names a file in an export."""
    label: Label
    generator: str | None = None
    generator_version: str | None = None
    family: str | None = None
    kind: str | None = None
    speaker: str | None = None
    source: str | None = None
    licence: str | None = None
    split: str | None = None
    language: str | None = None
    text_sha256: str | None = None
    """`hash_of_text` of what is said: the same text in two clips shows, and no text is kept."""
    recipe: Recipe | None = None
    mark: ClipMark | None = None
    """None: the clip carries no token mark."""
    degradations: tuple[str, ...] = ()
    """What was done to the sound, in order."""
    consent_ref: str | None = None
    """Where the consent of the person whose voice it is can be found."""
    purpose: str | None = None
    """What the consent is for."""
    original: str | None = None
    """Name of the file that the clip was read from, below the folder that was given."""
    file_sha256: str | None = None
    """Of that file's bytes: no file is stored twice."""
    samples_sha256: str | None = None
    """`hash_of_samples`; set by the writer."""
    rate_hz: int | None = None
    """Sample rate; set by the writer, like the two counts."""
    sample_count: int | None = None
    token_count: int | None = None
    token_rate_hz: int | None = None
    codebook_size: int | None = None

    @property
    def duration_s(self) -> float:
        """Length in seconds; 0 while no sound belongs to it."""
        return (self.sample_count or 0) / self.rate_hz if self.rate_hz else 0.0

    @property
    def key(self) -> str | None:
        """What tells two clips apart: the hash of the file it came from, or else that of its samples."""
        return self.file_sha256 or self.samples_sha256

    def to_row(self, path: str) -> Row:
        """The record that other layers take; `path` as `Store.path` gives it."""
        return Row(
            clip_id=self.clip_id, path=path, label=self.label, sha256=self.samples_sha256, generator=self.generator,
            family=self.family, kind=self.kind, speaker=self.speaker, source=self.source, licence=self.licence,
            split=self.split, recipe=self.recipe, text=self.text_sha256, duration_s=self.duration_s,
        )  # fmt: skip

    @classmethod
    def from_row(cls, row: Row) -> "StoreRow":
        """What a record of another layer says of a clip; its sound is still to come."""
        return cls(
            clip_id=row.clip_id, label=row.label, generator=row.generator, family=row.family, kind=row.kind,
            speaker=row.speaker, source=row.source, licence=row.licence, split=row.split, recipe=row.recipe,
            text_sha256=_text_sha256(row.text),
        )  # fmt: skip


@dataclass(frozen=True)
class StoredClip:
    """A clip on its way into a store or out of it."""

    row: StoreRow
    audio: Audio
    token_ids: Int32Array | None = field(default=None, compare=False, repr=False)
    """int32 (n,); None: made without tokens, or they are not known."""


NUMBERS = ("rate_hz", "sample_count", "token_count", "token_rate_hz", "codebook_size")
TEXTS = tuple(each.name for each in dataclasses.fields(StoreRow) if each.name not in NUMBERS)


def to_values(row: StoreRow) -> dict[str, Value]:
    """The row as text and numbers, by column: `recipe`, `mark` and `degradations` as JSON."""
    values: dict[str, Value] = {}
    for name in NUMBERS:
        number: int | None = getattr(row, name)
        values[name] = NO_NUMBER if number is None else number
    for name in TEXTS:
        values[name] = getattr(row, name) or NO_TEXT
    values["recipe"] = NO_TEXT if row.recipe is None else _recipe_json(row.recipe)
    values["mark"] = NO_TEXT if row.mark is None else json_line(row.mark)
    values["degradations"] = json.dumps(row.degradations) if row.degradations else NO_TEXT
    return values


def from_values(values: dict[str, Value]) -> StoreRow:
    """The row back from its columns. Raises `ValueError` that names what is wrong."""
    fields: dict[str, Any] = {name: None if values[name] == NO_NUMBER else values[name] for name in NUMBERS}
    fields |= {name: values[name] or None for name in TEXTS}
    if fields["label"] not in ("bonafide", "spoof"):
        raise ValueError(f"label {fields['label']!r} is neither bonafide nor spoof")
    try:
        fields["recipe"] = _read_recipe(fields["recipe"])
        fields["mark"] = fields["mark"] and from_json(ClipMark, json.loads(fields["mark"]))
        fields["degradations"] = tuple(json.loads(fields["degradations"] or "[]"))
    except (TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"recipe, mark or degradations: {error}") from error
    return StoreRow(**fields)


def hash_of_samples(samples: Float32Array) -> str:
    """SHA-256 of float32 (n,), little-endian: the same sound has the same hash, in whatever type a shard keeps it."""
    return hashlib.sha256(np.ascontiguousarray(samples, "<f4").tobytes()).hexdigest()


def hash_of_text(text: str) -> str:
    """SHA-256 of a text without regard to case and white space."""
    return hashlib.sha256(" ".join(text.casefold().split()).encode()).hexdigest()


def _text_sha256(text: str | None) -> str | None:
    """Of a text, or of what is such a hash already."""
    return text if text is None or _SHA256.fullmatch(text) else hash_of_text(text)


def _recipe_json(recipe: Recipe) -> str:
    content = {**dataclasses.asdict(recipe), "sampling": dict(recipe.sampling)}
    return json.dumps(content, allow_nan=False, separators=(",", ":"))


def _read_recipe(text: str | None) -> Recipe | None:
    if text is None:
        return None
    content = json.loads(text)
    sampling = tuple(content["sampling"].items())  # settings are named freely
    return dataclasses.replace(from_json(Recipe, {**content, "sampling": []}), sampling=sampling)
