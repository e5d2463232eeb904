"""How large a recoverer is for how many codes, as its card says it."""

from dataclasses import asdict, dataclass
from typing import Any, Self

from ..pocket.recoverer_network import RecovererNetwork

_FEW_CODES = 2048
"""Up to here pocket's small network does; above, a wider and deeper one with a narrowed head."""
_LIMITS = {"codes": 1 << 20, "width": 1 << 14, "blocks": 256, "head_width": 1 << 14}


@dataclass(frozen=True)
class RecovererShape:
    """The sizes of a `RecovererNetwork`. Raises `ValueError` for some that cannot be."""

    codes: int
    width: int = 192
    blocks: int = 5
    head_width: int | None = None
    """Of the layer between hidden state and logits; None: there is none."""

    def __post_init__(self) -> None:
        """Check every size."""
        for name, limit in _LIMITS.items():
            value = getattr(self, name)
            if value is None and name == "head_width":
                continue
            if type(value) is not int or not (2 if name == "codes" else 1) <= value <= limit:
                raise ValueError(f"{name} is {value!r}; it must be a whole number up to {limit}")

    @classmethod
    def for_codes(cls, codes: int, width: int | None = None, blocks: int | None = None) -> Self:
        """What suits a codebook of `codes`; `width` and `blocks` where the user knows better.

        16384 codes: 10 blocks of width 512 and a head of 256, 25.5 million weights; a cell sees 0.6 s either side.
        """
        if codes <= _FEW_CODES:
            return cls(codes, width or 192, blocks or 5)
        return cls(codes, width or 512, blocks or 10, min(width or 512, 256))

    @classmethod
    def from_card(cls, settings: Any) -> Self:
        """From what `to_card` gave. Raises `ValueError`."""
        if not isinstance(settings, dict) or settings.keys() != cls.__dataclass_fields__.keys():
            raise ValueError(f"the sizes must be {', '.join(cls.__dataclass_fields__)}")
        return cls(**settings)

    def to_card(self) -> dict[str, int | None]:
        """JSON values by name."""
        return asdict(self)

    def network(self) -> RecovererNetwork:
        """A network of this shape with weights drawn from torch's generator."""
        return RecovererNetwork(self.width, self.blocks, self.codes, self.head_width)
