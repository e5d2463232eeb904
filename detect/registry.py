"""The detectors that are installed, by name."""

from ..core.protocols import Scorer
from ..core.registry import Registry

SCORERS: Registry[Scorer] = Registry("detector", f"{__package__}.scorers")
