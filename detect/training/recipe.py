"""Every number that shapes a training, so that a configuration can set it and a card can state it."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from ...core.errors import UsageError

Precision = Literal["float32", "bfloat16", "float16"]
Criterion = Literal["eer", "min_cllr"]

_POSITIVE = ("epochs", "learning_rate", "gradient_clip", "spoof_weight", "journal_interval_steps")
_NOT_NEGATIVE = (
    "weight_decay", "mixup", "mask_bands", "mask_frames", "pair_weight", "family_weight", "source_adversary_weight",
    "patience", "checkpoint_interval_s",
)  # fmt: skip
_WITHOUT_EFFECT_ON_WEIGHTS = ("checkpoint_interval_s", "journal_interval_steps")


@dataclass(frozen=True)
class TrainingRecipe:
    """How one network is trained; raises `UsageError` that names the field for a number that cannot be."""

    epochs: int = 30
    """At most; the early stop may end it sooner."""
    learning_rate: float = 1e-3
    """The highest, at the end of the warm-up."""
    warm_up: float = 0.05
    """Share of all steps in which the learning rate rises from zero; it then falls to zero as a half cosine."""
    weight_decay: float = 1e-2
    """Of AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101), on matrices and filters alone."""
    gradient_clip: float = 5.0
    """Largest norm of the gradient over all weights."""
    label_smoothing: float = 0.05
    """The targets are this and 1 less this."""
    spoof_weight: float = 1.0
    """Weight of a generated recording in the loss, that of a genuine one being 1."""
    mixup: float = 0.0
    """Parameter of the Beta distribution by which pairs of recordings are mixed (arXiv 1710.09412); 0: none."""
    mask_bands: int = 0
    """Longest stretch of bands that is hidden from a network that hears spectra (arXiv 1904.08779); 0: none."""
    mask_frames: int = 0
    """The same for frames of 10 ms."""
    average_decay: float = 0.995
    """Of the exponential moving average of the weights, which is what is kept."""
    precision: Precision = "float32"
    """Of the network's sums; front ends and weights stay in float32. float16 needs a CUDA device."""
    pair_weight: float = 0.0
    """Of the loss by which a copy must score above its genuine original; 0: off."""
    family_weight: float = 0.0
    """Of the loss of a head that tells the generators' families apart; 0: off."""
    source_adversary_weight: float = 0.0
    """How hard the embedding is driven to hide where a recording comes from; 0: off."""
    criterion: Criterion = "eer"
    """The held-out figure by which the best epoch is chosen; of equal ones, the lower Cllr decides."""
    patience: int = 8
    """Epochs without a better held-out figure after which the training ends; 0: it never ends early."""
    checkpoint_interval_s: float = 600.0
    """Seconds between checkpoints; 0: after every step."""
    journal_interval_steps: int = 20
    """Steps between lines of the journal."""

    def __post_init__(self) -> None:
        """Check every number."""
        for name, value in asdict(self).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise UsageError(f"{name} is {value}; give a finite number")
            if name in _POSITIVE and value <= 0:
                raise UsageError(f"{name} is {value}; give a number above 0")
            if name in _NOT_NEGATIVE and value < 0:
                raise UsageError(f"{name} is {value}; give 0 or more")
        self._check_range("warm_up", self.warm_up, 1.0)
        self._check_range("average_decay", self.average_decay, 1.0)
        self._check_range("label_smoothing", self.label_smoothing, 0.5)
        for name, value, known in (
            ("precision", self.precision, get_args(Precision)),
            ("criterion", self.criterion, get_args(Criterion)),
        ):
            if value not in known:
                raise UsageError(f"{name} is {value!r}; give one of {', '.join(known)}")

    def learning_rate_at(self, step: int, steps: int) -> float:
        """The learning rate of step `step`, from 0, of `steps`."""
        rising = self.warm_up * steps
        if step < rising:
            return self.learning_rate * (step + 1) / (rising + 1)
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * (step - rising) / (steps - rising)))

    def identity(self) -> dict[str, Any]:
        """The numbers that decide the weights: all but the intervals of checkpoints and journal."""
        return {name: value for name, value in asdict(self).items() if name not in _WITHOUT_EFFECT_ON_WEIGHTS}

    @staticmethod
    def _check_range(name: str, value: float, below: float) -> None:
        if not 0 <= value < below:
            raise UsageError(f"{name} is {value}; give a number from 0 to below {below:g}")
