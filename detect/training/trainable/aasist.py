"""AASIST in both sizes, as `detect/networks/aasist.py` has it."""

from typing import ClassVar, Self

from ...networks.aasist import AASIST, AASIST_L, SINC_FILTERS, SINC_TAPS, Aasist, AasistConfig
from ...networks.sincbank import SincBank
from ..networks import TRAINABLE, NetworkStart
from ..starting import ExactFrontEnd, LastLayerApart, begin_with, freeze_unused


class _ExactSincBank(ExactFrontEnd, SincBank):
    """Fixed filters in float32."""


@TRAINABLE.register("aasist")
class TrainableAasist(LastLayerApart):
    """From random or released weights; made for crops of 64,600 samples."""

    name: ClassVar[str] = "aasist"
    config: ClassVar[AasistConfig] = AASIST

    @classmethod
    def build(cls, start: NetworkStart) -> Self:
        """See `DetectorNetwork`."""
        body = Aasist(cls.config)
        body.conv_time = _ExactSincBank(SINC_FILTERS, SINC_TAPS)
        freeze_unused(body)
        return cls(begin_with(body, start, cls.name), "out_layer")


@TRAINABLE.register("aasist-l")
class TrainableAasistL(TrainableAasist):
    """The light one."""

    name = "aasist-l"
    config = AASIST_L
