"""covoguard: audio deepfake detection and provenance.

A prompt becomes marked speech tokens, tokens become audio, audio becomes a labelled row, rows train a
detector, and any audio file anywhere becomes a verdict with its evidence.
"""

from .core.errors import (
    CovoguardError,
    InputError,
    IntegrityError,
    KeyMissing,
    ModelMissing,
    UsageError,
)
from .core.records import Audio, Evidence, ScoredSegment, Segment, Verdict
from .core.version import __version__

__all__ = [
    "Audio",
    "CovoguardError",
    "Evidence",
    "InputError",
    "IntegrityError",
    "KeyMissing",
    "ModelMissing",
    "ScoredSegment",
    "Segment",
    "UsageError",
    "Verdict",
    "__version__",
]
