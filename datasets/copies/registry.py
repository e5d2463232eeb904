"""The methods of copy-synthesis, by name."""

from typing import Protocol

import numpy as np

from ...core.cliprecord import Settings, SpeechKind
from ...core.records import Float32Array
from ...core.registry import Registry


class CopyMethod(Protocol):
    """Makes speech again from what an analysis kept of it. Without state: one serves any number of clips."""

    name: str
    """Of the registry, and the generator of the spoofs."""
    kind: SpeechKind
    family: str
    """What splits keep together."""
    model_sha256: str | None
    """Of the model behind it; None: it needs none."""
    settings: Settings
    """All that decides the sound beside the recording and the random numbers, for the recipe."""

    def __init__(self) -> None:
        """Raises `UsageError` where a library that the method needs is missing."""

    def copy(self, samples: Float32Array, rng: np.random.Generator) -> Float32Array:
        """Finite float32 mono samples (n,), n above 0, at 16 kHz -> float32 (n,) of the same words and voice.

        Silence stays silent; the same samples and generator state give the same copy.
        """
        ...


COPIES: Registry[CopyMethod] = Registry("method of copy-synthesis", __package__)
