"""Signs generated clips as soon as they are written. A signer that fails costs the credentials, never the clip."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from ..core.cliprecord import ClipCredentials, ClipRecord
from ..core.errors import CovoguardError
from ..core.keyfile import utc_now
from ..watermark.credentials.library import library
from ..watermark.credentials.manifest import Claim, MarkBinding
from ..watermark.credentials.registry import Registry, default_registry
from ..watermark.credentials.sign import sign_file
from ..watermark.credentials.signer import ManifestSigner, PemSigner

SIGNER_VARIABLE = "COVOGUARD_SIGNER"

logger = logging.getLogger(__name__)


def signer_folder() -> Path | None:
    """The folder that `$COVOGUARD_SIGNER` names; None: no signer is configured."""
    chosen = os.environ.get(SIGNER_VARIABLE)
    return Path(chosen).expanduser() if chosen else None


def load_clip_signing(folder: Path) -> "ClipSigning":
    """Signing with the signer in `folder`, into the default registry.

    Raises `KeyMissing` and `IntegrityError` for a signer that cannot sign, `UsageError` without the C2PA library: all
    before anything is generated.
    """
    library()
    return ClipSigning(PemSigner.from_folder(folder), Registry(default_registry()))


@dataclass(frozen=True)
class ClipSigning:
    """Signs clips in place, and registers those that carry a mark."""

    signer: ManifestSigner
    registry: Registry

    def sign(self, path: Path, record: ClipRecord) -> ClipCredentials:
        """Put credentials into the clip at `path`, which is replaced whole or left as it is. Never raises."""
        try:
            signed = sign_file(path, path, clip_claim(record, path.name), self.signer, in_place=True)
        except CovoguardError as error:
            logger.warning("%s: not signed: %s", path, error.message)
            return ClipCredentials("failed", detail=error.message)
        except Exception as error:  # a signer is foreign code; the clip took minutes
            logger.warning("%s: not signed: %s", path, error, exc_info=logger.isEnabledFor(logging.INFO))
            return ClipCredentials("failed", detail=f"{type(error).__name__}: {error}")
        binding = binding_of_clip(record)
        try:
            if binding is not None:
                self.registry.add(binding, signed)
        except CovoguardError as error:  # the clip is signed all the same
            logger.warning("%s", error.message)
            return ClipCredentials("signed", signed.manifest_label, error.message)
        return ClipCredentials("signed", signed.manifest_label)


def clip_claim(record: ClipRecord, title: str) -> Claim:
    """What is asserted of a clip: generated, by which model, under which mark."""
    return Claim(
        "generated",
        title,
        utc_now(),
        agent=record.generator,
        agent_version=record.model_id.partition("@")[2] or None,
        model_sha256=record.model_sha256,
        mark=binding_of_clip(record),
    )


def binding_of_clip(record: ClipRecord) -> MarkBinding | None:
    """The mark that was put on a clip; None: none."""
    mark = record.mark
    return None if mark is None else MarkBinding(mark.key_id, mark.epoch, mark.payload)
