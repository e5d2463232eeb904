"""Lists of authorities whose signers are trusted, each with the name under which an answer says who vouched."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ...core.errors import IntegrityError, KeyMissing

_MAX_LIST_BYTES = 16 << 20


@dataclass(frozen=True)
class TrustList:
    """Root certificates in PEM. There is no built-in list: whom to trust is the analyst's decision."""

    name: str
    pem: str

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """A PEM file of certificates, named as the file.

        Raises `KeyMissing` when it cannot be read, `IntegrityError` when it holds no certificate or a damaged one.
        """
        try:
            with path.open("rb") as file:
                content = file.read(_MAX_LIST_BYTES)
        except OSError as error:
            raise KeyMissing(f"{path}: this trust list cannot be read ({error.strerror}); check the path") from error
        return cls.from_pem(path.name, content, str(path))

    @classmethod
    def from_pem(cls, name: str, content: bytes, where: str) -> Self:
        """As `from_file`; `where` names the place in messages."""
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import Encoding

        try:
            certificates = x509.load_pem_x509_certificates(content)
        except ValueError as error:
            raise IntegrityError(f"{where}: no list of certificates in PEM ({error}); give the authorities'") from error
        return cls(name, "".join(each.public_bytes(Encoding.PEM).decode("ascii") for each in certificates))
