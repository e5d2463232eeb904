"""LFCC-LCNN-LSTM, as `detect/networks/lcnn.py` has it."""

from typing import Self

from torch import nn

from ...networks.lcnn import UNUSED_KEYS, Lcnn, Lfcc
from ..networks import TRAINABLE, NetworkStart
from ..starting import ExactFrontEnd, LastLayerApart, begin_with


class _ExactLfcc(ExactFrontEnd, Lfcc):
    """Cepstra in float32."""


@TRAINABLE.register("lcnn")
class TrainableLcnn(LastLayerApart):
    """From random or released weights."""

    @classmethod
    def build(cls, start: NetworkStart) -> Self:
        """See `DetectorNetwork`."""
        body = Lcnn()
        body.m_frontend = nn.ModuleList([_ExactLfcc()])
        return cls(begin_with(body, start, "lcnn", UNUSED_KEYS), "m_output_act.0")
