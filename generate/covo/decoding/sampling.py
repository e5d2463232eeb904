"""How a turn is sampled, with the defaults of the official code."""

import dataclasses
import math
from dataclasses import dataclass

from ....core.errors import UsageError


@dataclass(frozen=True)
class CovoSampling:
    """Settings of one turn. Raises `UsageError` for values that cannot be.

    The defaults are those of Tencent/Covo-Audio's `example.py` (commit 710384c) for every turn but the first,
    which it decodes with `greedy`. Order: repetition penalty, windowed penalty, temperature, top-k, top-p.
    """

    temperature: float = 0.5
    top_k: int = 50
    """0: no limit."""
    top_p: float = 0.9
    """1: no limit."""
    repetition_penalty: float = 1.05
    """Over all ids of the round, the prompt's too (Keskar et al. 2019, arXiv 1909.05858, in the signed form)."""
    window_penalty: float = 1.05
    """A second such penalty over the last ids only."""
    window_tokens: int = 8
    """How many ids the second penalty looks back on; 0: all ids of the round."""
    max_new_tokens: int = 2048
    greedy: bool = False
    """Take the likeliest id after both penalties. Nothing is drawn, so such a turn can carry no mark."""

    def __post_init__(self) -> None:
        """Check the ranges; NaN fails too."""
        for name, accepted, wanted in (
            ("temperature", 0 < self.temperature < math.inf, "above 0 (for the likeliest token choose greedy)"),
            ("top_k", self.top_k >= 0, "0 (no limit) or more"),
            ("top_p", 0 < self.top_p <= 1, "above 0 and at most 1"),
            ("repetition_penalty", 0 < self.repetition_penalty < math.inf, "above 0; 1 means none"),
            ("window_penalty", 0 < self.window_penalty < math.inf, "above 0; 1 means none"),
            ("window_tokens", self.window_tokens >= 0, "0 (all ids) or more"),
            ("max_new_tokens", self.max_new_tokens >= 1, "1 or more"),
        ):
            if not accepted:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be {wanted}")

    @property
    def pairs(self) -> tuple[tuple[str, float | int | bool], ...]:
        """All settings as (name, value), for a recipe."""
        return tuple(dataclasses.asdict(self).items())
