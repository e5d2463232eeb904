"""A folder of generated clips that survives being killed: `clips/`, `manifest.jsonl`, `run.json`.

The manifest is the authority: it only grows, in the order of the run, one flushed line per clip, and a line is
written after its clip lies on the disk under its name. What a killed run leaves behind is then at most a torn last
line and files without a line, and both are made again.
"""

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Self

from ..core.cliprecord import ClipRecord, clip_line, read_clip_line
from ..core.errors import CovoguardError, IntegrityError, UsageError
from ..core.folderlock import lock_folder
from ..core.version import __version__
from ..core.wholefile import PARTIAL_SUFFIX, sync, write_whole

MANIFEST_NAME = "manifest.jsonl"
SPREADSHEET_NAME = "manifest.csv"
RUN_NAME = "run.json"
CLIPS_NAME = "clips"
RUN_VERSION = 1
MAX_LINE_BYTES = 16 << 20
_LOCK_NAME = ".lock"
_PARTIAL_RUN = re.compile(rf"\.{re.escape(RUN_NAME)}\.[0-9a-f]+{re.escape(PARTIAL_SUFFIX)}")
_MAX_RUN_BYTES = 1 << 20

RunSettings = Mapping[str, Any]
"""What decides the content of every clip, as JSON values."""


class ClipFolder:
    """One run's folder, held alone. Records are added in the order of their index, from 0."""

    def __init__(self, path: Path) -> None:
        """Made by `open`."""
        self.path = path
        self.settings = _read_settings(path / RUN_NAME)
        """Of the run that was begun here; None: of none."""

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: Path) -> Iterator[Self]:
        """Make the folder, or open one that a run has begun.

        Raises `UsageError` for a place that cannot be written, that another run is writing, or that holds
        anything else; `IntegrityError` when `run.json` is damaged.
        """
        _refuse_foreign(path)  # before anything is written into a folder that may be of another kind
        lock = lock_folder(path, _LOCK_NAME)
        try:
            _refuse_foreign(path)
            _remove_partial_files(path)
            yield cls(path)
        finally:
            os.close(lock)

    def begin(self, settings: RunSettings) -> None:
        """Say what is made here. Raises `UsageError` when the folder was begun with other settings."""
        if self.settings is not None:
            _compare(self.path, self.settings, settings)
            return
        about = {
            "schema_version": RUN_VERSION,
            "settings": dict(settings),
            "settings_sha256": settings_sha256(settings),
            "tool_version": __version__,
            "started_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        with writing(self.path):
            (self.path / CLIPS_NAME).mkdir(exist_ok=True)
            write_whole(self.path / RUN_NAME, [json.dumps(about, indent=2).encode() + b"\n"])
        self.settings = dict(settings)

    def earlier(self) -> Iterator[ClipRecord]:
        """The records that earlier runs left, after mending a last line that was torn.

        Raises `IntegrityError` for a line in the middle that is no record or not in its place, and for a clip that
        is gone.
        """
        manifest = self.path / MANIFEST_NAME
        if not manifest.exists():
            return
        with writing(self.path):
            _mend(manifest)
        with manifest.open("rb") as file:
            for index, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b"")):
                record = _parsed(manifest, index, line)
                if record.path is not None and not (self.path / record.path).is_file():
                    raise IntegrityError(
                        f"{self.path / record.path}: listed in {MANIFEST_NAME} but gone; "
                        "put it back, or make all clips again in another folder"
                    )
                yield record

    def clip_path(self, index: int, suffix: str) -> Path:
        """Where a clip goes. Its name in the manifest is relative to the folder."""
        return self.path / CLIPS_NAME / f"{index:06d}{suffix}"

    def add(self, record: ClipRecord) -> None:
        """Write the record's line, its clip first made safe. Raises `CovoguardError` (`output_error`)."""
        with writing(self.path):
            if record.path is not None:
                sync(self.path / record.path)
                sync(self.path / CLIPS_NAME)
            with (self.path / MANIFEST_NAME).open("ab") as file:
                _append(file, clip_line(record).encode("ascii") + b"\n")

    def write_spreadsheet(self, content: Iterator[bytes]) -> None:
        """Write `manifest.csv` whole, from pieces. Raises `CovoguardError` (`output_error`)."""
        with writing(self.path):
            write_whole(self.path / SPREADSHEET_NAME, content)


def settings_sha256(settings: RunSettings) -> str:
    """Hash of the settings' canonical JSON."""
    content = json.dumps(settings, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(content.encode()).hexdigest()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure to write below `path` into an error that says what to do (`output_error`)."""
    try:
        yield
    except OSError as error:
        advice = "make room or grant it, and run the same command again: finished clips are kept"
        raise CovoguardError(
            f"{error.filename or path}: cannot be written: {error.strerror or error}; {advice}", code="output_error"
        ) from error


def _unusable(path: Path, error: OSError | ValueError) -> UsageError:
    reason = getattr(error, "strerror", None) or error
    return UsageError(f"{path}: cannot be written: {reason}; choose another folder with -o")


def _remove_partial_files(path: Path) -> None:
    """What writers that were killed left half done, here and among the clips; their names are ours alone."""
    with writing(path):
        for folder in (path, path / CLIPS_NAME):
            for partial in folder.glob(f".*{PARTIAL_SUFFIX}"):
                partial.unlink(missing_ok=True)


def _refuse_foreign(path: Path) -> None:
    """Raise for a folder that holds more than what a run leaves that was killed before it began."""
    clips = path / CLIPS_NAME
    try:
        if not path.is_dir() or (path / RUN_NAME).exists():
            return
        names = {entry.name for entry in path.iterdir()} - {_LOCK_NAME}
        if clips.is_dir() and not any(clips.iterdir()):
            names -= {CLIPS_NAME}
    except (OSError, ValueError) as error:
        raise _unusable(path, error) from error
    foreign = sorted(name for name in names if not _PARTIAL_RUN.fullmatch(name))
    if foreign:
        raise UsageError(f"{path}: not empty ({foreign[0]!r} is there); name a new or empty folder with -o")


def _read_settings(path: Path) -> RunSettings | None:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_RUN_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}; grant it, or name another folder") from error
    try:
        about = json.loads(content)
        settings = about["settings"]
        is_whole = about["schema_version"] == RUN_VERSION and about["settings_sha256"] == settings_sha256(settings)
    except (ValueError, TypeError, KeyError, RecursionError):
        is_whole = False
    if not is_whole or not isinstance(settings, dict):
        raise IntegrityError(f"{path}: damaged or of another version; name another folder with -o")
    return settings


def _compare(path: Path, begun: RunSettings, asked: RunSettings) -> None:
    names = sorted(name for name in {*begun, *asked} if begun.get(name) != asked.get(name))
    if names:
        raise UsageError(
            f"{path}: holds the clips of another command, which differs in {', '.join(names)}; "
            "repeat that command to go on with it, or name another folder with -o"
        )


def _mend(manifest: Path) -> None:
    """Cut off what follows the last line break: a line whose writer was killed."""
    with manifest.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        whole = end
        while whole > 0:
            start = max(0, whole - (1 << 16))
            file.seek(start)
            found = file.read(whole - start).rfind(b"\n")
            if found >= 0:
                whole = start + found + 1
                break
            whole = start
        if whole < end:
            file.truncate(whole)
            os.fsync(file.fileno())


def _parsed(manifest: Path, index: int, line: bytes) -> ClipRecord:
    try:
        record = read_clip_line(line)
        problem = None if record.index == index else f"record {record.index} stands where {index} belongs"
    except ValueError as error:
        problem = str(error)
    if problem is not None:
        raise IntegrityError(
            f"{manifest}, line {index + 1}: damaged ({problem}); restore it, or make all clips again in another folder"
        )
    return record


def _append(file: BinaryIO, line: bytes) -> None:
    """The whole line or none of it, as far as the system allows; `_mend` sees to the rest."""
    end = file.seek(0, os.SEEK_END)
    try:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):  # the first failure is the one to report
            os.ftruncate(file.fileno(), end)
        raise
