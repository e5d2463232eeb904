"""The records of `covoguard credentials show` and `covoguard sign`; attribute names are the keys of the JSON form."""

from dataclasses import dataclass
from typing import Literal

from .credentialsfinding import CredentialsFinding
from .scanrecord import RecordError

CredentialsSchemaVersion = Literal[1]
CREDENTIALS_SCHEMA_VERSION: CredentialsSchemaVersion = 1


@dataclass(frozen=True)
class CredentialsRecord:
    """One file of `covoguard credentials show`. Either `credentials` or `error` is there."""

    schema_version: CredentialsSchemaVersion
    path: str
    sha256: str | None
    credentials: CredentialsFinding | None
    error: RecordError | None


@dataclass(frozen=True)
class SigningRecord:
    """One file of `covoguard sign`. Without an error it is signed, and `output` is whole."""

    schema_version: CredentialsSchemaVersion
    path: str
    output: str | None
    """The signed file."""
    sidecar: str | None
    """Where its manifest lies, when that is not inside."""
    sha256: str | None
    """Of the signed file."""
    manifest: str | None
    """The manifest's id."""
    error: RecordError | None
