"""The course of a training as lines of JSON, and for TensorBoard where it is asked for."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ...core.errors import CovoguardError, UsageError
from ...core.wholefile import write_whole

JOURNAL_NAME = "journal.jsonl"
TENSORBOARD_NAME = "tensorboard"
Entry = Mapping[str, Any]
"""`step` and `epoch`, numbers, and mappings of names to numbers or None; JSON values throughout."""


class Journal:
    """Appends to `journal.jsonl` in a training's folder."""

    def __init__(self, folder: Path, *, step: int, tensorboard: bool) -> None:
        """Go on after `step`: lines of later steps, which a killed run left behind, are taken out.

        Raises `UsageError` where TensorBoard is asked for and not installed, `CovoguardError` (`output_error`)
        when the file cannot be written.
        """
        self.path = folder / JOURNAL_NAME
        self._writer = _tensorboard_writer(folder / TENSORBOARD_NAME, step) if tensorboard else None
        with writing(self.path):
            write_whole(self.path, [line for line in _lines(self.path) if json.loads(line)["step"] <= step])
            self._file = self.path.open("ab")

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close file and writer."""
        self._file.close()
        if self._writer is not None:
            self._writer.close()

    def add(self, entry: Entry) -> None:
        """Write one line. Raises `CovoguardError` (`output_error`)."""
        with writing(self.path):
            self._file.write(json.dumps(dict(entry), allow_nan=False).encode() + b"\n")
            self._file.flush()
        if self._writer is not None:
            for name, value in _numbers(entry):
                self._writer.add_scalar(name, value, entry["step"])


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure to write below `path` into an error that says what to do (`output_error`)."""
    try:
        yield
    except OSError as error:
        raise CovoguardError(
            f"{error.filename or path}: cannot be written: {error.strerror or error}; make room or grant it, and "
            "start the same training again: it goes on at its last checkpoint",
            code="output_error",
        ) from error


def _lines(path: Path) -> Iterator[bytes]:
    """The whole lines of a journal; a last one that was cut off is left out."""
    if not path.exists():
        return
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            whole = line.endswith(b"\n") and "step" in json.loads(line)
        except ValueError:
            whole = False
        if whole:
            yield line


def _numbers(entry: Entry) -> Iterator[tuple[str, float]]:
    """Names as TensorBoard groups them, `losses/pair`, with their numbers."""
    for name, value in entry.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}/{key}", number) for key, number in value.items() if number is not None)
        elif name != "step" and value is not None:
            yield name, value


def _tensorboard_writer(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError(
            f"TensorBoard is not installed ({error}); pip install tensorboard, or leave it out: "
            f"{JOURNAL_NAME} holds the same numbers"
        ) from error
    return SummaryWriter(str(folder), purge_step=step + 1)
