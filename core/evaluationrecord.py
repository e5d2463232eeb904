"""What `evaluate` says about a detector on labelled clips: the record that the JSON, the pages and the table show.

As in `core/scanrecord.py`, the attribute names are the keys of the JSON form, in this order. Rates lie in [0, 1].
None: it cannot be measured here; `undefined` or `notes` says why. It never means a good figure.
"""

from dataclasses import dataclass
from typing import Literal

from .scanrecord import Tool

EvaluationSchemaVersion = Literal[1]
EVALUATION_SCHEMA_VERSION: EvaluationSchemaVersion = 1

Against = Literal["all_bonafide", "all_spoof", "within"]
"""What a group's clips are measured with: all genuine clips, all generated ones, or the group's own two classes."""

N_WORST = 5


@dataclass(frozen=True)
class System:
    """What gave the scores. `scale` log10_lr: they are log10 likelihood ratios; raw: higher is more synthetic."""

    name: str
    sha256: str | None
    """Of the model's weights, or of the scores file where no model is known."""
    scale: Literal["log10_lr", "raw"]


@dataclass(frozen=True)
class ClipCounts:
    """Clips that the figures rest on, and those without a score."""

    bonafide: int
    spoof: int
    unscored_bonafide: int
    unscored_spoof: int


@dataclass(frozen=True)
class FixedThreshold:
    """The score at or above which a clip counts as flagged, fixed before it is measured, and where it is from."""

    value: float
    origin: str


@dataclass(frozen=True)
class Estimate:
    """A figure, and the interval of the grouped bootstrap where that shows a spread: a rate of 0 has none."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class PooledFigures:
    """All scored clips together. From `act_dcf` on, what needs log10 likelihood ratios or a threshold."""

    eer: Estimate
    auc: Estimate
    min_dcf: Estimate
    min_cllr: Estimate
    act_dcf: Estimate
    cllr: Estimate
    brier: Estimate
    ece: Estimate
    fpr: Estimate
    """At the fixed threshold."""
    fnr: Estimate
    """At the fixed threshold."""


@dataclass(frozen=True)
class GroupFigures:
    """One group. `n_` are its scored clips, those of the other side not included.

    The intervals take the group as given: its clips are drawn anew, and so is the other side.
    """

    name: str
    n_bonafide: int
    n_spoof: int
    n_unscored: int
    eer: Estimate
    auc: float | None
    fpr: Estimate
    """At the fixed threshold, of the group's own genuine clips."""
    fnr: Estimate
    """At the fixed threshold, of the group's own generated clips."""
    undefined: str | None
    """Why there is no EER."""


@dataclass(frozen=True)
class GroupTable:
    """Clips by one property, the worst group first.

    In a macro mean each group with an EER counts once. Its interval draws the groups anew too where they are a sample
    of many (generators, families, sources), and not where they are given (codecs, bands of SNR).
    """

    name: str
    against: Against
    macro_mean_eer: Estimate
    macro_mean_fpr: Estimate
    """Of the groups' own genuine clips; no value where the groups have none."""
    macro_mean_fnr: Estimate
    """Of the groups' own generated clips; no value where the groups have none."""
    worst: tuple[str, ...]
    """Names of the five groups with the highest EER."""
    groups: tuple[GroupFigures, ...]


@dataclass(frozen=True)
class CrossTestGenerator:
    """One generator against each pool of genuine speech by itself."""

    name: str
    n_spoof: int
    mean_eer: float
    worst_eer: float
    worst_source: str


@dataclass(frozen=True)
class CrossTestSource:
    """One pool of genuine speech against each generator by itself."""

    name: str
    n_bonafide: int
    mean_eer: float
    worst_eer: float
    worst_generator: str


@dataclass(frozen=True)
class CrossTest:
    """Bona fide cross-testing (arXiv 2509.09204): no generator hides behind a mixture of easy genuine speech."""

    mean_eer: float
    """Over all pairs of generator and source."""
    mean_of_worst_eer: float
    """Over generators, each with the source that it is hardest to tell from."""
    generators: tuple[CrossTestGenerator, ...]
    """The worst first, by `worst_eer`."""
    sources: tuple[CrossTestSource, ...]
    """The worst first, by `mean_eer`."""
    eer: tuple[tuple[float, ...], ...]
    """A row per generator and a column per source, in these orders."""


@dataclass(frozen=True)
class LeftOutFamily:
    """One family as a stranger: threshold and calibration come from other families and from other folds."""

    family: str
    folds: tuple[str, ...]
    """The family's; their genuine clips are left out of the threshold as well, and are what it is measured with."""
    n_bonafide: int
    n_spoof: int
    threshold: float | None
    """At equal errors."""
    eer: float | None
    fpr: float | None
    fnr: float | None
    cllr: float | None
    """Bits, after the affine calibration. Above 1 the ratios mislead."""
    undefined: str | None


@dataclass(frozen=True)
class LeftOutFamilies:
    """Every family as a stranger, the most missed first, and their means, in which each counts once."""

    macro_mean_fpr: float | None
    macro_mean_fnr: float | None
    macro_mean_cllr: float | None
    families: tuple[LeftOutFamily, ...]


@dataclass(frozen=True)
class VerdictShares:
    """What the policy said to the clips of one class, those without a score included."""

    label: Literal["bonafide", "spoof"]
    n: int
    synthetic: float
    inconclusive: float
    no_evidence: float
    not_analysable: float


@dataclass(frozen=True)
class SegmentFigures:
    """Seconds of partly generated recordings at the fixed threshold for windows."""

    clips: int
    threshold: FixedThreshold
    tolerance_s: float
    hit_s: float
    miss_s: float
    false_alarm_s: float
    correct_rejection_s: float
    near_boundary_s: float
    unscored_s: float
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class Curves:
    """The points of the plots. None: not defined for these scores."""

    det: tuple[tuple[float, float], ...] | None
    """(fpr, fnr)."""
    histogram: tuple[tuple[float, ...], tuple[int, ...], tuple[int, ...]] | None
    """(edges of the bins, genuine clips per bin, generated clips per bin)."""
    reliability: tuple[tuple[float, float, float, int], ...] | None
    """(stated probability, observed share, weight, clips)."""
    tippett: tuple[tuple[float, float, float], ...] | None
    """(log10 LR, share of genuine clips at or above it, share of generated clips)."""
    risk_coverage: tuple[tuple[float, float], ...] | None
    """(coverage, error), the surest clips first."""


@dataclass(frozen=True)
class Evaluation:
    """One detector on one manifest."""

    schema_version: EvaluationSchemaVersion
    tool: Tool
    manifest: str
    manifest_sha256: str
    system: System
    rules: tuple[str, ...]
    """How a clip came to its score: sound, windows, pooling, scale; or that this is not known."""
    policy: str
    """`name@version`."""
    seed: int
    n_resamples: int
    """0: no intervals were asked for."""
    level: float
    min_clips: int
    """A group needs this many scored clips of each side."""
    clips: ClipCounts
    threshold: FixedThreshold | None
    pooled: PooledFigures
    tables: tuple[GroupTable, ...]
    cross_test: CrossTest | None
    """None with fewer than two sources of genuine speech with enough clips, or no generator with enough."""
    left_out: LeftOutFamilies | None
    """None without two families and two folds."""
    verdicts: tuple[VerdictShares, ...]
    curves: Curves
    segments: SegmentFigures | None
    notes: tuple[str, ...]
    """What a reader must know: what was not measured and why, and what may flatter."""
