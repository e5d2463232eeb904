"""Model folders: `card.json`, the model's files, and `SHA256SUMS` over all of them.

A folder is refused as a whole when one file is missing or differs from its checksum, so a verdict always
names the model that really gave it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from .errors import IntegrityError, ModelMissing

CARD_NAME = "card.json"
CHECKSUMS_NAME = "SHA256SUMS"
_IDENTITY = ("id", "version", "weights")
"""What a card must say for the model to be used, beside its part; a page about the model needs more."""

PartKind = Literal["detector", "generator", "recoverer", "copier"]
"""What a model can be a model of; a card names one of them under just this key."""


def sha256_of_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class ModelFolder:
    """A model whose files have been checked against `SHA256SUMS`."""

    path: Path
    card: Mapping[str, Any]
    """At least: id, version, weights (file name), and one of `PartKind` (its registered name)."""
    checksums: Mapping[str, str]

    @property
    def id(self) -> str:
        """`name@version`."""
        return f"{self.card['id']}@{self.card['version']}"

    @property
    def part(self) -> tuple[PartKind, str]:
        """What the model is a model of, by its registered name: `("detector", "logband-resnet")`."""
        return _part_of(self.card)

    def check_part(self, kind: PartKind, name: str) -> None:
        """Raise `IntegrityError` unless this is a model of the `kind` called `name`."""
        if self.part != (kind, name):
            raise IntegrityError(
                f"{self.path}: a model of the {' '.join(self.part)}, not of the {kind} {name}; "
                "give another folder, or install the model again"
            )

    @property
    def model_sha256(self) -> str:
        """Hash of the weights file: the identity of the model in every record."""
        return self.checksums[str(self.card["weights"])]

    def read_bytes(self, name: str) -> bytes:
        """A file of the folder, checked again as it is read.

        Raises `ModelMissing` when the folder does not list it, `IntegrityError` when it has changed.
        """
        if name not in self.checksums:
            raise ModelMissing(f"{self.path}: the model has no {name}; install a complete model folder")
        content = (self.path / name).read_bytes()
        if hashlib.sha256(content).hexdigest() != self.checksums[name]:
            raise IntegrityError(f"{self.path / name}: changed while it was used; install the model again")
        return content

    def read_json(self, name: str) -> Any:
        """A JSON file of the folder; raises as `read_bytes`."""
        return json.loads(self.read_bytes(name))


def open_model(folder: Path) -> ModelFolder:
    """Read and check a model folder. Raises `ModelMissing` or `IntegrityError`."""
    try:
        return _open_model(folder)
    except OSError as error:
        raise ModelMissing(
            f"{error.filename}: cannot be read ({error.strerror}); grant it, or install the model again"
        ) from error


def _open_model(folder: Path) -> ModelFolder:
    checksums_path = folder / CHECKSUMS_NAME
    if not checksums_path.is_file():
        raise ModelMissing(f"{folder}: no model here ({CHECKSUMS_NAME} is missing); give a model folder")
    checksums = _read_checksums(checksums_path)
    for name, expected in checksums.items():
        path = folder / name
        if not path.is_file():
            raise ModelMissing(f"{path}: missing, though {CHECKSUMS_NAME} lists it; install the model again")
        if sha256_of_file(path) != expected:
            raise IntegrityError(f"{path}: not the file that {CHECKSUMS_NAME} lists; install the model again")
    if CARD_NAME not in checksums:
        raise ModelMissing(f"{folder}: {CHECKSUMS_NAME} does not list {CARD_NAME}; install the model again")
    card = _read_card(folder / CARD_NAME)
    if str(card["weights"]) not in checksums:
        raise IntegrityError(f"{folder}: {CARD_NAME} names weights that {CHECKSUMS_NAME} does not list")
    return ModelFolder(folder, card, checksums)


def seal_model(folder: Path) -> None:
    """Write `SHA256SUMS` over every file of the folder: the last step of saving a model."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != CHECKSUMS_NAME)
    lines = [f"{sha256_of_file(path)}  {path.name}\n" for path in files]
    (folder / CHECKSUMS_NAME).write_text("".join(lines), encoding="utf-8")


def _read_card(path: Path) -> Mapping[str, Any]:
    try:
        card = json.loads(path.read_bytes())
    except ValueError as error:
        raise IntegrityError(f"{path}: not JSON ({error}); install the model again") from error
    for key in _IDENTITY:
        if not isinstance(card, dict) or not card.get(key):
            raise IntegrityError(f"{path}: the card does not say {key!r}; install the model again")
    try:
        _part_of(card)
    except ValueError as error:
        raise IntegrityError(f"{path}: {error}; install the model again") from error
    return dict(card)


def _part_of(card: Mapping[str, Any]) -> tuple[PartKind, str]:
    """Kind and name of the one part that a card is for; raises `ValueError` when it does not name just one."""
    kinds: tuple[PartKind, ...] = get_args(PartKind)
    named = [(kind, card[kind]) for kind in kinds if kind in card]
    if len(named) != 1:
        raise ValueError(f"the card must name one of {', '.join(kinds)}, and names {len(named)} of them")
    kind, name = named[0]
    if not isinstance(name, str) or not name:
        raise ValueError(f"the card does not say {kind!r}")
    return kind, name


def _read_checksums(path: Path) -> dict[str, str]:
    checksums = {}
    for line in path.read_text(encoding="utf-8", errors="backslashreplace").splitlines():
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name or Path(name).name != name:
            raise IntegrityError(f"{path}: the line {line!r} is not 'sha256  file name'")
        checksums[name] = digest
    return checksums
