"""RawNet2, as `detect/networks/rawnet2.py` has it."""

from typing import Self

from ...networks.rawnet2 import RAWNET2, RawNet2
from ...networks.sincbank import SincBank
from ..networks import TRAINABLE, NetworkStart
from ..starting import ExactFrontEnd, LastLayerApart, begin_with, freeze_unused


class _ExactSincBank(ExactFrontEnd, SincBank):
    """Fixed filters in float32."""


@TRAINABLE.register("rawnet2")
class TrainableRawNet2(LastLayerApart):
    """From random or released weights; made for crops of 64,600 samples."""

    @classmethod
    def build(cls, start: NetworkStart) -> Self:
        """See `DetectorNetwork`."""
        body = RawNet2(RAWNET2)
        body.Sinc_conv = _ExactSincBank(RAWNET2.filters, RAWNET2.filter_taps)
        freeze_unused(body)
        return cls(begin_with(body, start, "rawnet2"), "fc2_gru")
