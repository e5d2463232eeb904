"""Gives the front end's phones the times of flite's: the two dictionaries differ in reduced vowels and pauses."""

from collections.abc import Sequence

import numpy as np

from ...core.records import Float32Array

_SAME = {"ax": "AH", "axr": "ER", "dx": "T", "ix": "IH", "ux": "UW", "en": "N", "el": "L", "em": "M"}
_VOWELS = frozenset({"AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"})
_SKIP = 0.8


def phone_ends_s(symbols: Sequence[str], spoken: Sequence[str], spoken_ends_s: Sequence[float]) -> Float32Array:
    """End time of each front-end symbol (n,), by the cheapest alignment with the phones that were spoken.

    A symbol that was not spoken gets no time of its own; a spoken phone without a symbol is added to the symbol
    before it. Pause symbols start with "pau".
    """
    names = [_SAME.get(name, name.upper()) for name in spoken]
    rows, columns = len(symbols), len(names)
    cost = np.zeros((rows + 1, columns + 1))
    cost[:, 0], cost[0] = _SKIP * np.arange(rows + 1), _SKIP * np.arange(columns + 1)
    for row in range(1, rows + 1):
        for column in range(1, columns + 1):
            cost[row, column] = min(
                cost[row - 1, column - 1] + _mismatch(symbols[row - 1], names[column - 1]),
                cost[row - 1, column] + _SKIP,
                cost[row, column - 1] + _SKIP,
            )
    ends = np.zeros(rows, dtype=np.float32)
    row, column = rows, columns
    while row > 0:
        ends[row - 1] = max(ends[row - 1], spoken_ends_s[column - 1] if column else 0.0)
        if column and np.isclose(cost[row, column], cost[row, column - 1] + _SKIP):
            column -= 1
        elif column and np.isclose(
            cost[row, column], cost[row - 1, column - 1] + _mismatch(symbols[row - 1], names[column - 1])
        ):
            row, column = row - 1, column - 1
        else:
            row -= 1
    return ends


def _mismatch(symbol: str, name: str) -> float:
    if symbol.startswith("pau") or name == "PAU":
        return 0.0 if symbol.startswith("pau") and name == "PAU" else 1.5
    if symbol == name:
        return 0.0
    return 0.5 if (symbol in _VOWELS) == (name in _VOWELS) else 1.2
