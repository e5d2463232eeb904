"""Stores of clips from files that exist: add, merge, export."""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..core.audio import AudioReader, DecodeLimits
from ..core.errors import InputError, IntegrityError, UsageError
from ..core.progress import silent
from ..core.protocols import Progress
from ..core.rates import DETECTOR_RATE_HZ
from ..datasets.export import export
from ..datasets.store import SampleType, Store, StoredClip, StoreWriter
from .candidate_sound import clip_id_of, open_candidate, whole_sound
from .dataset_inputs import Candidate, Claims, candidates_of

AddStatus = Literal["added", "already", "failed"]
_MERGE_BATCH_CLIPS = 64


@dataclass(frozen=True)
class AddFailure:
    """Why a file did not become a clip: a code and one sentence."""

    code: str
    message: str


@dataclass(frozen=True)
class AddRecord:
    """What became of one file. The attribute names are the keys of the JSON form."""

    path: str
    status: AddStatus
    clip_id: str | None
    """None when it failed."""
    duration_s: float | None
    """None unless it was added now."""
    token_mark: bool | None
    """Whether the clip carries a token mark; None unless it was added now."""
    error: AddFailure | None


def add_clips(
    inputs: Iterable[str], folder: Path, claims: Claims, *, rate_hz: int = DETECTOR_RATE_HZ,
    sample_type: SampleType = "int16",
) -> Iterator[AddRecord]:  # fmt: skip
    """Add what `candidates_of` finds to the store in `folder`, mono at `rate_hz` (at most 16 kHz); a record for each.

    A clip is safe on the disk when its record comes. A file whose bytes are there already is passed by, so the same
    command goes on where it was stopped; a file that cannot be used is a record with an error. Raises what
    `candidates_of` and `StoreWriter` raise.
    """
    if not 0 < rate_hz <= DETECTOR_RATE_HZ:
        raise UsageError(f"a rate of {rate_hz} Hz; sound is decoded at {DETECTOR_RATE_HZ} Hz, so give that or less")
    with StoreWriter.open(folder, sample_type=sample_type) as writer, AudioReader(DecodeLimits()) as reader:
        for candidate in candidates_of(inputs, claims):
            try:
                yield _added(candidate, writer, reader, rate_hz)
            except (InputError, UsageError) as error:
                failure = AddFailure(error.code, error.message)
                yield AddRecord(candidate.source.path, "failed", None, None, None, failure)


def merge_stores(folders: Sequence[Path], folder: Path, progress: Progress = silent) -> tuple[int, int]:
    """Copy the clips of stores into the store in `folder`; -> (clips copied, clips that were there already).

    Clips are kept as float32 where one of the stores does so. Repeated, it goes on where it was stopped. Raises
    `UsageError` for two clips of one id, `IntegrityError` for a clip whose samples were damaged.
    """
    if folder.resolve() in {each.resolve() for each in folders}:
        raise UsageError(f"{folder}: is one of the stores to merge; name another folder with -o")
    copied = seen = 0
    with contextlib.ExitStack() as opened:
        stores = [opened.enter_context(Store.existing(each)) for each in folders]
        total = sum(map(len, stores))
        sample_type: SampleType = "float32" if any("float32" in store.sample_types() for store in stores) else "int16"
        writer = opened.enter_context(StoreWriter.open(folder, sample_type=sample_type))
        for store in stores:
            for first in range(0, len(store), _MERGE_BATCH_CLIPS):
                batch = list(range(first, min(first + _MERGE_BATCH_CLIPS, len(store))))
                keys = {str(store.row(index).key): index for index in reversed(batch)}
                missing = {key: index for key, index in keys.items() if not writer.has(key)}
                writer.add_all([_whole(store, index) for index in sorted(missing.values())])
                copied, seen = copied + len(missing), seen + len(batch) - len(missing)
                progress(copied + seen, total, "merging")
    return copied, seen


def export_store(store_folder: Path, folder: Path, layout: str, progress: Progress = silent) -> int:
    """Write the clips of a store in one of `datasets.export.LAYOUTS`; -> number of clips.

    Raises `IntegrityError` for a clip whose samples were damaged, `UsageError` for a folder that is not empty.
    """
    with Store.existing(store_folder) as store:

        def clips() -> Iterator[StoredClip]:
            for index in range(len(store)):
                yield _whole(store, index)
                progress(index + 1, len(store), "exporting")

        return export(clips(), folder, layout)


def _added(candidate: Candidate, writer: StoreWriter, reader: AudioReader, rate_hz: int) -> AddRecord:
    """Raises `InputError` or `UsageError` for what concerns this file alone."""
    path = candidate.source.path
    with open_candidate(candidate) as opened:
        clip_id = clip_id_of(opened)
        if writer.has(opened.sha256):
            return AddRecord(path, "already", clip_id, None, None, None)
        audio = whole_sound(opened, reader, rate_hz)
    row = dataclasses.replace(candidate.row, clip_id=clip_id, file_sha256=opened.sha256)
    row = writer.add(StoredClip(row, audio, candidate.token_ids))
    return AddRecord(path, "added", clip_id, row.duration_s, row.mark is not None, None)


def _whole(store: Store, index: int) -> StoredClip:
    """A clip that is what was stored."""
    if not store.is_whole(index):
        raise IntegrityError(
            f"{store.folder / store.path(index)}: its samples are damaged; put a copy of the shard in its place, or "
            "take the shard away and add its clips again"
        )
    return store.clip(index)
