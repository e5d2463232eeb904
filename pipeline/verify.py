"""Verifies files: are they marked under the keys at hand, how surely, and where; one record each, in input order."""

import logging
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from ..core.audio import AudioReader, DecodeLimits, OpenedInput
from ..core.errors import InputError, IntegrityError, ModelMissing
from ..core.jsonrecord import json_line
from ..core.scanrecord import RecordError, Tool, path_facts
from ..core.verifyrecord import VERIFY_SCHEMA_VERSION, VerifyRecord, VerifyTiming
from .analysis import with_source
from .case import CaseFile
from .crew import Crew, MakeRecord
from .inputs import Source, open_source
from .ledger import LedgerChecker
from .mark_evidence import ChecksMarks
from .run import new_run_id, this_tool
from .worker import as_record_error, internal_error

logger = logging.getLogger(__name__)


def verify(
    sources: Iterable[Source],
    *,
    checker: ChecksMarks,
    limits: DecodeLimits,
    jobs: int,
    ledger: LedgerChecker | None = None,
    case_file: CaseFile | None = None,
) -> Generator[VerifyRecord]:
    """Records of `sources` in their order, as they become ready. Close the generator to stop early.

    `ledger` is looked into for each file's hash as well (None: there is none); what it says stands by itself. Each
    record passes `case_file` (None: there is none).
    A file that cannot be read is a record with an error; only what concerns every file (a model that is missing
    or damaged) is raised.
    """
    run_id, tool = new_run_id(), this_tool()

    @contextmanager
    def verifying() -> Iterator[MakeRecord[VerifyRecord]]:
        with AudioReader(limits) as reader:
            yield _Verifier(run_id, tool, checker, reader, ledger).record

    with Crew(sources, jobs, verifying) as crew:
        for record in crew.records():
            yield case_file.enter(record, _failed) if case_file else record


def _failed(record: VerifyRecord, error: RecordError) -> VerifyRecord:
    """The record of the same file with nothing found, for this reason."""
    return replace(record, token_mark=None, ledger=None, error=error)


@dataclass(frozen=True)
class _Verifier:
    """Makes records in one thread."""

    run_id: str
    tool: Tool
    checker: ChecksMarks
    reader: AudioReader
    ledger: LedgerChecker | None

    def record(self, seq: int, source: Source) -> VerifyRecord:
        """The record of one source. Raises only what concerns every file."""
        blank = VerifyRecord(
            VERIFY_SCHEMA_VERSION, self.run_id, seq, path_facts(source.path), None, None, VerifyTiming(), self.tool
        )
        facts, listed = blank.input, None
        try:
            started = time.perf_counter()
            with open_source(source) as opened:
                facts = replace(facts, sha256=opened.sha256, size_bytes=opened.size_bytes)
                hashed_at = time.perf_counter()
                listed = self.ledger.check(opened.sha256) if self.ledger else None
                record = self._verified(replace(blank, input=facts, ledger=listed), opened, hashed_at - started)
            json_line(record)  # a number that JSON cannot hold is a failure of this file, here
            return record
        except InputError as error:
            failure = error
        except (ModelMissing, IntegrityError):
            raise
        except Exception as error:
            logger.info("failure on %s", source.path, exc_info=True)
            failure = internal_error(error)
        return replace(blank, input=facts, error=as_record_error(failure, source.path), ledger=listed)

    def _verified(self, record: VerifyRecord, opened: OpenedInput, hash_s: float) -> VerifyRecord:
        opened_at = time.perf_counter()
        decoded = self.reader.read(opened)
        decoded_at = time.perf_counter()
        token_mark = self.checker.check(decoded.audio)
        timing = VerifyTiming(hash_s, decoded_at - opened_at, time.perf_counter() - decoded_at)
        return replace(record, input=with_source(record.input, decoded.facts), token_mark=token_mark, timing=timing)
