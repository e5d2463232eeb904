"""What a request to a served model says of its mark: the id of a key, never the key.

It travels in `SamplingParams.extra_args` of vLLM (page "Custom Arguments" of its documentation). Client and server
both use this module, so that they cannot disagree about names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from ...core.errors import UsageError
from ...core.keys import KEY_ID_PATTERN
from ...core.records import Float32Array, Int32Array

PREFIX = "covoguard_"
REFUSAL = "covoguard: "
"""Begins every refusal of the server's side, so that the client can tell it from other complaints."""
PAYLOAD_FIELDS = 3
MAX_SEED = 2**63 - 1
_NAMES = {f"{PREFIX}{name}" for name in ("key_id", "epoch", "seed", "payload")}


@dataclass(frozen=True)
class MarkRequest:
    """The mark that one clip is to carry. The server's key gives the start slot from `seed`, as in local generation."""

    key_id: str
    epoch: int
    seed: int
    payload: tuple[int, int, int] | None = None
    """Model, tenant, day."""

    def to_arguments(self) -> dict[str, str | int | list[int]]:
        """The entries of `extra_args`."""
        arguments: dict[str, str | int | list[int]] = {
            f"{PREFIX}key_id": self.key_id,
            f"{PREFIX}epoch": self.epoch,
            f"{PREFIX}seed": self.seed,
        }
        if self.payload is not None:
            arguments[f"{PREFIX}payload"] = list(self.payload)
        return arguments

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, object] | None) -> Self | None:
        """What `extra_args` ask for; None when they ask for no mark.

        Raises `ValueError` for one that is unknown, missing or malformed; the message quotes no value.
        """
        ours = {name: value for name, value in (arguments or {}).items() if name.startswith(PREFIX)}
        if not ours:
            return None
        if unknown := sorted(ours.keys() - _NAMES):
            raise ValueError(f"{REFUSAL}unknown arguments {', '.join(unknown)}; known: {', '.join(sorted(_NAMES))}")
        key_id, epoch, seed = (ours.get(f"{PREFIX}{name}") for name in ("key_id", "epoch", "seed"))
        if not (isinstance(key_id, str) and KEY_ID_PATTERN.fullmatch(key_id)):
            raise ValueError(f"{REFUSAL}{PREFIX}key_id must be the whole id of a key, a k and 10 hexadecimal digits")
        if type(epoch) is not int or epoch < 1:
            raise ValueError(f"{REFUSAL}{PREFIX}epoch must be a whole number from 1")
        if type(seed) is not int or not 0 <= seed <= MAX_SEED:
            raise ValueError(f"{REFUSAL}{PREFIX}seed must be a whole number from 0 to 2^63 - 1")
        return cls(key_id, epoch, seed, _payload(ours.get(f"{PREFIX}payload")))


@dataclass
class RemoteMark:
    """A `TokenMark` that the server puts on; here it is only a name for it."""

    scheme: str
    key_id: str
    epoch: int
    payload: tuple[int, int, int] | None = None

    def request(self, seed: int) -> MarkRequest:
        """What is asked of the server for the clip with this seed."""
        return MarkRequest(self.key_id, self.epoch, seed, self.payload)

    def sample(self, probs: Float32Array, slot: int) -> Int32Array:
        """Raises `UsageError`: the server samples."""
        raise UsageError("this mark is put on by the server that runs the model; choose the generator `server`")


def _payload(value: object) -> tuple[int, int, int] | None:
    if value is None:
        return None
    if isinstance(value, list | tuple) and len(value) == PAYLOAD_FIELDS and all(type(each) is int for each in value):
        model, tenant, day = value
        return model, tenant, day
    raise ValueError(f"{REFUSAL}{PREFIX}payload must be three whole numbers: model, tenant, day")
