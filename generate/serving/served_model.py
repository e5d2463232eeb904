"""What a client and a server must know of the served model: the part `serving` of its card, and its mark table.

    "serving": {"first_audio_id": 151671, "stop_ids": [151645], "name": "…", "url": "…", "system_text": "…"}

`name`, `url` and `system_text` may be left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ...core.errors import IntegrityError
from ...core.modelcard import ModelFolder
from ..covo.language.system_texts import default_system_text

TABLE_NAME = "mark_table.json"


@dataclass(frozen=True)
class ServedModel:
    """A model as a server runs it."""

    first_audio_id: int
    """The audio tokens are `codebook_size` consecutive ids from here on."""
    codebook_size: int
    stop_ids: tuple[int, ...]
    name: str | None = None
    """None: the only one that the server has."""
    url: str | None = None
    system_text: str = default_system_text()
    """Asks for text and audio in turn; without such a request the model answers in text only."""

    @property
    def audio_ids(self) -> range:
        """The audio tokens in the vocabulary."""
        return range(self.first_audio_id, self.first_audio_id + self.codebook_size)

    @classmethod
    def of(cls, folder: ModelFolder) -> Self:
        """Read it off a model folder. Raises `ModelMissing` without a table, `IntegrityError` for what cannot be."""
        table = folder.read_json(TABLE_NAME)
        size = table.get("codebook_size") if isinstance(table, Mapping) else None
        part = folder.card.get("serving")
        if not isinstance(part, Mapping):
            raise _wrong(folder, "has no part `serving`")
        if type(size) is not int or size < 1:
            raise IntegrityError(f"{folder.path / TABLE_NAME}: it names no codebook size; install the model again")
        texts: dict[str, str] = {name: part[name] for name in ("name", "url", "system_text") if name in part}
        if not all(isinstance(text, str) and text for text in texts.values()):
            raise _wrong(folder, "`name`, `url` and `system_text` under `serving` must be texts")
        return cls(_first_audio_id(folder, part), size, _stop_ids(folder, part), **texts)


def _first_audio_id(folder: ModelFolder, part: Mapping[str, Any]) -> int:
    first = part.get("first_audio_id")
    if type(first) is not int or first < 0:
        raise _wrong(folder, "`first_audio_id` under `serving` must be a whole number")
    return first


def _stop_ids(folder: ModelFolder, part: Mapping[str, Any]) -> tuple[int, ...]:
    ids = part.get("stop_ids")
    if not (isinstance(ids, list) and ids and all(type(each) is int and each >= 0 for each in ids)):
        raise _wrong(folder, "`stop_ids` under `serving` must be a list of whole numbers")
    return tuple(ids)


def _wrong(folder: ModelFolder, what: str) -> IntegrityError:
    return IntegrityError(f"{folder.path}: the card {what}, so no server can be asked; install the model again")
