"""Content Credentials of files: signs them, and reads what credentials they have; one record each."""

import datetime
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..core.audio import OpenedInput, open_input
from ..core.credentialsfinding import ContentKind, CredentialsFinding
from ..core.credentialsrecord import CREDENTIALS_SCHEMA_VERSION, CredentialsRecord, SigningRecord
from ..core.errors import CovoguardError, InputError, UsageError
from ..core.keyfile import utc_now
from ..core.markrecord import TokenMark
from ..core.privatefolder import PrivateFolder
from ..core.scanrecord import path_facts
from ..watermark.credentials.authority import AUTHORITY_NAME, SIGNER_DAYS, make_test_signer, write_signer_folder
from ..watermark.credentials.container import embeddable_format
from ..watermark.credentials.library import library
from ..watermark.credentials.manifest import Claim, MarkBinding, TrainingUse
from ..watermark.credentials.read import credentials_of
from ..watermark.credentials.registry import Registry, default_registry, recover_credentials
from ..watermark.credentials.sign import sign_file
from ..watermark.credentials.signer import ManifestSigner, PemSigner
from ..watermark.credentials.trust import TrustList
from .clip_credentials import signer_folder
from .failure import as_record_error
from .inputs import Source, open_source

SIGNED_INFIX = ".signed"
_DAY_0 = datetime.date(1970, 1, 1)


@dataclass(frozen=True)
class CredentialsReader:
    """Reads credentials of opened files; one serves all threads. Its trust is what it is given."""

    trust: Sequence[TrustList] = ()
    online: bool = False
    registry: Registry | None = field(default_factory=lambda: Registry(default_registry()))
    """Where lost manifests are looked for; None: nowhere."""

    def read(self, opened: OpenedInput, marks: Sequence[MarkBinding] = ()) -> CredentialsFinding:
        """The finding on one file; `marks`: token marks that were found in its sound.

        A file without a manifest of its own gets that of its mark, where the registry has it.
        """
        finding = credentials_of(opened, trust=self.trust, online=self.online)
        if self.registry is None or not marks or (finding.state, finding.validation) != ("absent", None):
            return finding
        return recover_credentials(opened, marks, self.registry, trust=self.trust) or finding


def marks_in(token_mark: TokenMark) -> tuple[MarkBinding, ...]:
    """The marks that a test found in a sound, by which a manifest may be found again."""
    found = []
    for key in token_mark.keys:
        if key.status != "present":
            continue
        read = key.payload
        payload = None
        if read is not None and read.model is not None and read.tenant is not None and read.date is not None:
            payload = (read.model, read.tenant, (datetime.date.fromisoformat(read.date) - _DAY_0).days)
        found.append(MarkBinding(key.key_id, key.epoch, payload))
    return tuple(found)


def configured_trust() -> list[TrustList]:
    """Your own test authority, where `$COVOGUARD_SIGNER` names a signer that has one. Raises as `PemSigner`."""
    folder = signer_folder()
    if folder is None:
        return []
    with PrivateFolder.open(folder) as opened:
        content = None if opened is None else opened.read(AUTHORITY_NAME)
    return [] if content is None else [TrustList.from_pem("your own test authority", content, str(folder))]


def show_credentials(
    sources: Iterable[Source], reader: CredentialsReader, marks: Sequence[MarkBinding] = ()
) -> Iterator[CredentialsRecord]:
    """What credentials each source has, in order. A file that cannot be opened is a record with an error."""
    for source in sources:
        try:
            with open_source(source) as opened:
                sha256, finding, failure = opened.sha256, reader.read(opened, marks), None
        except InputError as error:
            sha256, finding, failure = None, None, as_record_error(error, source.path)
        shown = path_facts(source.path).path
        yield CredentialsRecord(CREDENTIALS_SCHEMA_VERSION, shown, sha256, finding, failure)


@dataclass(frozen=True)
class SigningPlan:
    """What is asserted of all files of a run, and where the signed ones go."""

    content: ContentKind
    agent: str = "covoguard"
    agent_version: str | None = None
    training: TrainingUse = "notAllowed"
    mark: MarkBinding | None = None
    folder: Path | None = None
    """None: beside each file, `clip.signed.wav`, or only the sidecar `clip.c2pa`."""


def sign_files(
    paths: Iterable[Path], plan: SigningPlan, signer: ManifestSigner, registry: Registry
) -> Iterator[SigningRecord]:
    """Sign each file; a file that cannot be signed is a record with an error.

    Files that carry a mark are registered. Raises `CovoguardError` (`output_error`) when the disk is full, and
    `UsageError` for a folder where a file would be signed onto itself.
    """
    library()
    if plan.folder is not None:
        try:
            plan.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{plan.folder}: cannot be made: {error.strerror}; name another folder with -o") from error
    for path in paths:
        try:
            yield _signed(path, plan, signer, registry)
        except CovoguardError as error:
            if not isinstance(error, InputError) and error.code != "signing_failed":
                raise
            failure = as_record_error(InputError(error.message, code=error.code), str(path))
            shown = path_facts(str(path)).path
            yield SigningRecord(CREDENTIALS_SCHEMA_VERSION, shown, None, None, None, None, failure)


def make_signer_folder(folder: Path, name: str) -> None:
    """A test authority and a signer called `name`, in a new private folder.

    Raises `UsageError` for a folder that holds anything or a name that cannot be, `KeyMissing` for one that is open to
    others, `CovoguardError` when it cannot be written.
    """
    now = datetime.datetime.now(datetime.UTC)
    files = make_test_signer(name, now=now, lifetime=datetime.timedelta(days=SIGNER_DAYS))
    with PrivateFolder.make(folder) as opened, opened.locked():
        write_signer_folder(opened, files)


def load_signer(folder: Path | None, chain: Path | None, key: Path | None) -> PemSigner:
    """The signer that was named: a folder, or a chain and its key; without either, the one of `$COVOGUARD_SIGNER`.

    Raises `UsageError` for anything else, `KeyMissing` and `IntegrityError` for a signer that cannot sign.
    """
    if (chain is None) != (key is None) or (folder is not None and chain is not None):
        raise UsageError("name a signer with --signer FOLDER, or with --cert and --key together")
    if chain is not None and key is not None:
        return PemSigner.from_files(chain, key)
    folder = folder or signer_folder()
    if folder is None:
        raise UsageError("no signer; name one with --signer, with --cert and --key, or in $COVOGUARD_SIGNER")
    return PemSigner.from_folder(folder)


def _signed(path: Path, plan: SigningPlan, signer: ManifestSigner, registry: Registry) -> SigningRecord:
    claim = Claim(plan.content, path.name, utc_now(), plan.agent, plan.agent_version, None, plan.training, plan.mark)
    signed = sign_file(path, _target(path, plan.folder), claim, signer)
    if plan.mark is not None:
        registry.add(plan.mark, signed)
    source, output = path_facts(str(path)).path, path_facts(str(signed.path)).path
    sidecar = None if signed.sidecar is None else path_facts(str(signed.sidecar)).path
    label = signed.manifest_label
    return SigningRecord(CREDENTIALS_SCHEMA_VERSION, source, output, sidecar, signed.sha256, label, None)


def _target(path: Path, folder: Path | None) -> Path:
    """Where the signed file goes; where only a sidecar is written, the file itself."""
    if folder is not None:
        return folder / path.name
    with open_input(path) as opened:
        is_embedded = embeddable_format(opened.file) is not None
    return path.with_name(f"{path.stem}{SIGNED_INFIX}{path.suffix}") if is_embedded else path
