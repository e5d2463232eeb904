"""Builds a store of spoofs: of genuine clips and of prompts, damaged alike, made by many and written by one."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ..core.errors import UsageError
from ..core.protocols import Generator
from ..datasets.store import Store, StoredClip, StoreRow, StoreWriter
from .build_copies import CopyHire, is_same
from .build_plan import GENERATE, Attempt, BuildPlan, BuildRecord, SpeechOrder, failed
from .build_speech import SpeechHire, SpeechMaker, open_speech
from .genuine_clips import open_genuine
from .in_order import in_order, one_thread


def build_spoofs(
    collection: Path | None, folder: Path, plan: BuildPlan, *, speech: tuple[SpeechOrder, Generator] | None = None,
    jobs: int = 1,
) -> Iterator[BuildRecord]:  # fmt: skip
    """Make what `plan` says into the store in `folder`; a record for each clip.

    Spoofs are made of the genuine clips of `collection`, a store or CSV manifest, and of `speech`: prompts and the
    generator that says them. All that one genuine clip or one prompt gives is committed at once. What is there
    already is not made again, so the same command goes on where it was stopped; what cannot be made is a record with
    an error. The clips are the same for any number of `jobs`, the processes that make them. Generated speech keeps
    its rate, all else is mono at 16 kHz. Raises `UsageError` for a plan that lacks its prompts or its collection, for
    a collection without genuine clips, and for a store that holds these clips made otherwise; and what the methods,
    the generator and `StoreWriter` raise.
    """
    _check(collection, folder, plan, speech is not None)
    with contextlib.ExitStack() as opened:
        copies = opened.enter_context(_copies(collection, folder, plan, jobs)) if collection is not None else None
        maker = opened.enter_context(open_speech(speech[0], plan, speech[1])) if speech is not None else None
        if maker is not None:
            _check_speech(maker, jobs)
        shelf = _Shelf(opened.enter_context(StoreWriter.open(folder)))
        for attempts in copies or ():
            yield from shelf.put(attempts)
        if maker is not None and speech is not None:
            yield from _spoken(maker, SpeechHire(speech[0], plan), shelf, jobs)


def _check(collection: Path | None, folder: Path, plan: BuildPlan, has_speech: bool) -> None:
    needs = [*plan.copy_methods, *(["--keep-bonafide"] if plan.keep_bonafide else [])]
    if needs and collection is None:
        raise UsageError(f"{needs[0]} needs genuine speech; name a store or CSV manifest of it")
    if collection is not None and not needs:
        raise UsageError(f"{collection}: nothing is made of it; leave it out, or add --keep-bonafide")
    if collection is not None and folder.resolve() == collection.resolve():
        raise UsageError(f"{folder}: is the collection itself; name a new store with -o")
    if has_speech != (GENERATE in plan.methods):
        raise UsageError("--spoof generate and the prompts that are to be said go together; give both or neither")


@contextlib.contextmanager
def _copies(collection: Path, folder: Path, plan: BuildPlan, jobs: int) -> Iterator[Iterable[list[Attempt]]]:
    """What is made of each genuine clip. Whatever is wrong with all of them is told before anything is written."""
    hire = CopyHire(collection, folder, plan)
    with open_genuine(collection) as clips:
        places = range(len(clips))
    if jobs > 1:
        plan.open_methods()
        with contextlib.closing(in_order(places, hire, jobs)) as made:
            yield made
        return
    with hire() as make:
        one_thread()
        yield (make(place) for place in places)


def _check_speech(maker: SpeechMaker, jobs: int) -> None:
    maker.check_consent()
    if maker.makes_many and jobs > 1:
        raise UsageError("this generator makes many clips at a time in one process; leave --jobs out, see --batch")


def _spoken(maker: SpeechMaker, hire: SpeechHire, shelf: "_Shelf", jobs: int) -> Iterator[BuildRecord]:
    """The clips of all prompts: first those that are there, then those that are made."""
    missing = []
    for place in maker.places():
        there = shelf.rows(maker.clip_ids(place))
        if there is None:
            missing.append(place)
        else:
            yield from shelf.put([Attempt(maker.path(place), GENERATE, row=row) for row in there])
    if jobs > 1:
        with contextlib.closing(in_order(missing, hire, jobs)) as made:
            for attempts in made:
                yield from shelf.put(attempts)
        return
    if not maker.makes_many:
        one_thread()
    for attempts in maker.attempts(missing):
        yield from shelf.put(attempts)


class _Shelf:
    """The store as the one writer of it sees it."""

    def __init__(self, writer: StoreWriter) -> None:
        self._writer = writer
        with Store(writer.folder) as earlier:
            self._there = {row.clip_id: row for row in earlier.rows()}

    def rows(self, clip_ids: Sequence[str]) -> list[StoreRow] | None:
        """The rows of these clips; None where one is missing."""
        found = [self._there[clip_id] for clip_id in clip_ids if clip_id in self._there]
        return found if len(found) == len(clip_ids) else None

    def put(self, attempts: Sequence[Attempt]) -> list[BuildRecord]:
        """Commit what is new, all at once; -> the records, which are then true of the disk."""
        new: dict[str, StoredClip] = {}
        records = []
        for attempt in attempts:
            row = attempt.row if attempt.clip is None else attempt.clip.row
            if row is None:
                records.append(_record(attempt))
            elif (there := self._there.get(row.clip_id)) is not None and is_same(self._writer.folder, there, row):
                records.append(_record(attempt, there))
            elif attempt.clip is not None:
                new[row.clip_id] = attempt.clip
                records.append(_record(attempt))
        try:
            stored = self._writer.add_all(list(new.values()))
        except UsageError as error:  # a split or an id that no store takes
            return [_record(failed(attempts[0].path, None, error))]
        self._there |= {row.clip_id: row for row in stored}
        return records


def _record(attempt: Attempt, there: StoreRow | None = None) -> BuildRecord:
    """Of a clip that is `there`, of one that is new, or of one that failed."""
    path, method = attempt.path, attempt.method
    if there is not None:
        return BuildRecord(path, "already", there.clip_id, method, there.degradations, None, None)
    if attempt.clip is None:
        return BuildRecord(path, "failed", None, method, (), None, attempt.error)
    row, audio = attempt.clip.row, attempt.clip.audio
    return BuildRecord(path, "added", row.clip_id, method, row.degradations, audio.duration_s, None)
