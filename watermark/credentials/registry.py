"""Finds the manifest of a file that lost it: a local database of what was signed, by the mark in the sound.

A mark names a key, its epoch and perhaps a payload, not a clip, so an id may have many manifests. Then the hash of the
file before it was signed decides (a tool that strips credentials often leaves just those bytes), or nothing does.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...core.audio import OpenedInput
from ...core.credentialsfinding import CredentialsFinding, ManifestFacts, Validation
from ...core.errors import CovoguardError, IntegrityError, UsageError
from .library import is_installed, library
from .manifest import TOKEN_MARK_ALG, MarkBinding
from .read import CONTENT_CODES, validated
from .sign import SignedFile
from .trust import TrustList

REGISTRY_VARIABLE = "COVOGUARD_REGISTRY"
_VERSION = 1
_MAX_CANDIDATES = 100
_WAIT_S = 30.0
_TABLE = """
CREATE TABLE IF NOT EXISTS manifests (
    label TEXT PRIMARY KEY, binding TEXT NOT NULL, manifest BLOB NOT NULL,
    signed_sha256 TEXT NOT NULL, source_sha256 TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS by_binding ON manifests (binding);
"""


def default_registry() -> Path:
    """`$COVOGUARD_REGISTRY`, else `covoguard/credentials.sqlite` in `$XDG_DATA_HOME` or `~/.local/share`.

    Raises `UsageError` when there is no home folder.
    """
    try:
        if chosen := os.environ.get(REGISTRY_VARIABLE):
            return Path(chosen).expanduser().absolute()
        data = os.environ.get("XDG_DATA_HOME", "")
        base = Path(data) if os.path.isabs(data) else Path.home() / ".local" / "share"
    except RuntimeError as error:
        raise UsageError(f"no home folder for a registry; name a file in ${REGISTRY_VARIABLE}") from error
    return base / "covoguard" / "credentials.sqlite"


@dataclass(frozen=True)
class RegistryEntry:
    """One manifest that was signed."""

    label: str
    binding: str
    manifest: bytes
    signed_sha256: str
    source_sha256: str


class Registry:
    """What was signed on this machine, in one SQLite file. Every call opens it afresh; writers wait for one another."""

    def __init__(self, path: Path) -> None:
        """Nothing is opened or made yet."""
        self.path = path

    def add(self, binding: MarkBinding, signed: SignedFile) -> None:
        """Keep a manifest under its mark. Raises `IntegrityError` (no registry), `CovoguardError` (output_error)."""
        row = (signed.manifest_label, binding.value, signed.manifest, signed.sha256, signed.source_sha256)
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise self._unwritable(error.strerror or str(error)) from error
        with self._open(create=True) as connection, connection:
            connection.execute("INSERT OR REPLACE INTO manifests VALUES (?, ?, ?, ?, ?)", row)

    def find(self, binding: MarkBinding) -> list[RegistryEntry]:
        """All manifests under a mark; under one without a payload also those with any. At most 100, the newest first.

        Raises `IntegrityError` for a file that is no registry.
        """
        if not self.path.exists():
            return []
        columns = "label, binding, manifest, signed_sha256, source_sha256"
        query = f"SELECT {columns} FROM manifests WHERE binding = ? OR binding GLOB ? ORDER BY rowid DESC LIMIT ?"  # noqa: S608
        with self._open(create=False) as connection:
            rows = connection.execute(query, (binding.value, f"{binding.value}.*", _MAX_CANDIDATES)).fetchall()
        return [RegistryEntry(*row) for row in rows]

    @contextmanager
    def _open(self, *, create: bool) -> Iterator[sqlite3.Connection]:
        mode = "rwc" if create else "ro"
        try:
            address = f"{self.path.absolute().as_uri()}?mode={mode}"
            with closing(sqlite3.connect(address, uri=True, timeout=_WAIT_S)) as connection:
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                if version not in (0, _VERSION):
                    raise self._foreign(f"version {version}")
                if create:
                    connection.executescript(_TABLE)
                    connection.execute(f"PRAGMA user_version = {_VERSION}")
                yield connection
        except sqlite3.OperationalError as error:
            if create:
                raise self._unwritable(str(error)) from error
            raise self._foreign(str(error)) from error
        except sqlite3.DatabaseError as error:
            raise self._foreign(str(error)) from error

    def _foreign(self, reason: str) -> IntegrityError:
        return IntegrityError(f"{self.path}: not a registry of credentials ({reason}); name another file")

    def _unwritable(self, reason: str) -> CovoguardError:
        message = f"{self.path}: the registry cannot be written ({reason}); the signed file is whole"
        return CovoguardError(message, code="output_error")


def recover_credentials(
    opened: OpenedInput, bindings: Sequence[MarkBinding], registry: Registry, *, trust: Sequence[TrustList] = ()
) -> CredentialsFinding | None:
    """The manifest of a file without one, by the marks that were found in its sound; None: the registry has none.

    Several that fit equally give `absent` (credentials_unresolved): one of them would be a guess. Raises as
    `Registry.find`.
    """
    if not is_installed():
        return None
    entries = [entry for binding in bindings for entry in registry.find(binding)]
    exact = [entry for entry in entries if opened.sha256 in (entry.source_sha256, entry.signed_sha256)]
    candidates = exact[:1] or entries
    if len(candidates) > 1:
        words = (
            f"{len(candidates)} manifests were signed under the mark in this sound, and nothing tells which is its own"
        )
        return CredentialsFinding("absent", "credentials_unresolved", words)
    return _recovered(opened, candidates[0], trust, is_exact=bool(exact)) if candidates else None


def _recovered(
    opened: OpenedInput, entry: RegistryEntry, trust: Sequence[TrustList], *, is_exact: bool
) -> CredentialsFinding | None:
    c2pa = library()
    try:
        validation, facts, failures = validated(opened, trust, manifest=entry.manifest, online=False)
    except c2pa.C2paError as error:
        words = f"the registry's manifest {entry.label} cannot be read ({error})"
        return CredentialsFinding("unreadable", "credentials_unreadable", words)
    finally:
        opened.file.seek(0)
    if not any((each.alg, each.value) == (TOKEN_MARK_ALG, entry.binding) for each in facts.soft_bindings):
        return None  # whatever the database says, this manifest is not about our mark
    beyond = tuple(code for code in failures if code not in CONTENT_CODES)
    validation = _without_bytes(validation, facts, beyond)
    bytes_ = "the bytes are those from before the signing" if is_exact else "the bytes are not those that were signed"
    holds = {"trusted": f"vouched for by {facts.trust_list}", "valid_untrusted": "vouched for by no trust list given"}
    words = (
        f"found again by the mark in the sound: {facts.signer or 'an unnamed signer'} signed a file with this mark, "
        f"{holds.get(validation, 'but those credentials do not hold')}; {bytes_}, which says nothing of tampering"
    )
    return CredentialsFinding(
        "recovered", "credentials_recovered", words, validation, facts, failures, signed_sha256=entry.signed_sha256
    )


def _without_bytes(validation: Validation, facts: ManifestFacts, beyond: tuple[str, ...]) -> Validation:
    """What the manifest itself is worth, whatever file it is held against."""
    if validation != "invalid":
        return validation
    if not beyond and facts.trust_list is not None:
        return "trusted"
    return "valid_untrusted" if beyond == ("signingCredential.untrusted",) else "invalid"
