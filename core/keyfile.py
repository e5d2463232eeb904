"""The file of one key: its label and all its epochs, as JSON. Version 1.

Complaints about a damaged file never quote it, and are raised outside the handlers of the parser's errors,
since those hold the text that they stumbled over.
"""

import base64
import binascii
import datetime
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import IntegrityError, UsageError
from .keys import KEY_ID_PATTERN, MASTER_BYTES, SecretKey, derive_key_id

KEY_FILE_SUFFIX = ".json"
_VERSION = 1
_FILE_FIELDS = {"covoguard_key", "key_id", "label", "epochs"}
_EPOCH_FIELDS = {"epoch", "created_utc", "retired_utc", "fingerprint", "secret"}
_LABEL_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")


@dataclass(frozen=True)
class KeyFile:
    """A key as it is stored. Its epochs are in order from 1, and all but the last are retired."""

    path: Path
    label: str | None
    epochs: tuple[SecretKey, ...]

    @property
    def key_id(self) -> str:
        """The public id, the same over all epochs."""
        return self.epochs[0].key_id

    @property
    def active(self) -> SecretKey:
        """The newest epoch: the one that marks."""
        return self.epochs[-1]

    @property
    def created_utc(self) -> str:
        """When epoch 1 was made, ISO 8601."""
        return self.epochs[0].created_utc


def is_label(text: str) -> bool:
    """Whether `text` has the form of a label; every key id has it too, and no master in hex or base64 does."""
    return _LABEL_PATTERN.fullmatch(text) is not None


def check_label(label: str) -> None:
    """Raise `UsageError` unless `label` is a plain word that cannot be taken for a key id."""
    if not is_label(label):
        raise UsageError(
            "a label has up to 32 lower-case letters, digits, dots, hyphens and underscores, a letter or digit first; "
            "choose another"
        )
    if KEY_ID_PATTERN.fullmatch(label):
        raise UsageError(f"{label!r} looks like a key id; choose another label")


def utc_now() -> str:
    """The time as key files give it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def key_file_content(key: KeyFile) -> bytes:
    """The bytes of the file. They hold the secrets: they go to a private folder and nowhere else."""
    record = {
        "covoguard_key": _VERSION,
        "key_id": key.key_id,
        "label": key.label,
        "epochs": [
            {
                "epoch": epoch.epoch,
                "created_utc": epoch.created_utc,
                "retired_utc": epoch.retired_utc,
                "fingerprint": epoch.fingerprint,
                "secret": base64.b64encode(epoch.master_bytes()).decode("ascii"),
            }
            for epoch in key.epochs
        ],
    }
    return (json.dumps(record, indent=2) + "\n").encode("ascii")


def parse_key_file(path: Path, content: bytes) -> KeyFile:
    """Read `content`, the bytes of the key file `path`.

    Raises `IntegrityError` when anything is missing, unknown, of the wrong kind or length, or when the id, a
    fingerprint or the file's name is not that of the secret inside.
    """
    record = _parse_json(content)
    if not isinstance(record, dict):
        raise _damaged(path, "not a JSON object")
    if type(version := record.get("covoguard_key")) is not int or version != _VERSION:
        raise _damaged(path, f"not a key file of version {_VERSION}, the only one that this version reads")
    if record.keys() != _FILE_FIELDS:
        raise _damaged(path, f"its keys are not {', '.join(sorted(_FILE_FIELDS))}")
    label, key_id, rows = record["label"], record["key_id"], record["epochs"]
    if not (label is None or (isinstance(label, str) and is_label(label))):
        raise _damaged(path, "its label is not one that `covoguard keys new` accepts")
    if not (isinstance(key_id, str) and KEY_ID_PATTERN.fullmatch(key_id)):
        raise _damaged(path, "its key_id is not a k and 10 hexadecimal digits")
    if not isinstance(rows, list) or not rows:
        raise _damaged(path, "it holds no epochs")
    epochs = tuple(_parse_epoch(path, key_id, number, row) for number, row in enumerate(rows, start=1))
    if [key.is_retired for key in epochs] != [True] * (len(epochs) - 1) + [False]:
        raise _damaged(path, "every epoch but the last must be retired, and no other")
    if derive_key_id(epochs[0].master_bytes()) != key_id:
        raise _damaged(path, "its key_id is not that of its secret")
    if path.name != key_id + KEY_FILE_SUFFIX:
        raise IntegrityError(f"{path}: holds the key {key_id}; rename it to {key_id}{KEY_FILE_SUFFIX}")
    return KeyFile(path, label, epochs)


def _parse_epoch(path: Path, key_id: str, number: int, row: Any) -> SecretKey:
    if not isinstance(row, dict) or row.keys() != _EPOCH_FIELDS:
        raise _damaged(path, f"the keys of epoch {number} are not {', '.join(sorted(_EPOCH_FIELDS))}")
    if type(row["epoch"]) is not int or row["epoch"] != number:
        raise _damaged(path, "its epochs are not numbered from 1")
    created, retired = row["created_utc"], row["retired_utc"]
    if not _is_utc(created) or not (retired is None or _is_utc(retired)):
        raise _damaged(path, f"a time of epoch {number} is not ISO 8601 with a final Z")
    master = _parse_secret(row["secret"])
    if master is None:
        raise _damaged(path, f"the secret of epoch {number} is not {MASTER_BYTES} bytes in base64")
    key = SecretKey(key_id, number, master, created_utc=created, retired_utc=retired)
    if key.fingerprint != row["fingerprint"]:
        raise _damaged(path, f"the fingerprint of epoch {number} is not that of its secret")
    return key


def _parse_json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _parse_secret(text: Any) -> bytes | None:
    try:
        master = base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        return None
    return master if len(master) == MASTER_BYTES else None


def _is_utc(text: Any) -> bool:
    try:
        return datetime.datetime.fromisoformat(text).tzinfo == datetime.UTC and text.endswith("Z")
    except (TypeError, ValueError):
        return False


def _damaged(path: Path, complaint: str) -> IntegrityError:
    return IntegrityError(f"{path}: {complaint}; restore the key file from a backup, or move it out of the folder")
