"""Makes one record from one source, in any of several threads, and never fails for one file's sake."""

import logging
import time
from dataclasses import dataclass, replace

from ..core.audio import OpenedInput
from ..core.errors import InputError, IntegrityError, ModelMissing
from ..core.scanrecord import (
    SCHEMA_VERSION,
    InputFacts,
    ScanRecord,
    Timing,
    Tool,
    path_facts,
    record_line,
)
from ..detect.policy import Policy
from .analysis import FileAnalyser, Findings
from .decision import decide_on
from .failure import as_record_error, internal_error
from .inputs import Source, open_source
from .seen import SeenFiles

logger = logging.getLogger(__name__)

NOT_OF_THE_BYTES = frozenset({"changed_while_read", "read_error", "internal_error"})
"""Failures that say nothing about another file with the same bytes."""


def depends_on_bytes(record: ScanRecord) -> bool:
    """Whether another file with the same bytes would get the same record."""
    return record.error is None or record.error.code not in NOT_OF_THE_BYTES


@dataclass(frozen=True)
class RunFacts:
    """What all records of a run share."""

    run_id: str
    tool: Tool
    policy: Policy

    def record(self, seq: int, findings: Findings) -> ScanRecord:
        """The record of one file, without its case and its place in the hash chain."""
        quality, decision = decide_on(findings.detectors, findings.marks, findings.quality, findings.error, self.policy)
        return ScanRecord(
            schema_version=SCHEMA_VERSION,
            run_id=self.run_id,
            seq=seq,
            case=None,
            input=findings.input,
            quality=quality,
            detectors=findings.detectors,
            marks=findings.marks,
            decision=decision,
            error=findings.error,
            duplicate_of=None,
            timing=findings.timing,
            tool=self.tool,
            prev_hash=None,
        )


class Worker:
    """Turns sources into records; one for all threads of a scan."""

    def __init__(self, run: RunFacts, seen: SeenFiles) -> None:
        """`seen` is what the threads share."""
        self._run = run
        self._seen = seen

    def record(self, seq: int, source: Source, analyser: FileAnalyser) -> ScanRecord:
        """The record of one source. Raises only what concerns every file: a missing or damaged model."""
        known = path_facts(source.path)
        try:
            started = time.perf_counter()
            with open_source(source) as opened:
                known = replace(known, sha256=opened.sha256, size_bytes=opened.size_bytes)
                hash_s = round(time.perf_counter() - started, 6)
                return self._once_per_content(seq, opened, known, analyser, hash_s)
        except InputError as error:
            return self._run.record(seq, _failed(known, error, source.path))
        except (ModelMissing, IntegrityError):
            raise
        except Exception as error:
            logger.info("failure on %s", source.path, exc_info=True)
            return self._run.record(seq, _failed(known, internal_error(error), source.path))

    def _once_per_content(
        self, seq: int, opened: OpenedInput, known: InputFacts, analyser: FileAnalyser, hash_s: float
    ) -> ScanRecord:
        """The record, made here or taken from another file with the same bytes."""
        earlier = self._seen.claim(opened.sha256)
        if earlier is not None:
            facts = replace(earlier.input, path=known.path, path_b64=known.path_b64)
            return replace(earlier, seq=seq, input=facts)
        settled = None
        try:
            findings = analyser.analyse(opened, known)
            record = self._run.record(seq, replace(findings, timing=replace(findings.timing, hash_s=hash_s)))
            record_line(record)  # a number that JSON cannot hold is a failure of this file, here
            settled = record if depends_on_bytes(record) else None
            return record
        finally:
            self._seen.settle(opened.sha256, settled)


def _failed(known: InputFacts, error: InputError, path: str) -> Findings:
    return Findings(known, None, (), Timing(), as_record_error(error, path))
