"""Scans files: any number of inputs in, one record each out, in input order.

A few worker threads, each with its own decoder process, work ahead of the consumer by a bounded number of
files. What a file's bytes determine does not depend on the number of workers, bit for bit.
"""

import os
import platform
import queue
import secrets
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType

from ..core.audio import DecodeLimits, VoiceActivity
from ..core.protocols import Scorer
from ..core.scanrecord import Case, HashChain, ScanRecord, Timing, Tool
from ..core.version import __version__
from ..detect.policy import Policy
from .analysis import FileAnalyser
from .inputs import Source
from .seen import SeenFiles
from .worker import RunFacts, Worker, depends_on_bytes

LOOK_AHEAD_FILES = 256
"""Files that may be finished or in work before the oldest record is taken: what bounds memory."""


def default_jobs() -> int:
    """One worker per CPU that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def scan(
    sources: Iterable[Source],
    *,
    scorer: Scorer,
    policy: Policy,
    limits: DecodeLimits,
    jobs: int,
    case: Case | None = None,
) -> Generator[ScanRecord]:
    """Records of `sources` in their order, as they become ready. Close the generator to stop early.

    `sources` is read in a thread of its own, so records come out while it waits for more. A file that
    cannot be analysed is a record with an error, whatever happened; only a fault that concerns every file (a
    model that is missing or damaged) is raised. Files with the same bytes are analysed once; the later ones
    say `duplicate_of`.
    """
    run = RunFacts(_new_run_id(), case, _tool(), policy)
    chain = HashChain()
    with SeenFiles() as seen, _Crew(sources, jobs, run, seen, scorer, limits) as crew:
        for record in crew.records():
            yield chain.link(_labelled(record, seen))


def _new_run_id() -> str:
    """Start time in UTC and a random part: sortable, and unique without coordination."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(4)}"


def _tool() -> Tool:
    try:
        onnxruntime = version("onnxruntime")
    except PackageNotFoundError:
        onnxruntime = None
    return Tool(version=__version__, python=platform.python_version(), onnxruntime=onnxruntime)


def _labelled(record: ScanRecord, seen: SeenFiles) -> ScanRecord:
    """The record, marked as a duplicate where an earlier one has the same bytes."""
    if record.input.sha256 is None or not depends_on_bytes(record):
        return record
    first = seen.first_seq(record.input.sha256, record.seq)
    return record if first == record.seq else replace(record, duplicate_of=first, timing=Timing())


class _Crew:
    """The threads of a scan: one that reads the sources, and `jobs` that turn them into records."""

    def __init__(
        self,
        sources: Iterable[Source],
        jobs: int,
        run: RunFacts,
        seen: SeenFiles,
        scorer: Scorer,
        limits: DecodeLimits,
    ) -> None:
        self._sources = sources
        self._worker = Worker(run, seen)
        self._scorer = scorer
        self._limits = limits
        self._voice_activity = VoiceActivity()
        self._tasks: queue.SimpleQueue[tuple[int, Source, Future[ScanRecord]] | None] = queue.SimpleQueue()
        self._in_order: queue.SimpleQueue[Future[ScanRecord] | BaseException | None] = queue.SimpleQueue()
        self._slots = threading.Semaphore(LOOK_AHEAD_FILES)
        self._stopped = threading.Event()
        self._jobs = jobs

    def __enter__(self) -> "_Crew":
        for _ in range(self._jobs):
            threading.Thread(target=self._work, name="covoguard-scan").start()
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

    def records(self) -> Iterator[ScanRecord]:
        """In the order of the sources."""
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
                record: Future[ScanRecord] = Future()
                self._tasks.put((seq, source, record))
                self._in_order.put(record)
        except BaseException as error:
            self._in_order.put(error)  # raised in the consumer's thread
        else:
            self._in_order.put(None)
            self._send_home()

    def _work(self) -> None:
        with FileAnalyser(self._scorer, self._limits, self._voice_activity) as analyser:
            while (task := self._tasks.get()) is not None and not self._stopped.is_set():
                seq, source, record = task
                try:
                    record.set_result(self._worker.record(seq, source, analyser))
                except BaseException as error:
                    record.set_exception(error)  # raised in the consumer's thread
