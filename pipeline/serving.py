"""Marks inside a vLLM server: its class path is `covoguard.pipeline.serving:TokenMarkProcessor`.

Keys come from the server's own key ring (`$COVOGUARD_KEYS`), the mark table from the model folder that
`$COVOGUARD_SERVED_MODEL` names. See `generate/serving/processor.py` for the versions that it is written for.
"""

import importlib
import os
import types
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ..core.errors import CovoguardError, UsageError
from ..core.keyring import KeyRing
from ..core.modelcard import open_model
from ..core.protocols import DeviceMark
from ..generate.serving.mark_request import REFUSAL, MarkRequest, RemoteMark
from ..generate.serving.processor import TokenMarkRows
from ..generate.serving.served_model import ServedModel
from ..watermark.payload import Payload
from ..watermark.sampling import SlotGumbel
from ..watermark.table import MarkTable
from .marking import Marking, table_of

if TYPE_CHECKING:
    TokenMarkProcessor: type

SERVED_MODEL_VARIABLE = "COVOGUARD_SERVED_MODEL"


class RingMarks:
    """A `MarkSource` over a key ring, which is read afresh for each request."""

    def __init__(self, ring: KeyRing, table: MarkTable, audio_ids: range) -> None:
        """Raises `UsageError` for a table that is not seeded by slot."""
        _check_seeding(table)
        self.audio_ids = audio_ids
        self._ring = ring
        self._table = table

    @classmethod
    def from_environment(cls) -> Self:
        """As the two variables say. Raises `UsageError`, `ModelMissing` and `IntegrityError`."""
        folder = os.environ.get(SERVED_MODEL_VARIABLE)
        if not folder:
            raise UsageError(
                f"${SERVED_MODEL_VARIABLE} is not set; name the covoguard folder of the served model there"
            )
        model = open_model(Path(folder))
        return cls(KeyRing.open(), table_of(model), ServedModel.of(model).audio_ids)

    def mark_for(self, request: MarkRequest) -> DeviceMark:
        """The mark that is asked for; raises `ValueError`, which names no other key, when it cannot be had."""
        marking = self._marking(request.key_id, request.epoch, request.payload)
        return SlotGumbel.from_key(
            marking.key, self._table, start_slot=marking.start_slot(request.seed), payload=marking.payload
        )

    def _marking(self, key_id: str, epoch: int, payload: tuple[int, int, int] | None) -> Marking:
        try:
            file = next((each for each in self._ring.files() if each.key_id == key_id), None)
            if file is None:
                raise ValueError(f"{REFUSAL}this server has no key {key_id}; ask its operator")
            if file.active.epoch != epoch:
                raise ValueError(
                    f"{REFUSAL}epoch {epoch} of {key_id} does not mark here, epoch {file.active.epoch} does; "
                    "bring the two key rings to the same state"
                )
            return Marking(file.active, self._table, _payload(payload))
        except CovoguardError as error:
            raise ValueError(f"{REFUSAL}the server's keys cannot be used ({error.code}); ask its operator") from error


class RingMarkRows(TokenMarkRows):
    """The processor with the marks of the environment's key ring, still without vLLM's base class."""

    @classmethod
    def source(cls) -> RingMarks:
        """Opened once per process."""
        return _marks_of_environment()


def remote_mark(marking: Marking) -> RemoteMark:
    """The mark as a client asks a server for it. Raises `UsageError` for a table that is not seeded by slot."""
    _check_seeding(marking.table)
    payload = marking.payload
    described = marking.describe(marking.mark_for(0))
    return RemoteMark(
        described.scheme,
        described.key_id,
        described.epoch,
        None if payload is None else (payload.model, payload.tenant, payload.day),
    )


def __getattr__(name: str) -> type:
    """Make `TokenMarkProcessor` when vLLM looks it up: only then must vLLM be there."""
    if name != "TokenMarkProcessor":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    base = importlib.import_module("vllm.v1.sample.logits_processor").LogitsProcessor
    made = types.new_class(name, (RingMarkRows, base), exec_body=lambda body: body.update(__module__=__name__))
    globals()[name] = made
    return made


def _payload(fields: tuple[int, int, int] | None) -> Payload | None:
    try:
        return None if fields is None else Payload(*fields)
    except ValueError as error:
        raise ValueError(f"{REFUSAL}{error}") from error


@cache
def _marks_of_environment() -> RingMarks:
    return RingMarks.from_environment()


def _check_seeding(table: MarkTable) -> None:
    if table.seeding != "slot":
        raise UsageError(f"{table.model}: its marks are seeded by context, and a server can only seed them by slot")
