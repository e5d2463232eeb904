"""Codec round trips under the label spoof, for those who ask for them by name.

CodecFake and its like call speech that a codec made again "spoof". For neural codecs, which speech language models
speak through, that is sound. For the codecs of telephones and music it is a known shortcut: genuine speech reaches a
detector through them every day. So the usual way is `--codec`, which damages both classes and changes no label.
"""

import numpy as np

from ..core.cliprecord import Settings, SpeechKind
from ..core.records import Float32Array
from ..datasets.degrade.codec import CODECS
from .build_damage import CodecDamage

_PREFIX = "codec-"


class CodecCopy:
    """A `CopyMethod`: one codec at its lowest bit rate, labelled as made by it."""

    kind: SpeechKind = "codec"
    model_sha256: str | None = None

    def __init__(self, name: str) -> None:
        """`name` is one of `names`."""
        self.name = name
        self._codec = CodecDamage.parse(name.removeprefix(_PREFIX))
        self.family = CODECS[self._codec.codec].encoder
        self.settings: Settings = self._codec.settings

    @staticmethod
    def names() -> list[str]:
        """Of all codecs, such as `codec-mp3`."""
        return [f"{_PREFIX}{name}" for name in CODECS]

    def copy(self, samples: Float32Array, rng: np.random.Generator) -> Float32Array:
        """As `CopyMethod.copy`; `rng` is not asked."""
        return self._codec.apply(samples, rng)[0]
