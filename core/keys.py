"""Secret keys: 32 bytes that never show themselves, and the subkeys that are derived from them.

Everything derived is HKDF-SHA256 (RFC 5869, no salt) of the master. Its info is `covo-wm/v1` and then each
field as its length in bytes (two bytes, big-endian) and its UTF-8 text; since every length is written, two
different lists of fields never give the same info.

    key id        5 bytes   "key-id"                                          master of epoch 1
    fingerprint  32 bytes   "fingerprint", key id, epoch                      master of that epoch
    subkey       32 bytes   "subkey", model, table, purpose, key id, epoch    master of that epoch
"""

import hmac
import re
import secrets
from typing import Any, NoReturn, Self, final

from .errors import UsageError

MASTER_BYTES = 32
SUBKEY_BYTES = 32
KEY_ID_PATTERN = re.compile(r"k[0-9a-f]{10}")
"""What a key id looks like."""

_SCHEME = b"covo-wm/v1"
_KEY_ID_BYTES = 5
_SHA256_PATTERN = re.compile(r"[0-9a-f]{64}")


@final
class SecretKey:
    """One epoch of a key. Frozen; neither printed, copied nor pickled with its secret.

    `key_id` is public and the same over all epochs; epochs count from 1. `created_utc` and `retired_utc` are
    ISO 8601 times; a key that is retired (not None) still verifies what it marked, and marks nothing new.
    """

    __slots__ = ("_master", "created_utc", "epoch", "key_id", "retired_utc")

    _master: bytes
    key_id: str
    epoch: int
    created_utc: str
    retired_utc: str | None

    def __init__(
        self, key_id: str, epoch: int, master: bytes, *, created_utc: str, retired_utc: str | None = None
    ) -> None:
        """Raises `ValueError` for a master that is not 32 bytes, a malformed id, or an epoch below 1."""
        if type(master) is not bytes or len(master) != MASTER_BYTES:
            raise ValueError(f"the master of a key must be {MASTER_BYTES} bytes")
        if not KEY_ID_PATTERN.fullmatch(key_id):
            raise ValueError(f"{key_id!r} is not a key id: a k and 10 hexadecimal digits")
        if epoch < 1:
            raise ValueError(f"epochs count from 1, not {epoch}")
        object.__setattr__(self, "_master", master)
        object.__setattr__(self, "key_id", key_id)
        object.__setattr__(self, "epoch", epoch)
        object.__setattr__(self, "created_utc", created_utc)
        object.__setattr__(self, "retired_utc", retired_utc)

    @classmethod
    def generate(cls, *, created_utc: str) -> Self:
        """Epoch 1 of a new key, from the operating system's random bytes."""
        master = secrets.token_bytes(MASTER_BYTES)
        return cls(derive_key_id(master), 1, master, created_utc=created_utc)

    def successor(self, *, created_utc: str) -> Self:
        """The next epoch: the same id, a master of its own that says nothing of this one."""
        master = secrets.token_bytes(MASTER_BYTES)
        return type(self)(self.key_id, self.epoch + 1, master, created_utc=created_utc)

    def retire(self, *, retired_utc: str) -> Self:
        """The same epoch, from now on kept for verification alone."""
        return type(self)(self.key_id, self.epoch, self._master, created_utc=self.created_utc, retired_utc=retired_utc)

    @property
    def is_retired(self) -> bool:
        """Whether a later epoch has taken over."""
        return self.retired_utc is not None

    @property
    def fingerprint(self) -> str:
        """64 hexadecimal digits that commit to this epoch's master and do not tell it."""
        return _derive(self._master, 32, "fingerprint", self.key_id, str(self.epoch)).hex()

    def subkey(self, purpose: str, *, model: str, table_sha256: str) -> bytes:
        """32 bytes for one purpose, with one model and one mark table.

        Another purpose, model, table, key id or epoch gives an unrelated subkey. The result is as secret as the
        key. Raises `ValueError` for an empty purpose or model, or a table hash that is not 64 lower-case
        hexadecimal digits.
        """
        if not purpose or not model:
            raise ValueError("a subkey needs a purpose and a model")
        if not _SHA256_PATTERN.fullmatch(table_sha256):
            raise ValueError(f"{table_sha256!r} is not a SHA-256 in lower-case hexadecimal digits")
        fields = ("subkey", model, table_sha256, purpose, self.key_id, str(self.epoch))
        return _derive(self._master, SUBKEY_BYTES, *fields)

    def check_active(self) -> None:
        """Raise `UsageError` for a retired epoch; whoever marks something new calls this first."""
        if self.is_retired:
            raise UsageError(
                f"{self.key_id}: epoch {self.epoch} was retired on {self.retired_utc} and marks nothing new; "
                "name the key without an epoch"
            )

    def master_bytes(self) -> bytes:
        """The secret itself. Only the module that writes key files calls this (tested)."""
        return self._master

    def __repr__(self) -> str:
        """Id and epoch only; str and format give the same."""
        return f"SecretKey({self.key_id}, epoch {self.epoch}{', retired' if self.is_retired else ''})"

    def __eq__(self, other: object) -> bool:
        """In a time that does not depend on where two masters differ."""
        if not isinstance(other, SecretKey):
            return NotImplemented
        same_name = (self.key_id, self.epoch) == (other.key_id, other.epoch)
        return hmac.compare_digest(self._master, other._master) and same_name

    def __hash__(self) -> int:
        """Of what is public."""
        return hash((self.key_id, self.epoch))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        """Always raises."""
        raise AttributeError(f"a secret key is frozen: {name} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        """Always raises."""
        raise AttributeError(f"a secret key is frozen: {name} cannot be deleted")

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        """Always raises: pickles and copies end up in caches, queues and records."""
        raise TypeError("a secret key is neither pickled nor copied; open the key ring where it is needed")


def derive_key_id(first_master: bytes) -> str:
    """The public id of the key whose epoch 1 has this master: `k` and 10 hexadecimal digits."""
    return "k" + _derive(first_master, _KEY_ID_BYTES, "key-id").hex()


def _derive(master: bytes, length: int, *fields: str) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    texts = [field.encode("utf-8") for field in fields]
    info = _SCHEME + b"".join(len(text).to_bytes(2, "big") + text for text in texts)
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(master)
