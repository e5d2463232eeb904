"""The genuine clips of a store or of a CSV manifest, one by one, as sound at 16 kHz."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..core.audio import AudioReader, DecodeLimits, resample
from ..core.errors import InputError, UsageError
from ..core.rates import DETECTOR_RATE_HZ
from ..core.records import Float32Array
from ..datasets.store import Store, StoreRow
from .candidate_sound import clip_id_of, open_candidate, whole_sound
from .dataset_inputs import Candidate, Claims, candidates_of


@dataclass(frozen=True)
class GenuineClip:
    """One clip of a collection; `read` gives its row, with id and hash, and its samples (n,) at 16 kHz.

    `read` raises `InputError` or `UsageError` for a clip that cannot be used.
    """

    path: str
    read: Callable[[], tuple[StoreRow, Float32Array]]


@contextlib.contextmanager
def open_genuine(collection: Path) -> Iterator[list[GenuineClip]]:
    """The genuine clips of a store or CSV manifest, while it is open; spoofs in it are passed by.

    Raises `UsageError` where it is neither, or holds no genuine clip, and as `Store` and `read_manifest`.
    """
    with contextlib.ExitStack() as opened:
        if collection.suffix == ".csv":
            reader = opened.enter_context(AudioReader(DecodeLimits()))
            listed = list(candidates_of([str(collection)], Claims()))
            clips = [_of_file(each, reader) for each in listed if each.row.label == "bonafide"]
            total = len(listed)
        elif collection.is_file():
            raise UsageError(f"{collection}: neither a store nor a CSV manifest; make a store with `dataset add`")
        else:
            store = opened.enter_context(Store.existing(collection))
            places = [place for place, row in enumerate(store.rows()) if row.label == "bonafide"]
            clips, total = [_of_store(store, place) for place in places], len(store)
        if not clips:
            raise UsageError(
                f"{collection}: none of its {total} clips is genuine, and spoofs are made of genuine speech; give a "
                "collection with the label bonafide"
            )
        yield clips


def _of_store(store: Store, place: int) -> GenuineClip:
    path = str(store.folder / store.path(place))

    def read() -> tuple[StoreRow, Float32Array]:
        if not store.is_whole(place):
            raise InputError(f"{path}: its samples are damaged; put a copy of the shard in its place", code="integrity")
        audio = store.audio(place)
        return store.row(place), resample(audio.samples, audio.rate_hz, DETECTOR_RATE_HZ)

    return GenuineClip(path, read)


def _of_file(candidate: Candidate, reader: AudioReader) -> GenuineClip:
    def read() -> tuple[StoreRow, Float32Array]:
        with open_candidate(candidate) as opened:
            audio = whole_sound(opened, reader, DETECTOR_RATE_HZ)
            row = dataclasses.replace(candidate.row, clip_id=clip_id_of(opened), file_sha256=opened.sha256)
        return row, audio.samples

    return GenuineClip(candidate.source.path, read)
