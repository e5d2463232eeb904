"""Failures as a record keeps them: a code and one sentence."""

from pathlib import Path

from ..core.audio.source import named
from ..core.errors import InputError
from ..core.scanrecord import RecordError


def as_record_error(error: InputError, path: str) -> RecordError:
    """The error as a record keeps it: without the path, which the record names and a duplicate does not share."""
    message = error.message.removeprefix(f"{named(Path(path))}: ")
    return RecordError(error.code, message.encode("utf-8", "backslashreplace").decode("utf-8"))


def internal_error(error: Exception) -> InputError:
    """A failure of the tool itself as the error of one file."""
    return InputError(f"{type(error).__name__}: {error}", code="internal_error")
