"""The keys that sign audit logs: Ed25519, in a private folder beside the secret keys that speech is marked with.

`audit/` in the folder of keys has mode 0700 and holds one file of mode 0600 per signing key, with `current` naming the
one that signs. Older ones stay: only they can sign their own successor into a log. The id is an `a` and the first 20
hexadecimal digits of the public key's SHA-256; trust never rests on it but on the whole public key.
"""

import base64
import binascii
import contextlib
import hashlib
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn, Self, final

from ..errors import IntegrityError, KeyMissing
from ..keyfile import utc_now
from ..keyring import default_key_folder
from ..privatefolder import PrivateFolder, enclosing_work_tree

_FOLDER = "audit"
_CURRENT = "current"
_SUFFIX = ".json"
_VERSION = 1
_SECRET_BYTES = 32
_PUBLIC_KEY = re.compile("[0-9a-f]{64}")
_FIELDS = {"covoguard_audit_key", "key_id", "created_utc", "public_key", "secret"}

logger = logging.getLogger(__name__)


def is_public_key(text: str) -> bool:
    """Whether `text` has the form of a public key: 64 hexadecimal digits in lower case."""
    return _PUBLIC_KEY.fullmatch(text) is not None


def key_id_of(public_key: str) -> str:
    """The id of a public key, given in hexadecimal digits."""
    return "a" + hashlib.sha256(bytes.fromhex(public_key)).hexdigest()[:20]


def is_signed_by(public_key: str, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is that of `message` under the public key; False too where that is no key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@final
class SigningKey:
    """A key that signs. It shows its id and its public half, and nothing else; it is neither copied nor pickled."""

    __slots__ = ("_secret", "created_utc", "key_id", "public_key")

    def __init__(self, secret: bytes, *, created_utc: str) -> None:
        """Raises `ValueError` for a secret that is not 32 bytes."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._secret: Ed25519PrivateKey = Ed25519PrivateKey.from_private_bytes(secret)
        self.public_key: str = self._secret.public_key().public_bytes_raw().hex()
        """In 64 hexadecimal digits."""
        self.key_id: str = key_id_of(self.public_key)
        self.created_utc: str = created_utc

    @classmethod
    def generate(cls) -> Self:
        """A new key, from the operating system's random bytes."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls(Ed25519PrivateKey.generate().private_bytes_raw(), created_utc=utc_now())

    def sign(self, message: bytes) -> bytes:
        """The signature, 64 bytes."""
        return self._secret.sign(message)

    def file_content(self) -> bytes:
        """The bytes of the key's file. They hold the secret: they go to a private folder and nowhere else."""
        record = {
            "covoguard_audit_key": _VERSION,
            "key_id": self.key_id,
            "created_utc": self.created_utc,
            "public_key": self.public_key,
            "secret": base64.b64encode(self._secret.private_bytes_raw()).decode("ascii"),
        }
        return (json.dumps(record, indent=2) + "\n").encode("ascii")

    def __repr__(self) -> str:
        """The id alone."""
        return f"SigningKey({self.key_id})"

    def __reduce__(self) -> NoReturn:
        """No pickle and no copy holds a key."""
        raise TypeError("a signing key is neither pickled nor copied")


class AuditKeys:
    """The signing keys of one folder.

    Methods raise `KeyMissing` for a folder or file that is open to others or not the caller's own, and
    `IntegrityError` for a damaged file.
    """

    def __init__(self, folder: Path) -> None:
        """Nothing need be there yet."""
        self.folder = folder

    @classmethod
    def open(cls) -> Self:
        """The keys of this user: `audit` in the folder of keys ($COVOGUARD_KEYS)."""
        return cls(default_key_folder() / _FOLDER)

    def all(self) -> list[SigningKey]:
        """Every key, the oldest first."""
        with PrivateFolder.open(self.folder) as folder:
            names = [] if folder is None else [name for name in folder.names() if name.endswith(_SUFFIX)]
            keys = [_read(folder, name) for name in names] if folder is not None else []
        return sorted(keys, key=lambda key: (key.created_utc, key.key_id))

    def current(self) -> SigningKey | None:
        """The key that signs; None when there is none yet. Raises `IntegrityError` when the one named is gone."""
        with PrivateFolder.open(self.folder) as folder:
            return None if folder is None else _read_current(folder)

    def current_or_new(self) -> SigningKey:
        """As `current`, but the first key is made where there is none; of several processes at once, one makes it."""
        if (key := self.current()) is not None:
            return key
        with self._made() as folder, folder.locked():
            return _read_current(folder) or _store_new(folder)

    def rotate(self) -> SigningKey:
        """Make a new key, which signs from now on. A log goes over to it when it is next written."""
        with self._made() as folder, folder.locked():
            return _store_new(folder)

    def get(self, key_id: str) -> SigningKey | None:
        """The key of this id; None when it is not here."""
        return next((key for key in self.all() if key.key_id == key_id), None)

    def path_of(self, key: SigningKey) -> Path:
        """The key's file."""
        return self.folder / (key.key_id + _SUFFIX)

    @contextlib.contextmanager
    def _made(self) -> Iterator[PrivateFolder]:
        if tree := enclosing_work_tree(self.folder):
            logger.warning(
                "%s: keys inside the git work tree %s are one `git add` from being published", self.folder, tree
            )
        with PrivateFolder.make(self.folder.parent), PrivateFolder.make(self.folder) as folder:
            yield folder


def _store_new(folder: PrivateFolder) -> SigningKey:
    key = SigningKey.generate()
    folder.write(key.key_id + _SUFFIX, key.file_content())
    folder.write(_CURRENT, f"{key.key_id}\n".encode("ascii"))
    return key


def _read_current(folder: PrivateFolder) -> SigningKey | None:
    named = folder.read(_CURRENT)
    if named is None:
        return None
    return _read(folder, named.decode("ascii", "replace").strip() + _SUFFIX)


def _read(folder: PrivateFolder, name: str) -> SigningKey:
    path = folder.path / name
    content = folder.read(name)
    if content is None:
        raise IntegrityError(f"{path}: the signing key that `{_CURRENT}` names is gone; restore it from a backup")
    key = _parse(content)
    # Raised outside the handlers of the parsers' errors, since those hold the text that they stumbled over.
    if key is None or key.key_id + _SUFFIX != name:
        raise IntegrityError(f"{path}: not a whole audit key of version {_VERSION}; restore it from a backup")
    return key


def _parse(content: bytes) -> SigningKey | None:
    try:
        record = json.loads(content)
        if record.keys() != _FIELDS or record["covoguard_audit_key"] != _VERSION:
            return None
        secret = base64.b64decode(record["secret"], validate=True)
        if len(secret) != _SECRET_BYTES or not isinstance(record["created_utc"], str):
            return None
        key = SigningKey(secret, created_utc=record["created_utc"])
    except (ValueError, TypeError, AttributeError, RecursionError, binascii.Error):
        return None
    return key if (key.key_id, key.public_key) == (record["key_id"], record["public_key"]) else None


def no_key_to_check_with(folder: Path) -> KeyMissing:
    """The error of whoever has no public key to check a log with."""
    return KeyMissing(
        f"{folder}: no audit key, so nothing to check a log with; give the public key of whoever keeps it with "
        "--public-key (they see it with `covoguard audit key`)"
    )
