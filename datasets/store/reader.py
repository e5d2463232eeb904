"""Reading a store: its shards as one sequence of clips, in the order in which they were added."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from ...core.errors import InputError, UsageError
from ...core.records import Audio, Int32Array, Row
from .records import StoredClip, StoreRow
from .shard import SampleType, Shard, find_shard

_SHARD_NAME = re.compile(r"shard-(\d{5,})\.h5")


def shard_name(number: int) -> str:
    """File name of a shard, from 0."""
    return f"shard-{number:05d}.h5"


def shard_paths(folder: Path) -> list[Path]:
    """The shards of a folder, in order. Raises `OSError`."""
    found = [path for path in folder.iterdir() if _SHARD_NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.stem.removeprefix("shard-")))


class Store:
    """The clips that a store held when it was opened, by index from 0 or by id. Use as a context manager.

    Threads and forked processes may share it: reading moves no position and takes no lock.
    """

    def __init__(self, folder: Path) -> None:
        """Raises `InputError` for a folder that cannot be read, `IntegrityError` for a damaged shard."""
        self.folder = folder
        try:
            paths = shard_paths(folder)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{folder}: no store can be read: {reason}; check the path", code="not_found") from error
        with contextlib.ExitStack() as opened:
            self._shards = [opened.enter_context(Shard(path)) for path in paths]
            self._open = opened.pop_all()
        self._starts = [0]
        for shard in self._shards:
            self._starts.append(self._starts[-1] + len(shard))
        ids = (clip_id for shard in self._shards for clip_id in shard.clip_ids())
        self._index_of = {clip_id: index for index, clip_id in enumerate(ids)}

    @classmethod
    def existing(cls, folder: Path) -> Self:
        """Like `Store`, but a folder without a shard is refused with `UsageError`."""
        store = cls(folder)
        if not store._shards:
            raise UsageError(f"{folder}: no store: it holds no shard-00000.h5; give the folder of `dataset add -o`")
        return store

    def __len__(self) -> int:
        """Number of clips."""
        return self._starts[-1]

    def index(self, clip_id: str) -> int:
        """Where the clip with this id stands. Raises `KeyError`."""
        return self._index_of[clip_id]

    def row(self, index: int) -> StoreRow:
        """What is known of a clip."""
        shard, place = self._find(index)
        return shard.row(place)

    def audio(self, index: int) -> Audio:
        """The sound of a clip."""
        shard, place = self._find(index)
        return shard.audio(place)

    def token_ids(self, index: int) -> Int32Array | None:
        """Its tokens, int32 (n,); None where it has none."""
        shard, place = self._find(index)
        return shard.token_ids(place)

    def clip(self, index: int) -> StoredClip:
        """A clip whole."""
        shard, place = self._find(index)
        return shard.clip(place)

    def path(self, index: int) -> str:
        """Where a clip lies, relative to the store: `shard-00000.h5#12`."""
        shard, place = self._find(index)
        return f"{shard.path.name}#{place}"

    def rows(self) -> Iterator[StoreRow]:
        """All rows in order."""
        return (shard.row(place) for shard in self._shards for place in range(len(shard)))

    def records(self) -> Iterator[Row]:
        """All rows as the records that other layers take; their paths are relative to the store."""
        return (row.to_row(self.path(index)) for index, row in enumerate(self.rows()))

    def clips(self) -> Iterator[StoredClip]:
        """All clips in order."""
        return (shard.clip(place) for shard in self._shards for place in range(len(shard)))

    def sample_types(self) -> set[SampleType]:
        """How its shards keep samples."""
        return {shard.sample_type for shard in self._shards}

    def is_whole(self, index: int) -> bool:
        """Whether a clip's samples still have the SHA-256 that was stored."""
        shard, place = self._find(index)
        return shard.is_whole(place)

    def verify(self) -> Iterator[str]:
        """Paths of the clips that are not whole; reads everything."""
        return (self.path(index) for index in range(len(self)) if not self.is_whole(index))

    def close(self) -> None:
        """Close all shards; safe to call twice."""
        self._open.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all shards."""
        self.close()

    def _find(self, index: int) -> tuple[Shard, int]:
        if not 0 <= index < len(self):
            raise IndexError(f"{self.folder}: has {len(self)} clips, none at {index}")
        number, place = find_shard(self._starts, index)
        return self._shards[number], place
