"""covoguard: audio deepfake detection and provenance.

A prompt becomes marked speech tokens, tokens become audio, audio becomes a labelled row, rows train a
detector, and any audio file anywhere becomes a verdict with its evidence.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .core.errors import CovoguardError, InputError, IntegrityError, KeyMissing, ModelMissing, UsageError
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

_HOMES = (".core.errors", ".core.version", ".core.records")


def __getattr__(name: str) -> Any:
    """Import a public name on first use: `covoguard --help` shall not wait for numpy."""
    if name in __all__:
        for home in _HOMES:
            module = import_module(home, __name__)
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
