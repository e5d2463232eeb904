"""The case that a run belongs to: each file is hashed again after it was examined, and entered in the audit log.

`open_case` is what a command enters; `CaseFile.enter` is what every record passes on its way out.
"""

import base64
import contextlib
import hashlib
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from ..core.audio.source import open_input
from ..core.audit.entry import Head
from ..core.audit.keys import AuditKeys
from ..core.audit.log import AuditLog
from ..core.errors import InputError
from ..core.jsonrecord import json_line
from ..core.scanrecord import AuditRef, Case, InputFacts, RecordError, ScanRecord
from ..core.verifyrecord import VerifyRecord
from .inputs import STANDARD_INPUT
from .run import this_tool

Record = TypeVar("Record", ScanRecord, VerifyRecord)


@dataclass(frozen=True)
class CaseFile:
    """Takes in the records of a run, in their order."""

    case: Case | None
    log: AuditLog | None
    """None: the files are hashed again, and nothing is written down."""

    def enter(self, record: Record, failed: Callable[[Record, RecordError], Record]) -> Record:
        """The record with its case, the second hash and its place in the log, where it then stands.

        `failed` makes the record of a file that cannot be relied on: one that changed meanwhile. Raises
        `CovoguardError` (`output_error`) when the log cannot be written.
        """
        record = replace(_hashed_again(record, failed), case=self.case)
        if self.log is None:
            return record
        head = self.log.append("file", file_facts(record))
        return replace(record, audit=AuditRef(self.log.log_id, head.seq, head.sha256, self.log.key_id))

    @property
    def head(self) -> Head | None:
        """The end of the log, also after the run; None without a log."""
        return self.log.head if self.log else None


@contextlib.contextmanager
def open_case(
    case: Case | None, audit_log: Path | None, *, command: str, configuration: Mapping[str, Any]
) -> Iterator[CaseFile | None]:
    """A run of `command` from its first entry to its last; None where there is neither a case nor a log.

    `configuration` is what decides the results, in the types of JSON. Raises as `AuditLog`.
    """
    if audit_log is None:
        yield CaseFile(case, None) if case else None
        return
    facts = run_facts(case, command, configuration)
    with AuditLog(audit_log, AuditKeys.open()) as log, log.run(facts):
        yield CaseFile(case, log)


def run_facts(case: Case | None, command: str, configuration: Mapping[str, Any]) -> dict[str, Any]:
    """What the log says of a run when it begins: all that a repetition needs beside the files."""
    canonical = json.dumps(configuration, sort_keys=True, separators=(",", ":"))
    return {
        "command": command,
        "case": asdict(case) if case else None,
        "tool": asdict(this_tool()),
        "machine": {"platform": platform.platform(), "machine": platform.machine()},
        "configuration": dict(configuration),
        "configuration_sha256": hashlib.sha256(canonical.encode("ascii")).hexdigest(),
    }


def file_facts(record: ScanRecord | VerifyRecord) -> dict[str, Any]:
    """What the log says of a file: its hashes, what was found and by what, and the hash of the whole record.

    `record.sha256` is that of the record's JSON line without `audit` and with a `prev_hash`, where it has one, of null.
    """
    known = record.input
    facts = {
        "input": {
            "path": known.path,
            "path_b64": known.path_b64,
            "sha256": known.sha256,
            "sha256_after": known.sha256_after,
            "size_bytes": known.size_bytes,
        },
        "record": {
            "run_id": record.run_id,
            "seq": record.seq,
            "sha256": hashlib.sha256(json_line(record).encode("ascii")).hexdigest(),
        },
        "error": asdict(record.error) if record.error else None,
    }
    if isinstance(record, VerifyRecord):
        mark, waveform, credentials = record.token_mark, record.waveform_marks or (), record.credentials
        decision, detectors, ledger = record.decision, record.detectors or (), record.ledger
        facts["ledger"] = {"status": ledger.status, "sha256": ledger.ledger_sha256} if ledger else None
    else:
        mark, waveform, credentials = record.marks.token, record.marks.waveform, record.marks.credentials
        decision, detectors = record.decision, record.detectors
    facts["decision"] = asdict(decision) if decision else None
    facts["detectors"] = [
        {"id": each.id, "model_sha256": each.model_sha256, "status": each.status, "log10_lr": each.log10_lr}
        for each in detectors
    ]
    names = ("status", "log10_p", "model", "table_sha256", "recoverer", "recoverer_sha256")
    facts["token_mark"] = {name: getattr(mark, name) for name in names} if mark else None
    facts["waveform_marks"] = [
        {"method": each.traits.method, "model_sha256": each.model_sha256, "status": each.status, "score": each.score}
        for each in waveform
    ]
    facts["credentials"] = (
        {"state": credentials.state, "validation": credentials.validation, "failures": list(credentials.failures)}
        if credentials
        else None
    )
    return facts


def _hashed_again(record: Record, failed: Callable[[Record, RecordError], Record]) -> Record:
    """The record with the hash of what now lies under the path; a failed one where that is not what was examined.

    Through the path and not the descriptor that was read, so that a file put in its place is noticed as well.
    """
    known = record.input
    if known.sha256 is None or known.path == STANDARD_INPUT:
        return record
    try:
        with open_input(_path_of(known)) as opened:
            record = replace(record, input=replace(known, sha256_after=opened.sha256))
            if opened.sha256 == known.sha256:
                return record
            what = "the file's bytes are not those that were examined"
    except InputError as error:
        what = f"after the examination the file could not be read again ({error.code})"
    return failed(record, RecordError("changed_while_read", f"{what}; examine a copy that nothing writes to"))


def _path_of(known: InputFacts) -> Path:
    return Path(os.fsdecode(base64.b64decode(known.path_b64)) if known.path_b64 else known.path)
