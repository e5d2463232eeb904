"""Writing one shard.

Flush order of a commit: samples and token ids, then the rows that name them, all in the memory of HDF5; then HDF5's
own flush; then `JournaledFile.commit`, which lets the whole of it take hold at once.
"""

import contextlib
import itertools
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.records import Float32Array
from ...core.version import __version__
from .journal import JournaledFile
from .records import NUMBERS, TEXTS, StoredClip, to_values
from .shard import (
    CLIPS,
    FIRST_SAMPLE,
    FIRST_TOKEN,
    FORMAT,
    FULL_SCALE,
    SAMPLES,
    SCHEMA_VERSION,
    TOKENS,
    SampleType,
    Shard,
)

_SAMPLE_CHUNK = 1 << 15
_TOKEN_CHUNK = 1 << 12
_ROW_CHUNK = 128


class ShardWriter:
    """Appends clips to one shard. Its folder's writer holds the lock."""

    def __init__(self, path: Path) -> None:
        """Open a shard and finish what a killed writer left. Raises `IntegrityError` for one that is damaged."""
        import h5py

        self.path = path
        self._file = JournaledFile(path)
        try:
            with Shard(path) as found:
                self.sample_type = found.sample_type
            self._content = h5py.File(self._file, "r+")
        except BaseException:
            self._file.close()
            raise

    @property
    def size_bytes(self) -> int:
        """Of the samples so far."""
        return int(self._content[SAMPLES].nbytes)

    def append(self, clips: Sequence[StoredClip]) -> None:
        """Add clips, all or none of them. Raises `OSError`; the writer is then closed."""
        samples = [as_stored(clip.audio.samples, self.sample_type) for clip in clips]
        ids = [np.zeros(0, np.int32) if clip.token_ids is None else clip.token_ids for clip in clips]
        try:
            first_samples = _extend(self._content[SAMPLES], samples)
            first_tokens = _extend(self._content[TOKENS], ids)
            values = [to_values(clip.row) for clip in clips]
            columns: dict[str, list[Any]] = {name: [each[name] for each in values] for name in (*TEXTS, *NUMBERS)}
            for name, column in (columns | {FIRST_SAMPLE: first_samples, FIRST_TOKEN: first_tokens}).items():
                dataset = self._content[CLIPS][name]
                start = len(dataset)
                dataset.resize((start + len(clips),))
                dataset[start:] = column
            self._content.flush()
            self._file.commit()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the shard; safe to call twice. What was not committed is lost."""
        if not self._file.closed:
            self._file.abandon()
            with contextlib.suppress(OSError, RuntimeError, ValueError):  # HDF5 after a failed write
                self._content.close()
            self._file.close()


def create_shard(path: Path, sample_type: SampleType) -> None:
    """An empty shard, which appears under its name when it is whole."""
    import h5py

    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb+") as file:
            with h5py.File(file, "w") as content:
                content.attrs.update(format=FORMAT, schema_version=SCHEMA_VERSION, tool_version=__version__)
                content.create_dataset(SAMPLES, (0,), sample_type, maxshape=(None,), chunks=(_SAMPLE_CHUNK,))
                content.create_dataset(TOKENS, (0,), "int32", maxshape=(None,), chunks=(_TOKEN_CHUNK,))
                clips = content.create_group(CLIPS)
                types = {name: h5py.string_dtype() for name in TEXTS}
                types |= dict.fromkeys((*NUMBERS, FIRST_SAMPLE, FIRST_TOKEN), np.dtype(np.int64))
                for name, dtype in types.items():
                    clips.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(_ROW_CHUNK,))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def as_stored(samples: Float32Array, sample_type: SampleType) -> npt.NDArray[Any]:
    """float32 (n,) as a shard keeps it; int16 is rounded, and limited to [-1, 1)."""
    if sample_type == "float32":
        return samples.astype(np.float32, copy=False)
    steps = np.rint(samples.astype(np.float64) * FULL_SCALE)
    return np.clip(steps, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def _extend(dataset: Any, arrays: Sequence[npt.NDArray[Any]]) -> list[int]:
    """Append arrays; -> where each begins."""
    lengths = [len(array) for array in arrays]
    start = int(dataset.shape[0])
    if sum(lengths):
        dataset.resize((start + sum(lengths),))
        dataset[start:] = np.concatenate(arrays)
    return list(itertools.accumulate(lengths[:-1], initial=start))
