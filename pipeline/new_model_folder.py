"""A new model folder that is there whole or not at all."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..core.errors import UsageError
from ..core.modelcard import CARD_NAME, seal_model


@contextmanager
def new_model_folder(out: Path) -> Iterator[Path]:
    """A folder to write the model's files in; at the end it is sealed and becomes `out`, after an error it is gone.

    Raises `UsageError` for an `out` that is there already or cannot be written.
    """
    if out.exists():
        raise UsageError(f"{out}: is there already; name a new folder")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-model-", dir=out.parent) as scratch:
            staged = Path(scratch) / "model"
            staged.mkdir()
            yield staged
            seal_model(staged)
            staged.replace(out)
    except OSError as error:
        raise UsageError(
            f"{error.filename or out}: cannot be written ({error.strerror}); grant it, make room, or name another"
        ) from error


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write `card.json`, indented for people."""
    (folder / CARD_NAME).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
