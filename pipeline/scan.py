"""Scans files: any number of inputs in, one record each out, in input order.

A few worker threads, each with its own decoder process, work ahead of the consumer by a bounded number of
files. What a file's bytes determine does not depend on the number of workers, bit for bit.
"""

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from ..core.audio import DecodeLimits, VoiceActivity
from ..core.scanrecord import HashChain, Marks, RecordError, ScanRecord, Timing
from ..detect.policy import Policy
from .analysis import FileAnalyser, Methods
from .case import CaseFile
from .crew import Crew, MakeRecord
from .decision import decide_on
from .inputs import Source
from .run import new_run_id, this_tool
from .seen import SeenFiles
from .worker import RunFacts, Worker, depends_on_bytes


def scan(
    sources: Iterable[Source],
    *,
    methods: Methods,
    policy: Policy,
    limits: DecodeLimits,
    jobs: int,
    case_file: CaseFile | None = None,
) -> Generator[ScanRecord]:
    """Records of `sources` in their order, as they become ready. Close the generator to stop early.

    `sources` is read in a thread of its own, so records come out while it waits for more. A file that
    cannot be analysed is a record with an error, whatever happened; only a fault that concerns every file (a
    model that is missing or damaged) is raised. Files with the same bytes are analysed once; the later ones
    say `duplicate_of`. Each record passes `case_file` (None: there is none).
    """
    run = RunFacts(new_run_id(), this_tool(), policy)
    voice_activity = VoiceActivity()
    chain = HashChain()
    with SeenFiles() as seen:
        worker = Worker(run, seen)

        @contextmanager
        def analysing() -> Iterator[MakeRecord[ScanRecord]]:
            with FileAnalyser(methods, limits, voice_activity) as analyser:
                yield partial(worker.record, analyser=analyser)

        with Crew(sources, jobs, analysing) as crew:
            for record in crew.records():
                record = _labelled(record, seen)
                yield chain.link(case_file.enter(record, partial(_failed, policy)) if case_file else record)


def _labelled(record: ScanRecord, seen: SeenFiles) -> ScanRecord:
    """The record, marked as a duplicate where an earlier one has the same bytes."""
    if record.input.sha256 is None or not depends_on_bytes(record):
        return record
    first = seen.first_seq(record.input.sha256, record.seq)
    return record if first == record.seq else replace(record, duplicate_of=first, timing=Timing())


def _failed(policy: Policy, record: ScanRecord, error: RecordError) -> ScanRecord:
    """The record of the same file with nothing found, for this reason."""
    quality, decision = decide_on((), Marks(), None, error, policy)
    return replace(record, quality=quality, detectors=(), marks=Marks(), decision=decision, error=error)
