"""Detection cost: what the errors at one operating point cost, against not listening at all.

ASVspoof 5 (evaluation plan; evaluation package, `compute_mindcf` and `compute_actDCF` of
`calculate_modules.py`) scores the other way round, and so its words mean the opposite of those used here:

| ASVspoof 5: higher = more bona fide          | covoguard: higher = more synthetic              |
|----------------------------------------------|-------------------------------------------------|
| target: bona fide                            | target: spoof                                   |
| miss: bona fide rejected, Cmiss = 1          | false alarm: bona fide flagged, cost 1          |
| false alarm: spoof accepted, Cfa = 10        | miss: spoof not flagged, cost 10                |
| Pspoof = 0.05                                | prior_spoof = 0.05                              |
| beta = Cmiss (1 - Pspoof) / (Cfa Pspoof)     | weight_fpr / weight_fnr, here 1.9               |
| accepted if ln LR(bona fide) >= -ln(beta)    | flagged if log10 LR(spoof) > log10 1.9 = 0.279  |

Either way the cost is 1 * 0.95 * P(bona fide flagged) + 10 * 0.05 * P(spoof not flagged), divided by that of
the better trivial system: min(0.95, 0.5) = 0.5, for flagging nothing. So 0 is perfect and 1 is useless.
"""

from dataclasses import dataclass
from math import log10

import numpy as np
import numpy.typing as npt

from ...core.errors import UsageError
from .eer import roc_points
from .trials import check_trials


@dataclass(frozen=True)
class DetectionCosts:
    """An application: how often it meets generated speech, and what each error costs it."""

    prior_spoof: float
    cost_flagged_bonafide: float
    cost_missed_spoof: float

    def __post_init__(self) -> None:
        """Raise `UsageError` for a prior outside (0, 1) or a cost that is not above 0."""
        if not 0 < self.prior_spoof < 1:
            raise UsageError(f"prior_spoof is {self.prior_spoof}; it must lie between 0 and 1")
        if not (0 < self.cost_flagged_bonafide < np.inf and 0 < self.cost_missed_spoof < np.inf):
            raise UsageError("the costs of both errors must be above 0 and finite")

    @property
    def weight_fpr(self) -> float:
        """Cost of flagging all bona fide speech."""
        return self.cost_flagged_bonafide * (1.0 - self.prior_spoof)

    @property
    def weight_fnr(self) -> float:
        """Cost of flagging nothing."""
        return self.cost_missed_spoof * self.prior_spoof

    @property
    def threshold_log10_lr(self) -> float:
        """The log10 likelihood ratio above which flagging costs less than not flagging (Bayes)."""
        return log10(self.weight_fpr / self.weight_fnr)


ASVSPOOF5 = DetectionCosts(prior_spoof=0.05, cost_flagged_bonafide=1.0, cost_missed_spoof=10.0)


def min_dcf(scores: npt.ArrayLike, is_spoof: npt.ArrayLike, costs: DetectionCosts = ASVSPOOF5) -> float | None:
    """Normalised cost in [0, 1] at the threshold that suits these very scores best.

    Any monotone scale will do. Tied scores are kept together, while the ASVspoof 5 package cuts through ties
    in the order of its input; without ties the two agree. None without both classes.
    """
    roc = roc_points(scores, is_spoof)
    if roc is None:
        return None
    cost = costs.weight_fpr * roc.fpr + costs.weight_fnr * roc.fnr
    return float(cost.min() / min(costs.weight_fpr, costs.weight_fnr))


def act_dcf(log10_lr: npt.ArrayLike, is_spoof: npt.ArrayLike, costs: DetectionCosts = ASVSPOOF5) -> float | None:
    """Normalised cost at the threshold that theory sets for calibrated scores; None without both classes.

    `log10_lr` (n,) are log10 likelihood ratios. Never below `min_dcf`; the difference is the price of
    miscalibration, and above 1 the system does harm.
    """
    trials = check_trials(log10_lr, is_spoof)
    if not trials.has_both_classes:
        return None
    fpr = np.mean(trials.bonafide > costs.threshold_log10_lr)
    fnr = np.mean(trials.spoof <= costs.threshold_log10_lr)
    cost = costs.weight_fpr * fpr + costs.weight_fnr * fnr
    return float(cost / min(costs.weight_fpr, costs.weight_fnr))
