"""From evidence and quality facts to a verdict: a pure function of the record and a versioned policy.

Nothing here looks at the audio, so a policy can be changed and applied to old records without scanning again.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..core.audio.facts import Quality
from ..core.errors import UsageError
from ..core.reasons import REASONS
from ..core.records import Evidence, ScoredSegment, Verdict, VerdictLabel
from .policy_file import DEFAULT_POLICY, PolicyFile, limits, read_policy_file

Effect = Literal["not_analysable", "inconclusive", "no_clearance", "note"]
EFFECTS: tuple[Effect, ...] = ("not_analysable", "inconclusive", "no_clearance", "note")
"""From the strictest to the mildest."""

QUALITY_CODES = ("no_speech", "too_short", "narrowband", "low_snr", "clipped", "partial", "too_long")
"""Shortcomings that a policy gives an effect to, in the order in which a verdict lists them."""

SCORE_CODES = ("out_of_domain", "unstable_score")
"""What makes a score doubtful. A policy that gives one of them no effect was written before it: then it is a note."""

_MOST_CAREFUL_FIRST: tuple[VerdictLabel, ...] = ("not_analysable", "inconclusive", "no_evidence", "synthetic")


@dataclass(frozen=True)
class Thresholds:
    """Calibrated log10 likelihood ratios that divide the verdicts."""

    synthetic_min_log10_lr: float = field(metadata=limits(-10, 10))
    no_evidence_max_log10_lr: float = field(metadata=limits(-10, 10))
    suspicious_window_log10_lr: float = field(metadata=limits(-10, 10))


@dataclass(frozen=True)
class QualityLimits:
    """Where a recording stops being good enough. A value equal to a `min` or `max` is within it."""

    no_speech_max_s: float = field(metadata=limits(0, 3600))
    """At most this much speech counts as none."""
    min_speech_s: float = field(metadata=limits(0, 3600))
    min_snr_db: float = field(metadata=limits(-100, 100))
    min_bandwidth_hz: float = field(metadata=limits(0, 8000))
    max_clipping_share: float = field(metadata=limits(0, 1))


@dataclass(frozen=True)
class MarkLimits:
    """When the mark of a key counts."""

    token_max_log10_p: float = field(metadata=limits(-300, -6))
    """Certified p-values up to this one make a file `synthetic`. Scans call no weaker mark present than 1e-6."""


@dataclass(frozen=True)
class StabilityLimits:
    """When a detector stands by its ratio after a second look."""

    max_range_log10_lr: float = field(metadata=limits(0, 20))
    """The ratios of the recording and of its copies may differ by so much."""


@dataclass(frozen=True)
class Prior:
    """How common generated speech is where the files come from; it changes no verdict."""

    synthetic: float = field(metadata=limits(0, 1, exclusive=True))


@dataclass(frozen=True)
class Policy:
    """A policy file: thresholds, limits, and what each shortcoming does."""

    name: str
    version: int
    about: str
    thresholds: Thresholds
    marks: MarkLimits
    quality: QualityLimits
    effects: Mapping[str, Effect] = field(hash=False)
    """One effect for each of `QUALITY_CODES` and of `SCORE_CODES`."""
    prior: Prior | None
    sha256: str
    """Of the file's bytes."""
    stability: StabilityLimits | None = None
    """None: second looks are not judged."""

    @property
    def id(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"


def load_policy(path: Path | None = None) -> Policy:
    """Read a policy file, or the bundled default (None).

    Raises `UsageError` that names the file, the key and what is allowed there.
    """
    file = read_policy_file(DEFAULT_POLICY if path is None else path)
    file.check_keys(
        "", ("name", "version", "about", "thresholds", "marks", "quality", "effects"), optional=("stability", "prior")
    )
    file.check_keys("about", ("text",))
    file.check_keys("effects", QUALITY_CODES, optional=SCORE_CODES)
    policy = Policy(
        name=file.name(),
        version=file.version(),
        about=file.text("about", "text"),
        thresholds=file.numbers("thresholds", Thresholds),
        marks=file.numbers("marks", MarkLimits),
        quality=file.numbers("quality", QualityLimits),
        effects={
            code: file.choice("effects", code, EFFECTS) if file.has("effects", code) else "note"
            for code in (*QUALITY_CODES, *SCORE_CODES)
        },
        prior=file.numbers("prior", Prior) if file.has("prior") else None,
        sha256=file.sha256,
        stability=file.numbers("stability", StabilityLimits) if file.has("stability") else None,
    )
    _check_consistency(policy, file)
    return policy


def decide(evidence: Sequence[Evidence], quality: Quality | None, error_code: str | None, policy: Policy) -> Verdict:
    """The verdict on one file. A code that decided comes before a code that merely adds to it.

    `error_code` is why the file could not be analysed, or None; then `quality` is needed. A token mark within
    the policy's bound decides alone: its p-value holds for any recording, so neither a low score nor a
    shortcoming of the recording takes anything from it. Otherwise only calibrated evidence of kind `artifact`
    counts. Detectors are not independent, so their ratios are never summed: all must reach the threshold for
    `synthetic`, and all must stay below theirs for `no_evidence`. A detector, a shortcoming, a suspicious window or a
    doubt about a score more can therefore only make a verdict more careful. A mark that was not found changes nothing.
    """
    labels = _labels_by_code(evidence, quality, error_code, policy)
    label: VerdictLabel = min((each for each in labels.values() if each is not None), key=_MOST_CAREFUL_FIRST.index)
    reasons = sorted(labels, key=lambda code: labels[code] != label)  # stable: keeps the order otherwise
    return Verdict(label, tuple(reasons), tuple(evidence), policy.id, policy.sha256)


def quality_reasons(quality: Quality, policy: Policy) -> tuple[str, ...]:
    """Shortcomings of a recording under a policy, in the order of `QUALITY_CODES`.

    What could not be measured falls short as well, except that no speech leaves nothing to say about noise
    and bandwidth.
    """
    limit = policy.quality
    no_speech = not quality.speech_s > limit.no_speech_max_s  # "not above" also holds for NaN
    falls_short = {
        "no_speech": no_speech,
        "too_short": not no_speech and quality.speech_s < limit.min_speech_s,
        "narrowband": not no_speech and _below(quality.bandwidth_hz, limit.min_bandwidth_hz),
        "low_snr": not no_speech and _below(quality.snr_db, limit.min_snr_db),
        "clipped": not quality.clipping_share <= limit.max_clipping_share,
        "partial": quality.partial,
        "too_long": quality.too_long,
    }
    return tuple(code for code in QUALITY_CODES if falls_short[code])


def score_doubts(evidence: Sequence[Evidence], policy: Policy) -> tuple[str, ...]:
    """What makes the scores doubtful under a policy, in the order of `SCORE_CODES`; one detector is enough."""
    artifacts = [each for each in evidence if each.kind == "artifact"]
    doubtful = {
        "out_of_domain": any(each.domain is not None and each.domain.verdict == "out" for each in artifacts),
        "unstable_score": any(_is_unstable(each, policy) for each in artifacts),
    }
    return tuple(code for code in SCORE_CODES if doubtful[code])


def posterior(log10_lr: float, prior: float) -> float:
    """Probability of generated speech, from the `prior` in (0, 1) before the log10 likelihood ratio."""
    if math.isnan(log10_lr) or not 0 < prior < 1:
        raise UsageError(f"log10 LR {log10_lr} and prior {prior}: give a number, and a prior between 0 and 1")
    log_odds = log10_lr * math.log(10) + math.log(prior) - math.log1p(-prior)
    if log_odds < 0:
        odds = math.exp(log_odds)
        return odds / (1 + odds)
    return 1 / (1 + math.exp(-log_odds))


def _labels_by_code(
    evidence: Sequence[Evidence], quality: Quality | None, error_code: str | None, policy: Policy
) -> dict[str, VerdictLabel | None]:
    """Every code that applies, in order, with the label that it asks for (None: no effect here)."""
    shortcomings = quality_reasons(quality, policy) if quality is not None else ()
    shortcomings += score_doubts(evidence, policy)
    if error_code is not None:
        if error_code not in REASONS:
            raise UsageError(f"{error_code!r} is not an error code that a record can carry")
        return {**dict.fromkeys((error_code, *shortcomings)), error_code: "not_analysable"}
    if quality is None:
        raise UsageError("a file without an error code needs its quality facts for a verdict")
    from_evidence = _labels_from_evidence(evidence, policy.thresholds)
    mark_code = _mark_code(evidence, policy.marks)
    if mark_code == "token_mark":
        return {**dict.fromkeys((mark_code, *from_evidence, *shortcomings)), mark_code: "synthetic"}
    file_label = next(iter(from_evidence.values()))
    if mark_code is not None:
        from_evidence[mark_code] = _label_of_effect("no_clearance", file_label)
    limited = {code: _label_of_effect(policy.effects[code], file_label) for code in shortcomings}
    if "not_analysable" in limited.values():
        return limited  # what the score says cannot be relied on, so it is no reason either
    return {**from_evidence, **limited}


def _labels_from_evidence(evidence: Sequence[Evidence], thresholds: Thresholds) -> dict[str, VerdictLabel | None]:
    artifacts = [each for each in evidence if each.kind == "artifact"]
    given = [each.log10_lr for each in artifacts if each.log10_lr is not None]
    ratios = [log10_lr for log10_lr in given if math.isfinite(log10_lr)]
    if not ratios:
        return {"no_detector": "not_analysable"}
    if min(ratios) >= thresholds.synthetic_min_log10_lr:
        return {"strong_artifacts": "synthetic"}
    labels: dict[str, VerdictLabel | None] = {"between_thresholds": "inconclusive"}
    if max(ratios) <= thresholds.no_evidence_max_log10_lr:
        labels = {"below_threshold": "no_evidence"}
    segments = [segment for each in artifacts for segment in each.segments]
    windows = [segment for segment in segments if isinstance(segment, ScoredSegment)]
    if any(window.log10_lr >= thresholds.suspicious_window_log10_lr for window in windows):
        labels["suspicious_segment"] = "inconclusive"
    return labels


def _is_unstable(evidence: Evidence, policy: Policy) -> bool:
    """Whether a second look gave other ratios, or none; a range that is no number is too large."""
    look, limit, thresholds = evidence.stability, policy.stability, policy.thresholds
    if look is None or limit is None or evidence.log10_lr is None:
        return False
    if look.range_log10_lr is None or not look.range_log10_lr <= limit.max_range_log10_lr:
        return True
    ratios = [evidence.log10_lr, *(each.log10_lr for each in look.scores if each.log10_lr is not None)]
    return max(ratios) >= thresholds.synthetic_min_log10_lr and min(ratios) <= thresholds.no_evidence_max_log10_lr


def _mark_code(evidence: Sequence[Evidence], limit: MarkLimits) -> str | None:
    """The code that the token marks give; None where none was found."""
    found = [each for each in evidence if each.kind == "token_mark" and each.status == "present"]
    strength = max((each.score for each in found if each.score is not None), default=None)
    if strength is None:
        return None
    return "token_mark" if -strength <= limit.token_max_log10_p else "weak_token_mark"


def _label_of_effect(effect: Effect, file_label: VerdictLabel | None) -> VerdictLabel | None:
    if effect == "note":
        return None
    if effect == "no_clearance":
        return "inconclusive" if file_label == "no_evidence" else None
    return effect


def _below(value: float | None, minimum: float) -> bool:
    return value is None or not value >= minimum


def _check_consistency(policy: Policy, file: PolicyFile) -> None:
    thresholds, quality = policy.thresholds, policy.quality
    for upper in ("synthetic_min_log10_lr", "suspicious_window_log10_lr"):
        if getattr(thresholds, upper) <= thresholds.no_evidence_max_log10_lr:
            raise file.error(f"[thresholds] {upper} must be above no_evidence_max_log10_lr")
    if quality.no_speech_max_s >= quality.min_speech_s:
        raise file.error("[quality] no_speech_max_s must be below min_speech_s")
    for code in (
        "too_short",
        "narrowband",
        "low_snr",
    ):  # no_speech takes their place, so it must not be milder
        if EFFECTS.index(policy.effects["no_speech"]) > EFFECTS.index(policy.effects[code]):
            raise file.error(f"[effects] no_speech must not be milder than {code}")
