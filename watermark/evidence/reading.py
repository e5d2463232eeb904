"""What the test of presence found in one sound under one key."""

import math
from dataclasses import dataclass
from typing import Literal

from ...core.records import Evidence, Segment
from .spans import MarkSpan

METHOD = "token-mark-e-value"

MarkStatus = Literal["present", "absent", "not_checked"]


@dataclass(frozen=True)
class BestHypothesis:
    """The path with the most evidence for its weight."""

    speed: float
    """The sound was played this many times too fast, pitch and all."""
    rate: float
    """After that is undone, a token lasts this many times 40 ms."""
    phase_s: float
    """Where in the sound as given the first token of its block begins."""
    start_slot: int
    """Slot of that token."""


@dataclass(frozen=True)
class MarkReading:
    """Presence, place and certainty. `present` means: sampled under this key, for all that chance can do."""

    status: MarkStatus
    reason: str | None = None
    """Why it was not checked: a code of `core/reasons.py`."""
    log10_p: float | None = None
    """Certified p-value, 1 / E at most 1: over keys, P(p <= a) <= a for any sound whatever."""
    log10_e: float | None = None
    """The e-value: mean of the evidence over all hypotheses, at most 1 on average over keys."""
    log10_p_sharp: float | None = None
    """Saddlepoint p-value of the best hypothesis, corrected for the search: close, but not certified."""
    seconds_used: float = 0.0
    """Seconds of the sound that could carry evidence."""
    seconds_needed: float | None = None
    """When absent: about how much marked speech it takes to be sure; None where that is not known."""
    spans: tuple[MarkSpan, ...] = ()
    """When present: where. Each is certain by itself where its own `log10_p` is at most log10 alpha."""
    best: BestHypothesis | None = None
    hypotheses_searched: int = 0
    """Start slots, layers, blocks and stretches evaluated in full."""

    def to_evidence(self, *, model_sha256: str | None = None) -> Evidence:
        """The record of this finding; `model_sha256` is the recoverer's."""
        return Evidence(
            kind="token_mark",
            method=METHOD,
            status=self.status,
            score=self.log10_e,
            # the smallest float64 stands for all below it, so that no p-value reads as impossible
            p_value=None if self.log10_p is None else max(10.0**self.log10_p, math.ulp(0.0)),
            segments=tuple(Segment(span.start_s, span.end_s) for span in self.spans),
            model_sha256=model_sha256,
        )
