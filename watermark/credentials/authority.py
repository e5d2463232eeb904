"""A test authority: a root certificate and one signer under it, for trying credentials out. Nobody else trusts it.

Profile as C2PA 2.2, section 14.5 asks of signers: X.509 v3, ES256, key usage digitalSignature, an extended key usage
that C2PA accepts by default (emailProtection), and never self-signed, so there are two certificates.
"""

import datetime
from typing import TYPE_CHECKING

from ...core.errors import UsageError
from ...core.privatefolder import PrivateFolder

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

CHAIN_NAME = "chain.pem"
"""The signer's certificate, then its authority's."""
KEY_NAME = "key.pem"
AUTHORITY_NAME = "authority.pem"
"""The root certificate: what others must add to their trust to see `trusted`."""
SIGNER_DAYS = 730
AUTHORITY_DAYS = 3650
_CLOCK_SKEW = datetime.timedelta(minutes=5)
MAX_NAME_CHARACTERS = 64
"""X.520 limits a common name to this."""


def make_test_signer(name: str, *, now: datetime.datetime, lifetime: datetime.timedelta) -> dict[str, bytes]:
    """File name -> PEM of a new authority and its one signer, valid from just before `now` for `lifetime`.

    The authority's own key is forgotten once it has signed, so nobody can sign others under it. Raises `UsageError` for
    a name that a certificate cannot hold.
    """
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    if not name.strip() or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
        raise UsageError(f"{name!r} cannot be a signer's name; choose 1 to {MAX_NAME_CHARACTERS} printable characters")
    root_key, signer_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    end = now + max(lifetime, datetime.timedelta(days=AUTHORITY_DAYS))
    root = _certificate("covoguard test authority", root_key, root_key, now, end, issuer=None)
    signer = _certificate(name, signer_key, root_key, now, now + lifetime, issuer=root)
    root_pem = root.public_bytes(Encoding.PEM)
    return {
        AUTHORITY_NAME: root_pem,
        CHAIN_NAME: signer.public_bytes(Encoding.PEM) + root_pem,
        KEY_NAME: signer_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    }


def write_signer_folder(folder: PrivateFolder, files: dict[str, bytes]) -> None:
    """Write what `make_test_signer` gave, the key last, so that a folder with a key is whole.

    Raises `UsageError` for a folder that holds anything, `CovoguardError` (`output_error`) when it cannot be written.
    """
    if names := folder.names():
        raise UsageError(f"{folder.path}: not empty ({names[0]!r} is there); name a new folder")
    for file_name in (AUTHORITY_NAME, CHAIN_NAME, KEY_NAME):
        folder.write(file_name, files[file_name])


def _certificate(
    name: str, key: "EllipticCurvePrivateKey", issuer_key: "EllipticCurvePrivateKey", now: datetime.datetime,
    end: datetime.datetime, *, issuer: "x509.Certificate | None",
) -> "x509.Certificate":  # fmt: skip
    """A certificate of `name`; `issuer` None: an authority that signs itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    names = ((NameOID.COMMON_NAME, name), (NameOID.ORGANIZATION_NAME, "covoguard test, trusted by nobody else"))
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names])
    is_authority = issuer is None
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True)
        .add_extension(_key_usage(is_authority=is_authority), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not is_authority:
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purposes, critical=False)
    return builder.sign(issuer_key, SHA256())


def _key_usage(*, is_authority: bool) -> "x509.KeyUsage":
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not is_authority, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=is_authority, crl_sign=is_authority, encipher_only=False,
        decipher_only=False,
    )  # fmt: skip
