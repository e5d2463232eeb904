"""Many short sounds in one file: written once, in order, and read at any place by any number of processes.

Samples lie one after the other as int16, without a header; beside them stands where each sound ends. An end is written
after its samples are on the disk, so a writer that is killed leaves every sound that it finished, and what it left
half-written is cut off when the file is opened again.
"""

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from ..core.records import Float32Array

FULL_SCALE = 32_767
ENDS_SUFFIX = ".ends"
_SAMPLE_BYTES = 2
_END_BYTES = 8
_SOUNDS_AT_ONCE = 64
"""Sounds that become safe together: a disk that is asked to write after each one is slow."""


class SoundFile:
    """The sounds of a finished file, by number from 0. Cheap to send to another process."""

    def __init__(self, path: Path) -> None:
        """Raises `OSError`."""
        self.path = path
        self._ends = _read_ends(path)
        self._samples: npt.NDArray[np.int16] | None = None

    def __len__(self) -> int:
        """Number of sounds."""
        return len(self._ends) - 1

    def length(self, number: int) -> int:
        """Samples of one sound; 0 where a place was left empty."""
        return int(self._ends[number + 1] - self._ends[number])

    def read(self, number: int, start: int = 0, count: int | None = None) -> Float32Array:
        """Samples (n,) in [-1, 1] from `start` on, at most `count` of them."""
        if self._samples is None:
            self._samples = np.memmap(self.path, np.int16, "r") if self._ends[-1] else np.zeros(0, np.int16)
        first, end = int(self._ends[number]) + start, int(self._ends[number + 1])
        part = self._samples[first : end if count is None else min(end, first + count)]
        return np.asarray(part, dtype=np.float32) / np.float32(FULL_SCALE)

    def __getstate__(self) -> dict[str, Any]:
        """Without the mapping, which each process makes for itself."""
        return {**self.__dict__, "_samples": None}


class SoundWriter:
    """Adds sounds to a new file, or after those that an earlier run finished. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        """Cut off what was left half-written; waits while another process is writing here. Raises `OSError`."""
        self.path = path
        self._ends_path = path.with_name(path.name + ENDS_SUFFIX)
        self._data: BinaryIO = path.open("ab")
        fcntl.flock(self._data, fcntl.LOCK_EX)
        ends = _read_ends(path)
        self.count = len(ends) - 1
        """Sounds that are in the file, those not yet safe included."""
        self._end = int(ends[-1])
        self._data.truncate(self._end * _SAMPLE_BYTES)
        self._ends_file: BinaryIO = self._ends_path.open("ab")
        self._ends_file.truncate(self.count * _END_BYTES)
        self._waiting: list[int] = []

    def add(self, samples: Float32Array) -> None:
        """Put samples (n,) at the end, cut to [-1, 1]; none leave a place empty. Raises `OSError`."""
        scaled = np.round(np.clip(samples, -1.0, 1.0) * FULL_SCALE)
        self._data.write(np.asarray(scaled, "<i2").tobytes())
        self._end += len(samples)
        self.count += 1
        self._waiting.append(self._end)
        if len(self._waiting) >= _SOUNDS_AT_ONCE:
            self.commit()

    def commit(self) -> None:
        """Bring all that was added to the disk: samples first, their ends after them. Raises `OSError`."""
        _flush(self._data)
        self._ends_file.write(_packed(self._waiting))
        _flush(self._ends_file)
        self._waiting.clear()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keep what was added, but for a disk that takes no more."""
        with self._ends_file, self._data:
            if not isinstance(error, OSError):
                self.commit()


def _read_ends(path: Path) -> npt.NDArray[np.int64]:
    """Where each sound ends, in samples, after a first 0; only ends that the file of samples reaches."""
    ends_path = path.with_name(path.name + ENDS_SUFFIX)
    written = ends_path.read_bytes() if ends_path.exists() else b""
    ends = np.frombuffer(written[: len(written) // _END_BYTES * _END_BYTES], "<i8").astype(np.int64)
    there = path.stat().st_size // _SAMPLE_BYTES
    rising = np.diff(ends, prepend=0) >= 0
    whole = int(np.argmin(np.append(rising & (ends <= there), False)))
    return np.concatenate([[0], ends[:whole]])


def _packed(ends: Sequence[int]) -> bytes:
    return np.array(ends, "<i8").tobytes()


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
