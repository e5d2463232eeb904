"""Writing a store: one writer at a time, one commit per call, nothing half of it."""

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from ...core.errors import CovoguardError, IntegrityError, UsageError
from ...core.folderlock import lock_folder
from .interruption import undisturbed
from .journal import JournaledFile, journal_of
from .manifest import MANIFEST_NAME, write_manifest
from .reader import Store, shard_name, shard_paths
from .records import StoredClip, StoreRow, hash_of_samples
from .shard import FULL_SCALE, SampleType
from .shard_writer import ShardWriter, as_stored, create_shard

DEFAULT_SHARD_BYTES = 2 << 30
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", re.ASCII)
_LOCK_NAME = ".lock"


class StoreWriter:
    """The one writer of a folder of shards. Made by `open`."""

    def __init__(self, folder: Path, sample_type: SampleType, shard_bytes: int) -> None:
        """Made by `open`."""
        self.folder = folder
        self._sample_type = sample_type
        self._shard_bytes = shard_bytes
        self._shard: ShardWriter | None = None
        with Store(folder) as earlier:
            rows = list(earlier.rows())
        self._keys = {row.key for row in rows}
        self._ids = {row.clip_id for row in rows}
        self._is_listed = (folder / MANIFEST_NAME).exists()

    @classmethod
    @contextlib.contextmanager
    def open(
        cls, folder: Path, *, sample_type: SampleType = "int16", shard_bytes: int = DEFAULT_SHARD_BYTES
    ) -> Iterator[Self]:
        """Make a store, or open one to add to it; clips go to a new shard when one has `shard_bytes` of samples.

        int16 keeps steps of 2**-15, as 16-bit FLAC does; float32 keeps samples as they are. When the writer closes,
        also after an interruption, the Parquet manifest is written. Raises `UsageError` for a folder that cannot be
        written, that another run writes, or that holds anything else; `IntegrityError` for a damaged store.
        """
        lock = _lock(folder)
        try:
            with _writing(folder):
                _tidy(folder)
            writer = cls(folder, sample_type, shard_bytes)
            try:
                yield writer
            finally:
                writer._close()
        finally:
            os.close(lock)

    def has(self, key: str) -> bool:
        """Whether a clip with this `StoreRow.key` is there."""
        return key in self._keys

    def add(self, clip: StoredClip) -> StoreRow:
        """Add one clip; -> its row as it is stored. It is safe on the disk when this returns."""
        return self.add_all([clip])[0]

    def add_all(self, clips: Sequence[StoredClip]) -> list[StoreRow]:
        """Add clips in one commit, all or none of them, much faster than one by one; -> their rows.

        Raises `UsageError` for a clip id or split that cannot be a file name or for an id that is taken, `ValueError`
        for sound that is empty or not finite mono, `CovoguardError` (`output_error`) when the disk is full; the writer
        is then good for nothing more.
        """
        if not clips:
            return []
        whole = [_completed(clip, self._sample_type) for clip in clips]
        self._check_ids([clip.row for clip in whole])
        with _writing(self.folder):
            if self._is_listed:  # a list that lacks clips would look whole
                (self.folder / MANIFEST_NAME).unlink(missing_ok=True)
                self._is_listed = False
            with undisturbed():
                self._open_shard().append(whole)
        for clip in whole:
            self._ids.add(clip.row.clip_id)
            self._keys.add(clip.row.key)
        return [clip.row for clip in whole]

    def _check_ids(self, rows: list[StoreRow]) -> None:
        seen = set(self._ids)
        for row in rows:
            for name in (row.clip_id, *([row.split] if row.split is not None else [])):
                if not _NAME.fullmatch(name):
                    raise UsageError(f"{name!r}: no clip id or split; use up to 100 letters, digits and . - _")
            if row.clip_id in seen:
                raise UsageError(f"{self.folder}: has a clip {row.clip_id!r} already; give each clip an id of its own")
            seen.add(row.clip_id)

    def _open_shard(self) -> ShardWriter:
        """The last shard while it has room and is of our type, else a new one."""
        paths = shard_paths(self.folder)
        if self._shard is None and paths:
            self._shard = ShardWriter(paths[-1])
        shard = self._shard
        if shard is None or shard.sample_type != self._sample_type or shard.size_bytes >= self._shard_bytes:
            if shard is not None:
                shard.close()
            path = self.folder / shard_name(len(paths))
            create_shard(path, self._sample_type)
            self._shard = shard = ShardWriter(path)
        return shard

    def _close(self) -> None:
        if self._shard is not None:
            with undisturbed():
                self._shard.close()
        if not self._is_listed and shard_paths(self.folder):
            with _writing(self.folder), Store(self.folder) as store:
                write_manifest(store)


def _completed(clip: StoredClip, sample_type: SampleType) -> StoredClip:
    """The clip with what the writer knows of it; its hash is that of the samples as they are read back."""
    samples = clip.audio.samples
    if samples.ndim != 1 or not len(samples) or not np.isfinite(samples).all():
        raise ValueError(f"expected finite mono samples (n,), n above 0, not an array of shape {samples.shape}")
    stored = as_stored(samples, sample_type)
    kept = stored / np.float32(FULL_SCALE) if sample_type == "int16" else stored
    row = dataclasses.replace(
        clip.row,
        samples_sha256=hash_of_samples(kept.astype(np.float32, copy=False)),
        rate_hz=clip.audio.rate_hz,
        sample_count=len(samples),
        token_count=None if clip.token_ids is None else len(clip.token_ids),
    )
    return dataclasses.replace(clip, row=row)


def _lock(folder: Path) -> int:
    """A locked descriptor; the lock ends with its holder, however that ends."""
    try:
        if folder.is_dir() and not shard_paths(folder):
            foreign = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
            if foreign:
                raise UsageError(f"{folder}: no store ({foreign[0]!r} is there); name a new or empty folder")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{folder}: cannot be written: {reason}; choose another folder") from error
    return lock_folder(folder, _LOCK_NAME)


def _tidy(folder: Path) -> None:
    """Finish or remove what a killed writer left half done."""
    for path in shard_paths(folder):
        if journal_of(path).exists():
            JournaledFile(path).close()
    for partial in folder.glob(".*.part"):
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Turn a failure to write into an error that says what to do."""
    try:
        yield
    except OSError as error:
        advice = "make room or grant it, and run the same command again: the clips so far are kept"
        raise CovoguardError(
            f"{error.filename or folder}: cannot be written: {error.strerror or error}; {advice}", code="output_error"
        ) from error
    except (RuntimeError, KeyError) as error:
        raise IntegrityError(f"{folder}: a shard is damaged ({error}); put a copy of it in its place") from error
