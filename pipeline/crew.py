"""Threads that turn sources into records: any number in, one record each out, in input order.

They work ahead of the consumer by a bounded number of files, so memory does not grow with the list.
"""

import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Generic, Self, TypeVar

from .inputs import Source

Record = TypeVar("Record")
MakeRecord = Callable[[int, Source], Record]
"""Makes the record of one source from its number and itself; what it raises ends the whole run."""

LOOK_AHEAD_FILES = 256
"""Files that may be finished or in work before the oldest record is taken: what bounds memory."""


def default_jobs() -> int:
    """One worker per CPU that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Crew(Generic[Record]):
    """One thread that reads the sources, and `jobs` that make records. Use as a context manager."""

    def __init__(
        self, sources: Iterable[Source], jobs: int, hire: Callable[[], AbstractContextManager[MakeRecord[Record]]]
    ) -> None:
        """`hire` is called once in each worker's thread, and what it gives is entered there."""
        self._sources = sources
        self._jobs = jobs
        self._hire = hire
        self._tasks: queue.SimpleQueue[tuple[int, Source, Future[Record]] | None] = queue.SimpleQueue()
        self._in_order: queue.SimpleQueue[Future[Record] | BaseException | None] = queue.SimpleQueue()
        self._slots = threading.Semaphore(LOOK_AHEAD_FILES)
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        """Start the threads."""
        for _ in range(self._jobs):
            threading.Thread(target=self._work, name="covoguard-worker").start()
        # A daemon: it may be waiting for the next line of a list that never comes.
        threading.Thread(target=self._submit_all, name="covoguard-sources", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Start no further file. Threads end with the file that they are at; nobody waits for them."""
        self._stopped.set()
        self._slots.release()
        self._send_home()

    def records(self) -> Iterator[Record]:
        """In the order of the sources. Raises what reading the sources or making a record raised."""
        while (entry := self._in_order.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            yield entry.result()
            self._slots.release()

    def _send_home(self) -> None:
        for _ in range(self._jobs):
            self._tasks.put(None)

    def _submit_all(self) -> None:
        try:
            for seq, source in enumerate(self._sources):
                self._slots.acquire()
                if self._stopped.is_set():
                    return
                record: Future[Record] = Future()
                self._tasks.put((seq, source, record))
                self._in_order.put(record)
        except BaseException as error:
            self._in_order.put(error)  # raised in the consumer's thread
        else:
            self._in_order.put(None)
            self._send_home()

    def _work(self) -> None:
        with self._hire() as make_record:
            while (task := self._tasks.get()) is not None and not self._stopped.is_set():
                seq, source, record = task
                try:
                    record.set_result(make_record(seq, source))
                except BaseException as error:
                    record.set_exception(error)  # raised in the consumer's thread
