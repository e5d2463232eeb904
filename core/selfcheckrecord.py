"""What a self-check of false alarms found: the keys of its JSON form, field for field."""

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["within_bounds", "above_bounds", "nothing_tested"]


@dataclass(frozen=True)
class Share:
    """How many pairs had p <= `bound`. `upper_limit`: Clopper-Pearson (1934), one-sided 95 %."""

    bound: float
    pairs: int
    share: float
    upper_limit: float
    above: bool


@dataclass(frozen=True)
class SelfCheck:
    """What came of a self-check, as far as it went. `files` is the number that could be tested."""

    outcome: Outcome
    files: int
    keys: int
    pairs: int
    seed: int
    shares: tuple[Share, ...]
    mean_e: float | None
    """Should not exceed 1; few large values carry it, so it says little over few pairs."""
    largest_log10_e: float | None
    largest_e_path: str | None
    model: str
    table_sha256: str
    recoverer_sha256: str
