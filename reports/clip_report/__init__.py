"""The clip report: one self-contained HTML page on one file, for people who act on it."""

from .heard import Heard, hear
from .page import ClipFacts, PolicyThresholds, clip_report
from .redaction import redacted, redacted_examined
from .rows import what_matters

__all__ = [
    "ClipFacts",
    "Heard",
    "PolicyThresholds",
    "clip_report",
    "hear",
    "redacted",
    "redacted_examined",
    "what_matters",
]
