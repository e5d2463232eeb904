"""EER of every generator family against one pool of bona fide speech.

A pooled EER is dominated by the families with most clips and hides a wide spread between them, so this table
goes beside every pooled figure. The macro mean weighs each family alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .eer import eer
from .trials import Float64Array, ScoresError, check_trials


@dataclass(frozen=True)
class FamilyEer:
    """One generator family: its EER in [0, 1] against all bona fide speech, and its number of clips."""

    family: str
    eer: float
    n_spoof: int


@dataclass(frozen=True)
class PerFamily:
    """All families, the worst first, and the size of the bona fide pool that they share."""

    families: tuple[FamilyEer, ...]
    n_bonafide: int

    @property
    def macro_mean(self) -> float:
        """Mean EER over families, each counting once."""
        return float(np.mean([family.eer for family in self.families]))

    def worst(self, n: int = 5) -> tuple[FamilyEer, ...]:
        """The `n` families with the highest EER; all of them where there are fewer."""
        return self.families[:n]


def per_family_eer(scores: npt.ArrayLike, is_spoof: npt.ArrayLike, families: Sequence[str | None]) -> PerFamily | None:
    """EER per family; None without both classes.

    `families` (n,) names the generator family of each spoof score; entries of bona fide scores are not looked
    at. A spoof score without a family raises `ScoresError`.
    """
    trials = check_trials(scores, is_spoof)
    if len(families) != len(trials.scores):
        raise ScoresError(f"{len(trials.scores)} scores but {len(families)} families; give one per score")
    if not trials.has_both_classes:
        return None
    positions: dict[str, list[int]] = {}
    for position in np.flatnonzero(trials.is_spoof).tolist():
        family = families[position]
        if not family:
            raise ScoresError(f"score number {position} is spoof but has no family; name one or leave it out")
        positions.setdefault(family, []).append(position)
    table = [_family_eer(name, trials.scores[index], trials.bonafide) for name, index in positions.items()]
    return PerFamily(tuple(sorted(table, key=lambda row: (-row.eer, row.family))), len(trials.bonafide))


def _family_eer(family: str, spoof: Float64Array, bonafide: Float64Array) -> FamilyEer:
    is_spoof = np.arange(len(spoof) + len(bonafide)) < len(spoof)
    value = eer(np.concatenate((spoof, bonafide)), is_spoof)
    assert value is not None, "both classes are present by construction"
    return FamilyEer(family, value, len(spoof))
