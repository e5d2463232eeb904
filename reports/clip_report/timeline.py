"""What lies along the time axis: the strip of window scores, and round seconds for the ticks."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

HEAT_STEPS = 600
FULL_HEAT_LOG10_LR = 2.0
"""Ratios of 100 and more, or 1/100 and less, have the full colour."""
_ROUND_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
_MAX_TICKS = 8


@dataclass(frozen=True)
class HeatCell:
    """A stretch of the strip, in percent of the whole, and the highest ratio of the windows that cover it."""

    left: float
    width: float
    log10_lr: float

    @property
    def side(self) -> str:
        """`for` generated speech, or `against`."""
        return "for" if self.log10_lr > 0 else "against"

    @property
    def opacity(self) -> float:
        """How strongly it speaks, from 0 to 1."""
        return round(min(1.0, abs(self.log10_lr) / FULL_HEAT_LOG10_LR), 2)


def heat_cells(windows: Sequence[tuple[float, float, float]], duration_s: float) -> list[HeatCell]:
    """The strip for windows of [start_s, end_s, log10_lr]; where they overlap, the highest counts."""
    if duration_s <= 0:
        return []
    heat = np.full(HEAT_STEPS, -np.inf)
    for start_s, end_s, log10_lr in windows:
        first = int(HEAT_STEPS * min(max(start_s / duration_s, 0.0), 1.0))
        end = int(np.ceil(HEAT_STEPS * min(max(end_s / duration_s, 0.0), 1.0)))
        heat[first:end] = np.maximum(heat[first:end], log10_lr)
    edges = [0, *(np.flatnonzero(heat[1:] != heat[:-1]) + 1).tolist(), HEAT_STEPS]
    percent = 100 / HEAT_STEPS
    return [
        HeatCell(round(first * percent, 3), round((end - first) * percent, 3), float(heat[first]))
        for first, end in pairwise(edges)
        if np.isfinite(heat[first])
    ]


def ticks(duration_s: float) -> list[tuple[float, str]]:
    """Round moments of a sound: place in percent, and clock."""
    step_s = next((step for step in _ROUND_S if duration_s / step <= _MAX_TICKS), _ROUND_S[-1])
    count = min(int(duration_s / step_s), 100) if duration_s > 0 else -1
    return [(round(100 * number * step_s / duration_s, 3), clock(number * step_s)) for number in range(count + 1)]


def clock(at_s: float) -> str:
    """Minutes and seconds, with tenths where there are any; hours where there are some."""
    tenths = round(at_s * 10)
    minutes, rest = divmod(tenths, 600)
    seconds = f"{rest // 10:02d}" + (f".{rest % 10}" if rest % 10 else "")
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds}" if hours else f"{minutes}:{seconds}"
