"""How clips are marked: a key and a model's mark table give each clip its mark."""

import hmac
from dataclasses import dataclass, field

from ..core.cliprecord import ClipMark
from ..core.errors import UsageError
from ..core.keys import SecretKey
from ..core.modelcard import ModelFolder
from ..core.protocols import TokenMark
from ..watermark.payload import Payload
from ..watermark.sampling import ContextGumbel, SlotGumbel
from ..watermark.table import MarkTable, table_from_json
from .mark_evidence import TABLE_NAME

_START_PURPOSE = "start"


@dataclass(frozen=True)
class Marking:
    """Marks clips under one epoch of a key.

    Raises `UsageError` for a retired epoch, and for a payload where the table has no room for one.
    """

    key: SecretKey
    table: MarkTable
    payload: Payload | None = None
    _start_subkey: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the key, derive what places the clips."""
        self.key.check_active()
        if self.payload is not None and self.table.seeding != "slot":
            raise UsageError(f"{self.table.model}: its marks are seeded by context and carry no payload; leave it out")
        subkey = self.key.subkey(_START_PURPOSE, model=self.table.model, table_sha256=self.table.sha256)
        object.__setattr__(self, "_start_subkey", subkey)

    def mark_for(self, seed: int) -> TokenMark:
        """The mark of the clip with this seed: the same each time, at a slot that only the key's holder can tell."""
        if self.table.seeding == "context1":
            return ContextGumbel.from_key(self.key, self.table, seed=seed)
        start_slot = self.start_slot(seed)
        return SlotGumbel.from_key(self.key, self.table, start_slot=start_slot, payload=self.payload)

    def start_slot(self, seed: int) -> int:
        """Where the clip with this seed begins among the slots: HMAC-SHA256 of the seed, so evenly spread.

        A seed stands in the manifest. With a keyed hash, whoever reads the manifest still cannot line up clips.
        """
        digest = hmac.digest(self._start_subkey, str(seed).encode("ascii"), "sha256")
        return int.from_bytes(digest[:8], "big") % self.table.n_slots

    def describe(self, mark: TokenMark) -> ClipMark:
        """What a record says of the mark."""
        payload = (self.payload.model, self.payload.tenant, self.payload.day) if self.payload else None
        return ClipMark(mark.scheme, self.key.key_id, self.key.epoch, self.table.sha256, payload)


def table_of(model: ModelFolder) -> MarkTable:
    """The mark table of a generator's model. Raises `ModelMissing` and `IntegrityError`."""
    return table_from_json(model.read_bytes(TABLE_NAME), str(model.path / TABLE_NAME))
