"""A long training's folder: what is finished stays, whatever interrupts it, and the result appears whole or not at all.

Beside the place of the result, `NAME`, lies `NAME.training` while the work goes on: `run.json` says what is made,
every other file is one finished piece. At the end the result is moved to its place in one step.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ..core.errors import CovoguardError, IntegrityError, UsageError
from ..core.folderlock import lock_folder
from ..core.wholefile import sync, write_whole

if TYPE_CHECKING:
    from torch import Tensor

WORK_SUFFIX = ".training"
_RUN_NAME = "run.json"
_LOCK_NAME = ".lock"
_DRAFT_NAME = "draft"
_ABOUT = "about"
Settings = Mapping[str, Any]
"""What decides the result, as JSON values."""
Piece = tuple["dict[str, Tensor]", dict[str, Any]]
"""Tensors by name, and what is said of them, as JSON values."""


class TrainingFolder:
    """One run's work, held alone."""

    def __init__(self, place: Path) -> None:
        """Made by `open`."""
        self.place = place
        self.path = place.with_name(place.name + WORK_SUFFIX)

    @classmethod
    @contextlib.contextmanager
    def open(cls, place: Path, settings: Settings) -> Iterator[Self]:
        """Begin work whose result goes to `place`, or go on with what the same settings began.

        Raises `UsageError` for a place that is taken or cannot be written, for another run at work there, and for
        work that was begun with other settings; `IntegrityError` for a damaged `run.json`.
        """
        _refuse_taken(place)
        folder = cls(place)
        lock = lock_folder(folder.path, _LOCK_NAME)
        try:
            folder._begin(settings)
            yield folder
        finally:
            os.close(lock)

    def load(self, name: str) -> Piece | None:
        """A finished piece; None: not made yet. Raises `IntegrityError` when it is damaged."""
        from safetensors import SafetensorError, safe_open

        path = self.path / name
        if not path.is_file():
            return None
        try:
            with safe_open(path, "pt") as file:
                about = json.loads(file.metadata()[_ABOUT])
                return {key: file.get_tensor(key) for key in file.keys()}, about  # noqa: SIM118  (no mapping)
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise IntegrityError(
                f"{path}: damaged ({error}); remove it, and the same command makes it again"
            ) from error

    def save(self, name: str, tensors: "dict[str, Tensor]", about: Mapping[str, Any]) -> None:
        """Write a piece whole. Raises `CovoguardError` (`output_error`)."""
        from safetensors.torch import save

        with self._writing():
            write_whole(self.path / name, [save(tensors, {_ABOUT: json.dumps(about)})])

    def publish(self, write: Callable[[Path], None]) -> None:
        """Let `write` fill a new folder, move that to its place, and remove the work.

        Raises `CovoguardError` (`output_error`).
        """
        draft = self.path / _DRAFT_NAME
        with self._writing():
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir()
            write(draft)
            for path in draft.iterdir():
                sync(path)
            sync(draft)
            if self.place.is_dir():
                self.place.rmdir()  # an empty one: a folder cannot be moved onto another everywhere
            os.replace(draft, self.place)
            sync(self.place.parent)
        shutil.rmtree(self.path, ignore_errors=True)

    def _begin(self, settings: Settings) -> None:
        path = self.path / _RUN_NAME
        for partial in self.path.glob(".*.part"):
            partial.unlink(missing_ok=True)
        try:
            begun = json.loads(path.read_bytes())
        except FileNotFoundError:
            with self._writing():
                write_whole(path, [json.dumps(dict(settings), indent=2).encode() + b"\n"])
            return
        except (OSError, ValueError) as error:
            raise IntegrityError(f"{path}: damaged ({error}); remove {self.path} to begin anew") from error
        asked = json.loads(json.dumps(dict(settings)))
        names = sorted(name for name in {*begun, *asked} if begun.get(name) != asked.get(name))
        if names:
            raise UsageError(
                f"{self.path}: holds the work of another command, which differs in {', '.join(names)}; "
                "repeat that command to go on with it, remove the folder, or name another place with -o"
            )

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CovoguardError(
                f"{error.filename or self.path}: cannot be written: {error.strerror or error}; make room or grant it, "
                "and run the same command again: what is finished is kept",
                code="output_error",
            ) from error


def _refuse_taken(place: Path) -> None:
    try:
        taken = place.exists() and (not place.is_dir() or any(place.iterdir()))
    except (OSError, ValueError) as error:
        raise _unusable(place, error) from error
    if taken:
        raise UsageError(f"{place}: not empty; name a new folder with -o")


def _unusable(path: Path, error: OSError | ValueError) -> UsageError:
    reason = getattr(error, "strerror", None) or error
    return UsageError(f"{path}: cannot be written: {reason}; name another place with -o")
