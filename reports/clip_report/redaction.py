"""A record that can be handed on: the evidence stays, what tells whose file it is goes."""

import hashlib
from dataclasses import replace

from ...core.credentialsfinding import CredentialAction, CredentialsFinding
from ...core.observationrecord import Examined
from ...core.reasons import REASONS
from ...core.scanrecord import RecordError, ScanRecord

GONE = "(left out)"
_IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"


def redacted(record: ScanRecord) -> ScanRecord:
    """Without case, names, and any text that the file's maker or owner wrote; of paths their hashes.

    Hashes of the file, figures, marks and codes stay. Whoever guesses a path can confirm it by its hash.
    """
    error, marks = record.error, record.marks
    waveform = (replace(each, detail=each.detail and GONE) for each in marks.waveform)
    return replace(
        record,
        case=None,
        input=replace(record.input, path=_hashed(record.input.path), path_b64=None),
        marks=replace(
            marks,
            waveform=tuple(waveform),
            credentials=_without_names(marks.credentials) if marks.credentials else None,
        ),
        error=RecordError(error.code, REASONS[error.code].meaning) if error else None,
        prev_hash=None,  # of a line with a path and a case in it: a guess at these could be confirmed
    )


def redacted_examined(examined: Examined) -> Examined:
    """Without what was seen in words: it may quote the file's tags."""
    return replace(examined, observations=tuple(replace(each, seen=GONE) for each in examined.observations))


def _hashed(path: str) -> str:
    return f"sha256:{hashlib.sha256(path.encode('utf-8', 'surrogateescape')).hexdigest()}"


def _without_names(finding: CredentialsFinding) -> CredentialsFinding:
    manifest = finding.manifest
    if manifest is not None:
        manifest = replace(
            manifest, label=GONE, title=None, claim_generator=None, signer=None, issuer=None, trust_list=None,
            actions=tuple(map(_standard, manifest.actions)), soft_bindings=(), remarks=(),
        )  # fmt: skip
    return replace(
        finding,
        words=REASONS[finding.reason].meaning if finding.reason in REASONS else GONE,
        manifest=manifest,
        sidecar=_hashed(finding.sidecar) if finding.sidecar else None,
    )


def _standard(action: CredentialAction) -> CredentialAction:
    """What it says in the words of the standards; a signer may have put anything in their place."""
    source = action.digital_source_type or ""
    return CredentialAction(
        action.action if action.action.startswith("c2pa.") else GONE, source if source.startswith(_IPTC) else None, None
    )
