"""Reads Content Credentials: inside the file, beside it, or found again through a mark in the sound.

Nothing is fetched unless `online`. Valid is not trusted: whether a signer is known depends on the lists given.
"""

from collections.abc import Sequence
from pathlib import Path

from ...core.audio import OpenedInput, open_input
from ...core.audio.sniff import HEAD_BYTES, is_known_media
from ...core.credentialsfinding import CredentialsFinding, CredentialState, ManifestFacts, Validation
from ...core.errors import InputError
from ...core.scanrecord import path_facts
from .container import embeddable_format, sidecars_to_read
from .facts import manifest_facts, status_codes
from .library import is_installed, library, read_report
from .trust import TrustList

MAX_SIDECAR_BYTES = 16 << 20
CONTENT_CODES = ("assertion.dataHash.mismatch", "assertion.bmffHash.mismatch", "assertion.boxesHash.mismatch")
"""C2PA's codes for bytes that are not those that were signed."""
_UNTRUSTED, _TRUSTED, _EXPIRED = "signingCredential.untrusted", "signingCredential.trusted", "signingCredential.expired"
_VALIDATION_OF: dict[str, Validation] = {"Trusted": "trusted", "Valid": "valid_untrusted"}


def read_credentials(path: Path, *, trust: Sequence[TrustList] = (), online: bool = False) -> CredentialsFinding:
    """What the credentials of a file say, and whether they hold.

    Raises `InputError` for a file that cannot be opened, `IntegrityError` for a trust list that the library refuses.
    """
    with open_input(path) as opened:
        return credentials_of(opened, trust=trust, online=online)


def credentials_of(opened: OpenedInput, *, trust: Sequence[TrustList] = (), online: bool = False) -> CredentialsFinding:
    """As `read_credentials`, of a file that is open already; it is left at its beginning."""
    if not is_installed():
        return CredentialsFinding(
            "not_checked", "credentials_not_checked", "c2pa-python is not installed, so credentials were not looked for"
        )
    try:
        finding = _embedded(opened, trust, online) or _beside(opened, trust, online) or _none(opened)
    finally:
        opened.file.seek(0)
    opened.check_unchanged()
    return finding


def validated(
    opened: OpenedInput, trust: Sequence[TrustList], *, manifest: bytes | None, online: bool
) -> tuple[Validation, ManifestFacts, tuple[str, ...]]:
    """State, content and failures of the manifest inside, or of a detached one. Raises the library's `C2paError`."""
    anchors = [each.pem for each in trust]
    report = read_report(opened.file, anchors, manifest=manifest, online=online)
    is_vouched = _TRUSTED in status_codes(report, "success")
    voucher = _voucher(opened, trust, manifest) if is_vouched else None
    failures = tuple(status_codes(report, "failure"))
    return _VALIDATION_OF.get(str(report.get("validation_state")), "invalid"), manifest_facts(report, voucher), failures


def _voucher(opened: OpenedInput, trust: Sequence[TrustList], manifest: bytes | None) -> str | None:
    """The first list that alone makes the signer trusted; the library does not tell lists apart."""
    if len(trust) == 1:
        return trust[0].name
    for each in trust:
        report = read_report(opened.file, [each.pem], manifest=manifest, online=False)
        if _TRUSTED in status_codes(report, "success"):
            return each.name
    return None


def _embedded(opened: OpenedInput, trust: Sequence[TrustList], online: bool) -> CredentialsFinding | None:
    """What lies inside; None: nothing does."""
    c2pa = library()
    try:
        validation, facts, failures = validated(opened, trust, manifest=None, online=online)
    except (c2pa.C2paError.ManifestNotFound, c2pa.C2paError.NotSupported):
        return None
    except c2pa.C2paError as error:
        return _not_readable(str(error))
    return judged(validation, validation, facts, failures)


def _beside(opened: OpenedInput, trust: Sequence[TrustList], online: bool) -> CredentialsFinding | None:
    c2pa = library()
    for sidecar in sidecars_to_read(opened.path):
        shown = path_facts(str(sidecar)).path
        try:
            with open_input(sidecar, max_bytes=MAX_SIDECAR_BYTES) as file:
                manifest = file.file.read()
            validation, facts, failures = validated(opened, trust, manifest=manifest, online=online)
        except InputError as error:
            if error.code == "not_found":
                continue
            return _unreadable(f"a sidecar lies beside the file but cannot be read: {error.message}", shown)
        except c2pa.C2paError as error:
            return _unreadable(f"the sidecar {sidecar.name!r} holds no manifest that can be read ({error})", shown)
        if set(failures) & set(CONTENT_CODES) and _has_namesake(opened.path, sidecar):
            continue
        return judged("sidecar", validation, facts, failures, shown)
    return None


def _has_namesake(path: Path, sidecar: Path) -> bool:
    """Whether `clip.c2pa` may as well be that of another file: beside `clip.ogg` lies, say, `clip.wav`."""
    others = (each.name for each in path.parent.iterdir() if each.stem == sidecar.stem)
    return any(name not in (path.name, sidecar.name) for name in others)


def judged(
    state: CredentialState, validation: Validation, facts: ManifestFacts, failures: tuple[str, ...],
    sidecar: str | None = None,
) -> CredentialsFinding:  # fmt: skip
    """The finding on a manifest that could be read, with its reason in words."""
    reason, words = _reason(validation, facts, failures, has_sidecar=sidecar is not None)
    return CredentialsFinding(state, reason, words, validation, facts, failures, sidecar)


def _reason(
    validation: Validation, facts: ManifestFacts, failures: tuple[str, ...], *, has_sidecar: bool
) -> tuple[str, str]:
    signer = f"{facts.signer or 'an unnamed signer'} ({facts.issuer or 'no organisation'})"
    if validation == "trusted":
        return "credentials_trusted", f"unchanged since {signer} signed it; {facts.trust_list} vouches for the signer"
    if validation == "valid_untrusted":
        words = (
            f"unchanged since it was signed by whoever calls themselves {signer}; no trust list given vouches for them"
        )
        return "credentials_untrusted", words
    beyond = [code for code in failures if code not in (_UNTRUSTED, *CONTENT_CODES)]
    if beyond == [_EXPIRED] and not set(failures) & set(CONTENT_CODES):
        return "credentials_expired", (
            f"unchanged since it was signed, but the certificate of {signer} has run out, and no trusted timestamp "
            "shows that it was signed before"
        )
    if beyond and beyond != [_EXPIRED]:
        return "credentials_altered", f"the credentials themselves do not hold ({', '.join(beyond)})"
    other = ", or the sidecar belongs to another file" if has_sidecar else ""
    return "credentials_changed", f"the file is not what {signer} signed: its bytes were changed afterwards{other}"


def _none(opened: OpenedInput) -> CredentialsFinding:
    if embeddable_format(opened.file) is not None:
        return CredentialsFinding("absent", "credentials_absent", "there are none in the file and none beside it")
    if is_known_media(opened.file.read(HEAD_BYTES)):
        words = "there is no sidecar beside the file, and none can lie inside a file of this kind"
        return CredentialsFinding("absent", "credentials_absent", words)
    return _unreadable("the content is of no kind that is known to hold sound, so nothing can be said of credentials")


def _not_readable(message: str) -> CredentialsFinding:
    if message.startswith("Remote"):
        url = message.rpartition(" ")[2][:500]
        words = f"the file only names a place on the network where its credentials are ({url}), and nothing was fetched"
        return CredentialsFinding("unreadable", "credentials_remote", words)
    return _unreadable(f"the file is damaged where its credentials could be ({message[:500]})")


def _unreadable(words: str, sidecar: str | None = None) -> CredentialsFinding:
    return CredentialsFinding("unreadable", "credentials_unreadable", words, sidecar=sidecar)
