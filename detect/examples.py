"""Training material as the trainers see it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Example:
    """One clip: its label, the group that sampling is balanced over, and its features."""

    spoof: bool
    group: str
    """Generator family for spoofs, source corpus for bona fide speech."""
    copies: Sequence[npt.NDArray[np.float16]] = field(repr=False, compare=False)
    """The trainer's features, one array per copy of the clip; copy 0 is the clip as it is, the others degraded."""
