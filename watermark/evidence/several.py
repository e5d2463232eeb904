"""Several keys tried on one sound: one certified answer for all, and the key to which the mark may be ascribed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from .reading import MarkReading, MarkStatus

Key = TypeVar("Key")


@dataclass(frozen=True)
class KeysReading(Generic[Key]):
    """Presence under any of several keys."""

    status: MarkStatus
    log10_p: float | None
    """Certified for all keys together."""
    log10_e: float | None
    """The mean of the keys' e-values is an e-value."""
    keys: tuple[Key, ...]
    """Keys certain by themselves (p <= alpha / number of keys), the most certain first; each a span's owner."""


def combine_keys(readings: Mapping[Key, MarkReading], alpha: float) -> KeysReading[Key]:
    """Combine the readings of one sound; `not_checked` when no key could be tried."""
    checked = {key: each.log10_e for key, each in readings.items() if each.log10_e is not None}
    if not checked:
        return KeysReading("not_checked", None, None, ())
    values = np.array(list(checked.values()))
    highest = float(values.max())
    log10_e = highest + math.log10(float(np.mean(10 ** (values - highest))))
    log10_p = min(0.0, -log10_e)
    limit = math.log10(len(checked) / alpha)
    certain = [key for key in sorted(checked, key=lambda each: -checked[each]) if checked[key] >= limit]
    present = log10_p <= math.log10(alpha)
    return KeysReading("present" if present else "absent", log10_p, log10_e, tuple(certain) if present else ())
