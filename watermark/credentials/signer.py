"""Who signs: a private key in a PEM file, or anything that signs bytes, such as a PKCS#11 token.

The C2PA library is only ever given a certificate chain and a function, so a private key stays with its owner.
"""

import datetime
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from ...core.errors import CovoguardError, IntegrityError, KeyMissing
from ...core.privatefolder import PrivateFolder
from .authority import AUTHORITY_NAME, CHAIN_NAME, KEY_NAME
from .library import library

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

Algorithm = Literal["ES256", "ES384", "ES512", "PS256", "ED25519"]
"""Of COSE. ES256: ECDSA on P-256 with SHA-256; ES384 and ES512 likewise on P-384 and P-521."""
_ALGORITHM_OF_CURVE: dict[str, Algorithm] = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_MAX_PEM_BYTES = 1 << 20


class ManifestSigner(Protocol):
    """Signs manifests. A hardware token is a class with these three, `sign` calling its C_Sign."""

    @property
    def chain_pem(self) -> bytes:
        """The signer's certificate first, then those that lead to its authority, PEM."""
        ...

    @property
    def algorithm(self) -> Algorithm:
        """Of the key that the certificate names."""
        ...

    def sign(self, data: bytes) -> bytes:
        """The signature over `data` in COSE form: for ECDSA r and s, each as long as the field, one after the other.

        May raise anything; what it says becomes the message of the error that a caller of `sign_file` sees.
        """
        ...


@dataclass(frozen=True)
class PemSigner:
    """A signer whose private key lies in memory. `authority_pem` is there when it was made by `credentials init`."""

    chain_pem: bytes
    algorithm: Algorithm
    _key: "PrivateKey" = field(repr=False, compare=False)
    authority_pem: bytes | None = None

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """The signer in a folder that `covoguard credentials init` made.

        Raises `KeyMissing` for a folder that is not there, not private or not whole, and as `from_pem`.
        """
        with PrivateFolder.open(folder) as opened:
            names = (CHAIN_NAME, KEY_NAME, AUTHORITY_NAME)
            chain, key, authority = (None if opened is None else opened.read(name) for name in names)
        if chain is None or key is None:
            raise KeyMissing(
                f"{folder}: no signer ({CHAIN_NAME} and {KEY_NAME}) is there; make one for trying out with "
                f"`covoguard credentials init {folder}`, or name your own with --cert and --key"
            )
        return cls.from_pem(chain, key, str(folder), authority=authority)

    @classmethod
    def from_files(cls, chain: Path, key: Path) -> Self:
        """The signer with this chain and this private key. Raises as `from_folder`, also for a key others can read."""
        return cls.from_pem(_read_pem(chain), _read_pem(key, private=True), str(key))

    @classmethod
    def from_pem(cls, chain: bytes, key: bytes, where: str, *, authority: bytes | None = None) -> Self:
        """The signer with these PEM texts; `where` names them in messages.

        Raises `IntegrityError` for what is no certificate or key, a key of another certificate, or one of a kind that
        C2PA does not know; `KeyMissing` for a certificate outside its validity.
        """
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            leaf = x509.load_pem_x509_certificates(chain)[0]
            private: Any = load_pem_private_key(key, password=None)
        except (ValueError, TypeError, IndexError) as error:
            raise IntegrityError(
                f"{where}: no usable certificate and unencrypted private key in PEM ({error})"
            ) from error
        algorithm = _algorithm(private)
        if algorithm is None:
            raise IntegrityError(f"{where}: this kind of key cannot sign credentials; use P-256, Ed25519 or RSA")
        if leaf.public_key() != private.public_key():
            raise IntegrityError(f"{where}: the private key is not that of the certificate; give the pair")
        now = datetime.datetime.now(datetime.UTC)
        if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
            span = f"{leaf.not_valid_before_utc:%Y-%m-%d} to {leaf.not_valid_after_utc:%Y-%m-%d}"
            raise KeyMissing(f"{where}: the certificate is valid from {span} only; get a new one")
        return cls(chain, algorithm, private, authority)

    def sign(self, data: bytes) -> bytes:
        """As `ManifestSigner.sign`."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

        key = self._key
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return key.sign(data)
        if isinstance(key, ec.EllipticCurvePrivateKey):
            digest = {"ES256": hashes.SHA256(), "ES384": hashes.SHA384(), "ES512": hashes.SHA512()}[self.algorithm]
            r, s = decode_dss_signature(key.sign(data, ec.ECDSA(digest)))
            size = (key.curve.key_size + 7) // 8
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")
        sha256 = hashes.SHA256()
        return key.sign(data, padding.PSS(padding.MGF1(sha256), salt_length=sha256.digest_size), sha256)


@contextmanager
def native_signer(signer: ManifestSigner) -> Iterator[Any]:
    """The library's signer around ours. What ours raises inside is raised here, for the library would swallow it.

    Raises `CovoguardError` (`signing_failed`).
    """
    c2pa = library()
    failures: list[Exception] = []

    def call(data: bytes) -> bytes:
        try:
            return signer.sign(data)
        except Exception as error:  # crosses foreign code, which must never unwind
            failures.append(error)
            return b""

    try:
        algorithm = c2pa.C2paSigningAlg[signer.algorithm]
        with c2pa.Signer.from_callback(call, algorithm, signer.chain_pem.decode("ascii")) as native:
            yield native
    except (c2pa.C2paError, UnicodeDecodeError) as error:
        cause = failures[0] if failures else error
        what = "the signer failed" if failures else "cannot be signed"
        raise CovoguardError(
            f"{what}: {cause}; check certificate and key; the file is unsigned, and its sound is safe",
            code="signing_failed",
        ) from cause


def _algorithm(key: Any) -> Algorithm | None:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey):
        return _ALGORITHM_OF_CURVE.get(key.curve.name)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ED25519"
    return "PS256" if isinstance(key, rsa.RSAPrivateKey) else None


def _read_pem(path: Path, *, private: bool = False) -> bytes:
    try:
        with path.open("rb") as file:
            if private and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise KeyMissing(f"{path}: others may read this private key; run chmod 600 on it")
            return file.read(_MAX_PEM_BYTES)
    except OSError as error:
        raise KeyMissing(f"{path}: cannot be read ({error.strerror}); check the path of the signer") from error
