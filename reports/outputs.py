"""Where records go: standard output and any number of files, each whole or clearly marked as partial."""

import fcntl
import logging
import os
import stat
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Generic, Self

from ..core.errors import CovoguardError, UsageError
from .formats import Format, Formats, Record, RecordWriter, format_of

logger = logging.getLogger(__name__)

PARTIAL_SUFFIX = ".partial"


class Outputs(Generic[Record]):
    """Writes every record to all outputs. A file is written as FILE.partial and gets its name when it is
    whole.

    After an interruption or a failure the partial files stay, finished as far as the records go, and a
    warning names them. A disk that is full, or any other failure to write, raises `CovoguardError`
    (`output_error`).
    """

    def __init__(self, files: Sequence[Path], standard_output: Format[Record] | None, formats: Formats[Record]) -> None:
        """Open all outputs before anything is scanned; raises `UsageError` for one that cannot be written."""
        if len({os.path.realpath(path) for path in files}) < len(files):
            raise UsageError("the same output file is named twice; name each once")
        chosen = [format_of(path, formats) for path in files]
        self._outputs: list[_Output[Record]] = []
        try:
            for path, file_format in zip(files, chosen, strict=True):
                self._outputs.append(_FileOutput(path, file_format))
            if standard_output is not None:
                self._outputs.append(_standard_output(standard_output))  # last: what is shown is kept
        except UsageError:
            for output in self._outputs:
                output.abandon()
            raise

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the files their names, or, after a failure, leave them partial."""
        failure: CovoguardError | None = None
        for output in self._outputs:
            if kind is None and failure is None:
                try:
                    output.complete()
                except CovoguardError as write_error:
                    failure = write_error
                    output.abandon()
            else:
                output.abandon()
        if failure is not None:
            raise failure

    def write_all(self, records: Iterable[Record]) -> None:
        """Each record to each output, as it comes."""
        for record in records:
            for output in self._outputs:
                output.write(record)


class _Output(Generic[Record]):
    """One writer on one stream, with failures in words. Nothing is written before the first record."""

    def __init__(self, name: str, stream: BinaryIO, output_format: Format[Record]) -> None:
        self._name = name
        self._stream = stream
        self._format = output_format
        self._broken = False
        self._records = 0
        self._started: RecordWriter[Record] | None = None

    @property
    def _writer(self) -> RecordWriter[Record]:
        if self._started is None:
            self._started = self._format.writer(self._stream)
        return self._started

    def write(self, record: Record) -> None:
        try:
            self._writer.write(record)
        except OSError as error:
            raise self._failure(error) from error
        self._records += 1

    def complete(self) -> None:
        """Everything has been written."""
        try:
            self._writer.finish()
            self._stream.flush()
        except OSError as error:
            raise self._failure(error) from error

    def abandon(self) -> None:
        """The run ends early: finish what there is, unless writing itself is what failed."""
        if self._records and not self._broken:
            try:
                self._writer.finish()
                self._stream.flush()
            except OSError as error:
                logger.warning("%s: %s", self._name, error.strerror)

    def _failure(self, error: OSError) -> Exception:
        self._broken = True
        if isinstance(error, BrokenPipeError):
            return error
        advice = "make room or choose another place, and run again"
        return CovoguardError(f"{self._name}: cannot be written: {error.strerror}; {advice}", code="output_error")


class _FileOutput(_Output[Record]):
    """A file that appears under its name only when it is whole. Of a link, the file that it leads to."""

    def __init__(self, path: Path, output_format: Format[Record]) -> None:
        self._path = Path(os.path.realpath(path))
        self._partial = self._path.with_name(self._path.name + PARTIAL_SUFFIX)
        try:
            _require_replaceable(self._path)
            stream = _open_alone(self._partial)
        except OSError as error:
            raise UsageError(f"{path}: cannot be created: {error.strerror}; choose another place") from error
        super().__init__(str(path), stream, output_format)

    def complete(self) -> None:
        super().complete()
        try:
            os.fsync(self._stream.fileno())
            self._stream.close()
            self._partial.replace(self._path)
        except OSError as error:
            raise self._failure(error) from error

    def abandon(self) -> None:
        super().abandon()
        try:
            self._stream.close()
        except OSError as error:
            logger.info("%s: %s", self._partial, error.strerror)
        if self._records:
            logger.warning("the run did not finish: %d records are kept in %s", self._records, self._partial)
        else:
            self._partial.unlink(missing_ok=True)


def _require_replaceable(path: Path) -> None:
    try:
        is_regular = stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return
    if not is_regular:
        raise UsageError(f"{path}: not a regular file; use -f for standard output, or name a file")


def _open_alone(partial: Path) -> BinaryIO:
    """The emptied partial file, locked: a second run into the same file would mix its records with ours."""
    stream = partial.open("ab")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        raise UsageError(f"{partial}: another run is writing this file; wait for it, or name another file") from None
    except OSError as error:
        logger.info("%s: cannot be locked (%s); no other run may write it", partial, error.strerror)
    stream.truncate(0)
    return stream


def _standard_output(output_format: Format[Record]) -> _Output[Record]:
    if not output_format.is_text and sys.stdout.isatty():
        example = f"-o results{output_format.suffix}"
        raise UsageError(f"{output_format.name} is not for a terminal; use {example}, or redirect the output")
    return _Output("standard output", sys.stdout.buffer, output_format)
