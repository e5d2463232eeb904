"""Verifies files: what can be known of where they come from, one record each, in input order."""

import logging
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from ..core.audio import DecodeLimits, VoiceActivity
from ..core.errors import InputError, IntegrityError, ModelMissing
from ..core.jsonrecord import json_line
from ..core.scanrecord import Marks, RecordError, Tool, path_facts
from ..core.verifyrecord import VERIFY_SCHEMA_VERSION, VerifyRecord, VerifyTiming
from ..detect.policy import Policy
from .analysis import FileAnalyser, Findings, Methods
from .case import CaseFile
from .crew import Crew, MakeRecord
from .decision import decide_on
from .failure import as_record_error, internal_error
from .inputs import Source, open_source
from .ledger import LedgerChecker
from .run import new_run_id, this_tool

logger = logging.getLogger(__name__)


def verify(
    sources: Iterable[Source],
    *,
    methods: Methods,
    limits: DecodeLimits,
    jobs: int,
    policy: Policy | None = None,
    ledger: LedgerChecker | None = None,
    case_file: CaseFile | None = None,
) -> Generator[VerifyRecord]:
    """Records of `sources` in their order, as they become ready. Close the generator to stop early.

    `policy` makes the verdict (None: there is none; without a detector among the `methods` there should be none).
    `ledger` is looked into for each file's hash as well (None: there is none); what it says stands by itself. Each
    record passes `case_file` (None: there is none).
    A file that cannot be read is a record with an error; only what concerns every file (a model that is missing
    or damaged) is raised.
    """
    run_id, tool, voice_activity = new_run_id(), this_tool(), VoiceActivity()

    @contextmanager
    def verifying() -> Iterator[MakeRecord[VerifyRecord]]:
        with FileAnalyser(methods, limits, voice_activity) as analyser:
            yield _Verifier(run_id, tool, methods, policy, analyser, ledger).record

    with Crew(sources, jobs, verifying) as crew:
        for record in crew.records():
            yield case_file.enter(record, partial(_failed, policy)) if case_file else record


def _failed(policy: Policy | None, record: VerifyRecord, error: RecordError) -> VerifyRecord:
    """The record of the same file with nothing found, for this reason."""
    decision = decide_on((), Marks(), None, error, policy)[1] if policy else None
    return replace(
        record, token_mark=None, waveform_marks=None, credentials=None, quality=None, detectors=None, examined=None,
        decision=decision, ledger=None, error=error,
    )  # fmt: skip


@dataclass(frozen=True)
class _Verifier:
    """Makes records in one thread."""

    run_id: str
    tool: Tool
    methods: Methods
    policy: Policy | None
    analyser: FileAnalyser
    ledger: LedgerChecker | None

    def record(self, seq: int, source: Source) -> VerifyRecord:
        """The record of one source. Raises only what concerns every file."""
        blank = VerifyRecord(
            VERIFY_SCHEMA_VERSION, self.run_id, seq, path_facts(source.path), None, None, VerifyTiming(), self.tool
        )
        known, listed = blank, None
        try:
            started = time.perf_counter()
            with open_source(source) as opened:
                facts = replace(blank.input, sha256=opened.sha256, size_bytes=opened.size_bytes)
                hash_s = time.perf_counter() - started
                listed = self.ledger.check(opened.sha256) if self.ledger else None
                known = replace(blank, input=facts, ledger=listed)
                record = self._verified(known, self.analyser.analyse(opened, facts), hash_s)
            json_line(record)  # a number that JSON cannot hold is a failure of this file, here
            return record
        except InputError as error:
            failure = error
        except (ModelMissing, IntegrityError):
            raise
        except Exception as error:
            logger.info("failure on %s", source.path, exc_info=True)
            failure = internal_error(error)
        return replace(_failed(self.policy, known, as_record_error(failure, source.path)), ledger=listed)

    def _verified(self, record: VerifyRecord, found: Findings, hash_s: float) -> VerifyRecord:
        quality, decision = found.quality, None
        if self.policy is not None:
            quality, decision = decide_on(found.detectors, found.marks, quality, found.error, self.policy)
        steps, heard = found.timing, found.error is None
        return replace(
            record,
            input=found.input,
            token_mark=found.marks.token,
            waveform_marks=found.marks.waveform if self.methods.waveform_marks and heard else None,
            credentials=found.marks.credentials,
            quality=quality,
            detectors=found.detectors if self.methods.scorer and heard else None,
            examined=found.examined,
            decision=decision,
            error=found.error,
            timing=VerifyTiming(
                hash_s, steps.decode_s, steps.marks_s, steps.quality_s, steps.score_s, steps.second_look_s
            ),
        )
