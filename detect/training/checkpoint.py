"""Checkpoints that a kill, a full disk or another recipe cannot spoil.

`checkpoint.json` names a file of tensors and its SHA-256. The tensors come first, under a name of their own, then the
JSON is put in the place of the older one in a single step, then the older tensors go: at every moment the folder
holds one whole checkpoint. Tensors are safetensors, everything else is JSON; nothing in it can run.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from ...core.errors import IntegrityError, UsageError
from ...core.folderlock import lock_folder
from ...core.jsonrecord import from_json
from ...core.wholefile import PARTIAL_SUFFIX, write_whole
from ..networks.weights import to_safetensors
from .journal import writing
from .stopping import EpochRecord

CHECKPOINT_NAME = "checkpoint.json"
FORMAT = 1
_LOCK_NAME = ".lock"


@dataclass(frozen=True)
class Course:
    """How far a training has come, beside its tensors."""

    step: int = 0
    """Steps done."""
    epoch_loss: float = 0.0
    """Sum of the losses of the epoch under way."""
    epoch_losses: int = 0
    """How many those are."""
    skipped: int = 0
    """Steps in a row whose gradient was not finite, up to now."""
    loss_scale: float | None = None
    """Of the gradient scaler, with float16 alone."""
    loss_scale_age: int = 0
    """Steps since that scale was last changed."""
    ended: bool = False
    history: tuple[EpochRecord, ...] = ()


@dataclass(frozen=True)
class Checkpoint:
    """A moment of a training, from which it goes on as if nothing had happened."""

    course: Course
    tensors: Mapping[str, Tensor]


class CheckpointFolder:
    """The one checkpoint of one training."""

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        """`identity` is all that decides the result, as JSON values; a checkpoint of another one is refused."""
        self.path = path
        self._identity: dict[str, Any] = json.loads(json.dumps(dict(identity)))

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder, keep other trainings out, and clear away what a killed writer left.

        Raises `UsageError` for a folder that cannot be used or where another training is at work.
        """
        descriptor = lock_folder(self.path, _LOCK_NAME)
        try:
            for partial in self.path.glob(f".*{PARTIAL_SUFFIX}"):
                partial.unlink(missing_ok=True)
            yield
        finally:
            os.close(descriptor)  # the lock goes with it

    def load(self) -> Checkpoint | None:
        """The checkpoint; None: there is none yet.

        Raises `UsageError` that says what differs for one of another identity, `IntegrityError` for a damaged one.
        """
        path = self.path / CHECKPOINT_NAME
        try:
            written = json.loads(path.read_bytes())
            self._refuse_other(written["identity"])
            if written["format"] != FORMAT:
                raise ValueError(f"of format {written['format']}, this version reads {FORMAT}")
            course = from_json(Course, written["course"])
            content = (self.path / str(written["tensors"])).read_bytes()
            if hashlib.sha256(content).hexdigest() != written["sha256"]:
                raise ValueError(f"{written['tensors']} is not the file whose checksum it holds")
            return Checkpoint(course, load(content))
        except FileNotFoundError as error:
            if error.filename == str(path):
                return None
            raise self._damaged(f"{error.filename} is missing") from error
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise self._damaged(str(error)) from error

    def save(self, checkpoint: Checkpoint) -> None:
        """Put a checkpoint in the place of the one before. Raises `CovoguardError` (`output_error`)."""
        content = to_safetensors(checkpoint.tensors)
        sha256 = hashlib.sha256(content).hexdigest()
        name = f"checkpoint-{sha256[:16]}.safetensors"
        written = {
            "format": FORMAT,
            "identity": self._identity,
            "course": asdict(checkpoint.course),
            "tensors": name,
            "sha256": sha256,
        }
        with writing(self.path):
            write_whole(self.path / name, [content])
            write_whole(self.path / CHECKPOINT_NAME, [json.dumps(written, allow_nan=False).encode() + b"\n"])
            for older in self.path.glob("checkpoint-*.safetensors"):
                if older.name != name:
                    older.unlink(missing_ok=True)

    def _refuse_other(self, identity: Mapping[str, Any]) -> None:
        there, now = dict(_flat(identity)), dict(_flat(self._identity))
        different = [
            f"{name} ({there.get(name, 'nothing')} there, {now.get(name, 'nothing')} now)"
            for name in sorted({*there, *now})
            if there.get(name) != now.get(name)
        ]
        if different:
            raise UsageError(
                f"{self.path}: holds another training, which differs in {', '.join(different)}; "
                "repeat that one to go on with it, or name another folder"
            )

    def _damaged(self, reason: str) -> IntegrityError:
        return IntegrityError(
            f"{self.path / CHECKPOINT_NAME}: damaged ({reason}); remove {self.path} to begin the training anew"
        )


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Nested mappings as dotted names."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value
