"""One shard: an HDF5 file of clips, and how it is read.

    samples          int16 or float32 (total samples,), chunked, not compressed
    token_ids        int32 (total tokens,), chunked, not compressed
    clips/NAME       one row per clip, for each field of `StoreRow`; text in UTF-8, "" and -1: not known
    clips/first_sample, clips/first_token   int64: where a clip begins in `samples` and `token_ids`
    attributes       format, schema_version, tool_version

A reader takes rows and the places of all chunks into memory when it opens, and then reads sound from the file itself.
Chunks are not compressed and never move, so one reader serves threads and forked processes, and sees its clips
unchanged while a writer adds others.
"""

import bisect
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from ...core.errors import InputError, IntegrityError
from ...core.records import Audio, Float32Array, Int32Array
from .interruption import undisturbed
from .journal import CommittedFile
from .records import NUMBERS, TEXTS, StoredClip, StoreRow, Value, from_values, hash_of_samples

SampleType = Literal["int16", "float32"]

FORMAT = "covoguard clips"
SCHEMA_VERSION = 1
SAMPLES, TOKENS, CLIPS = "samples", "token_ids", "clips"
FIRST_SAMPLE, FIRST_TOKEN = "first_sample", "first_token"
FULL_SCALE = 1 << 15
"""Steps of int16 per unit."""


class Shard:
    """The clips that a shard held when it was opened, by index from 0. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        """Raises `InputError` for a file that cannot be opened, `IntegrityError` for one that is damaged."""
        self.path = path
        try:
            self._file = CommittedFile(path)
        except OSError as error:
            raise InputError(
                f"{path}: cannot be read: {error.strerror}; check the path, or grant it", code="read_error"
            ) from error
        try:
            with undisturbed(), _reading(path), _hdf5(self._file) as content:
                self._columns, places = _read_columns(content)
                self._samples = _ChunkedArray(self._file, content[SAMPLES])
                self._tokens = _ChunkedArray(self._file, content[TOKENS])
                self._first_sample, self._first_token = places
                _check_places(places[0], self._columns["sample_count"], self._samples.total, SAMPLES)
                _check_places(places[1], self._columns["token_count"], self._tokens.total, TOKENS)
        except BaseException:
            self._file.close()
            raise

    def __len__(self) -> int:
        """Number of clips."""
        return len(self._first_sample)

    @property
    def sample_type(self) -> SampleType:
        """How samples are kept."""
        return "int16" if self._samples.dtype == np.int16 else "float32"

    def row(self, index: int) -> StoreRow:
        """What is known of a clip."""
        with _reading(self.path):
            return from_values({name: column[index] for name, column in self._columns.items()})

    def clip_ids(self) -> list[str]:
        """Of all clips, in order."""
        return [str(each) for each in self._columns["clip_id"]]

    def audio(self, index: int) -> Audio:
        """The sound of a clip. Raises `IntegrityError` when the file has become shorter."""
        count, rate_hz = int(self._columns["sample_count"][index]), int(self._columns["rate_hz"][index])
        with _reading(self.path):
            stored = self._samples.read(int(self._first_sample[index]), count)
        samples: Float32Array = stored.astype(np.float32, copy=False)
        if stored.dtype == np.int16:
            samples = samples / np.float32(FULL_SCALE)
        return Audio(samples, rate_hz, f"{self.path}#{index}")

    def token_ids(self, index: int) -> Int32Array | None:
        """int32 (n,) of a clip; None where it has none."""
        count = int(self._columns["token_count"][index])
        if count < 0:
            return None
        with _reading(self.path):
            ids: Int32Array = self._tokens.read(int(self._first_token[index]), count)
        return ids

    def clip(self, index: int) -> StoredClip:
        """A clip whole."""
        return StoredClip(self.row(index), self.audio(index), self.token_ids(index))

    def is_whole(self, index: int) -> bool:
        """Whether a clip's samples are still those that were stored."""
        try:
            return hash_of_samples(self.audio(index).samples) == self._columns["samples_sha256"][index]
        except IntegrityError:
            return False

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._file.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()


class _ChunkedArray:
    """A one-dimensional dataset without compression, read straight from the places of its chunks."""

    def __init__(self, file: CommittedFile, dataset: Any) -> None:
        self._file = file
        self.dtype: np.dtype[Any] = dataset.dtype.newbyteorder("=")
        self.total = int(dataset.shape[0])
        self._stored = dataset.dtype
        self._chunk = int(dataset.chunks[0])
        found: dict[int, int] = {}
        dataset.id.chunk_iter(lambda chunk: found.__setitem__(chunk.chunk_offset[0] // self._chunk, chunk.byte_offset))
        self._places = [found[number] for number in range(-(-self.total // self._chunk))]

    def read(self, first: int, count: int) -> npt.NDArray[Any]:
        """(count,) from `first` on. Raises `ValueError` when the file ends before them."""
        item = self._stored.itemsize
        pieces = []
        while count:
            number, offset = divmod(first, self._chunk)
            taken = min(count, self._chunk - offset)
            piece = self._file.read_at(self._places[number] + offset * item, taken * item)
            if len(piece) < taken * item:
                raise ValueError("the file is shorter than its tables say")
            pieces.append(np.frombuffer(piece, self._stored))
            first, count = first + taken, count - taken
        joined = np.concatenate(pieces) if len(pieces) != 1 else pieces[0]
        return joined.astype(self.dtype, copy=False)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn whatever a damaged file makes HDF5 say into an error that says what to do."""
    try:
        yield
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, IndexError) as error:
        raise IntegrityError(
            f"{path}: damaged, or no shard of a store ({error}); put a copy of it in its place, or take it away and "
            "add its clips again"
        ) from error


@contextlib.contextmanager
def _hdf5(file: CommittedFile) -> Iterator[Any]:
    import h5py

    content = h5py.File(file, "r")
    try:
        if content.attrs.get("format") != FORMAT:
            raise ValueError(f"its format is {content.attrs.get('format')!r}")
        if content.attrs.get("schema_version") != SCHEMA_VERSION:
            raise ValueError(f"schema version {content.attrs.get('schema_version')}; this covoguard reads 1")
        yield content
    finally:
        content.close()


def _read_columns(content: Any) -> tuple[dict[str, list[Value]], tuple[npt.NDArray[np.int64], ...]]:
    clips = content[CLIPS]
    columns: dict[str, list[Value]] = {name: clips[name].asstr()[:].tolist() for name in TEXTS}
    columns |= {name: clips[name][:].tolist() for name in NUMBERS}
    places = tuple(np.asarray(clips[name][:], np.int64) for name in (FIRST_SAMPLE, FIRST_TOKEN))
    lengths = {*map(len, columns.values()), *map(len, places)}
    if len(lengths) != 1:
        raise ValueError("its columns are not of one length")
    if (clips["rate_hz"][:] <= 0).any() or (clips["sample_count"][:] <= 0).any():
        raise ValueError("a clip has no sound or no sample rate")
    return columns, places


def _check_places(first: npt.NDArray[np.int64], counts: list[Value], total: int, name: str) -> None:
    """Clips follow each other without a gap, up to the end."""
    lengths = np.maximum(np.asarray(counts, np.int64), 0)
    ends = np.cumsum(lengths)
    if not np.array_equal(first, ends - lengths) or (ends[-1] if len(ends) else 0) != total:
        raise ValueError(f"the places of clips in {name} do not fit together")


def find_shard(starts: list[int], index: int) -> tuple[int, int]:
    """Of clip `index` of a store: number of its shard and index in there; `starts`: first index of each shard."""
    number = bisect.bisect_right(starts, index) - 1
    return number, index - starts[number]
