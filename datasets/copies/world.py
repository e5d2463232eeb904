"""WORLD: pitch, envelope and aperiodicity of a recording, and speech made of these three again.

Morise, Yokomori and Ozawa 2016, "WORLD: a vocoder-based high-quality speech synthesis system for real-time
applications", through pyworld: pitch by DIO and StoneMask, envelope by CheapTrick, aperiodicity by D4C.
"""

import numpy as np

from ...core.cliprecord import Settings, SpeechKind
from ...core.errors import UsageError
from ...core.rates import DETECTOR_RATE_HZ
from ...core.records import Float32Array
from .registry import COPIES

_FRAME_MS = 5.0


@COPIES.register("world")
class World:
    """The three tracks of WORLD at 200 frames per second, whole: nothing is coded or smoothed in between."""

    name = "world"
    kind: SpeechKind = "vocoder-copy-synthesis"
    family = "WORLD"
    model_sha256: str | None = None
    settings: Settings = (("frame_ms", _FRAME_MS),)

    def __init__(self) -> None:
        """Raises `UsageError` without pyworld."""
        try:
            import pyworld  # noqa: F401  (told now, not at the first clip)
        except ImportError:
            raise UsageError(
                "the method world needs pyworld, which is not installed; pip install 'covoguard[pocket-training]'"
            ) from None

    def copy(self, samples: Float32Array, rng: np.random.Generator) -> Float32Array:
        """As `CopyMethod.copy`; `rng` is not asked: WORLD draws its noise anew from one start in each call."""
        import pyworld

        sound = samples.astype(np.float64)
        pitch_hz, times_s = pyworld.dio(sound, DETECTOR_RATE_HZ, frame_period=_FRAME_MS)
        pitch_hz = pyworld.stonemask(sound, pitch_hz, times_s, DETECTOR_RATE_HZ)
        envelope = pyworld.cheaptrick(sound, pitch_hz, times_s, DETECTOR_RATE_HZ)
        aperiodicity = pyworld.d4c(sound, pitch_hz, times_s, DETECTOR_RATE_HZ)
        made = pyworld.synthesize(pitch_hz, envelope, aperiodicity, DETECTOR_RATE_HZ, _FRAME_MS)[: len(samples)]
        return np.pad(made, (0, len(samples) - len(made))).astype(np.float32)
