"""CSV for spreadsheets: one flat row per record, without segments; of several detectors, the first."""

import csv
import io
from collections.abc import Sequence
from typing import BinaryIO

from ..core.credentialsfinding import CredentialsFinding
from ..core.markrecord import TokenMark
from ..core.scanrecord import Case, DetectorResult, ScanRecord
from .text import printable

Cell = str | int | float | None

COLUMNS = (
    "seq", "path", "verdict", "reasons", "log10_lr", "posterior", "prior", "score", "detector_id",
    "detector_status", "duration_s", "declared_duration_s", "speech_s", "snr_db", "bandwidth_hz",
    "clipping_share", "quality_flags", "domain", "domain_share_further_out",
    "stability_range_log10_lr", "token_mark", "token_mark_log10_p", "token_mark_seconds", "token_mark_key_id",
    "token_mark_epoch", "container", "codec", "sample_rate_hz", "channels", "size_bytes",
    "sha256", "duplicate_of", "error_code", "error_message", "policy_id", "policy_sha256", "model_sha256",
    "case_id", "case_item", "case_examiner", "run_id", "tool_version", "sha256_after", "audit_log_id", "audit_seq",
    "audit_sha256", "waveform_marks", "credentials", "credentials_signer", "credentials_say", "credentials_trust_list",
)  # fmt: skip

_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class CsvWriter:
    """Writes a header and one row per record, each flushed.

    Lists are joined with spaces; unknown is empty.
    """

    def __init__(self, stream: BinaryIO) -> None:
        """Write UTF-8 to a binary stream; the caller closes it."""
        self._stream = stream
        self._write_row(COLUMNS)

    def write(self, record: ScanRecord) -> None:
        """One row."""
        row = flat_row(record)
        self._write_row([row[name] for name in COLUMNS])

    def finish(self) -> None:
        """Nothing is left to write."""

    def _write_row(self, cells: Sequence[Cell]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerow(cells)
        self._stream.write(text.getvalue().encode("utf-8"))
        self._stream.flush()


def flat_row(record: ScanRecord) -> dict[str, Cell]:
    """The record's cells by column name."""
    decision, quality, case = record.decision, record.quality, record.case or Case(None, None, None)
    detector = record.detectors[0] if record.detectors else DetectorResult("", None, "", None, None, ())
    facts = record.input
    return {
        "seq": record.seq,
        "path": _text_cell(facts.path),
        "verdict": decision.verdict,
        "reasons": " ".join(decision.reasons),
        "log10_lr": detector.log10_lr,
        "posterior": decision.posterior,
        "prior": decision.prior,
        "score": detector.score,
        "detector_id": detector.id,
        "detector_status": detector.status,
        "duration_s": facts.duration_s,
        "declared_duration_s": facts.declared_duration_s,
        "speech_s": quality.speech_s if quality else None,
        "snr_db": quality.snr_db if quality else None,
        "bandwidth_hz": quality.bandwidth_hz if quality else None,
        "clipping_share": quality.clipping_share if quality else None,
        "quality_flags": " ".join(quality.flags) if quality else None,
        "domain": detector.domain.verdict if detector.domain else None,
        "domain_share_further_out": detector.domain.share_further_out if detector.domain else None,
        "stability_range_log10_lr": detector.stability.range_log10_lr if detector.stability else None,
        **_mark_cells(record.marks.token),
        "container": facts.container,
        "codec": facts.codec,
        "sample_rate_hz": facts.sample_rate_hz,
        "channels": facts.channels,
        "size_bytes": facts.size_bytes,
        "sha256": facts.sha256,
        "duplicate_of": record.duplicate_of,
        "error_code": record.error.code if record.error else None,
        "error_message": _text_cell(record.error.message) if record.error else None,
        "policy_id": decision.policy.id,
        "policy_sha256": decision.policy.sha256,
        "model_sha256": detector.model_sha256,
        "case_id": _text_cell(case.id),
        "case_item": _text_cell(case.item),
        "case_examiner": _text_cell(case.examiner),
        "run_id": record.run_id,
        "tool_version": record.tool.version,
        "sha256_after": facts.sha256_after,
        "audit_log_id": record.audit.log_id if record.audit else None,
        "audit_seq": record.audit.seq if record.audit else None,
        "audit_sha256": record.audit.sha256 if record.audit else None,
        "waveform_marks": " ".join(f"{each.traits.method}:{each.status}" for each in record.marks.waveform) or None,
        **_credentials_cells(record.marks.credentials),
    }


def _credentials_cells(finding: CredentialsFinding | None) -> dict[str, Cell]:
    manifest = finding.manifest if finding else None
    return {
        "credentials": finding.state if finding else None,
        "credentials_signer": _text_cell(manifest.signer) if manifest else None,
        "credentials_say": manifest.content if manifest else None,
        "credentials_trust_list": _text_cell(manifest.trust_list) if manifest else None,
    }


def _mark_cells(mark: TokenMark | None) -> dict[str, Cell]:
    """The strongest reading, and the key that it is attributed to; all empty where marks were not looked for."""
    found = [key for key in mark.keys if key.status == "present" and key.log10_p is not None] if mark else []
    key = min(found, key=lambda each: each.log10_p or 0.0, default=None)
    return {
        "token_mark": mark.status if mark else None,
        "token_mark_log10_p": mark.log10_p if mark else None,
        "token_mark_seconds": mark.seconds_used if mark else None,
        "token_mark_key_id": key.key_id if key else None,
        "token_mark_epoch": key.epoch if key else None,
    }


def _text_cell(text: str | None) -> str | None:
    """Foreign text on one line, and never a formula: a spreadsheet would run `=...` in a file's name."""
    if text is None:
        return None
    return printable("'" + text if text.startswith(_STARTS_FORMULA) else text)
