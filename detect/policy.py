"""A versioned policy: the thresholds and effects by which evidence becomes a verdict (`detect/verdict.py`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from .policy_file import DEFAULT_POLICY, PolicyFile, limits, read_policy_file

Effect = Literal["synthetic", "not_analysable", "inconclusive", "no_clearance", "note"]
EFFECTS: tuple[Effect, ...] = ("not_analysable", "inconclusive", "no_clearance", "note")
"""Of what limits a verdict, from the strictest to the mildest."""

QUALITY_CODES = ("no_speech", "too_short", "narrowband", "low_snr", "clipped", "partial", "too_long")
"""Shortcomings that a policy gives an effect to, in the order in which a verdict lists them."""

SCORE_CODES = ("out_of_domain", "unstable_score")
"""What makes a score doubtful. A policy that gives one of them no effect was written before it: then it is a note."""

_PROVENANCE_EFFECTS: tuple[Effect, ...] = ("inconclusive", "no_clearance", "note")
PROVENANCE_CODES: Mapping[str, tuple[Effect, ...]] = {
    "trusted_generated": ("synthetic", *_PROVENANCE_EFFECTS),
    "claimed_generated": _PROVENANCE_EFFECTS,
    "captured_but_artifacts": _PROVENANCE_EFFECTS,
    "credentials_changed": _PROVENANCE_EFFECTS,
    "credentials_altered": _PROVENANCE_EFFECTS,
    "named_mark_absent": _PROVENANCE_EFFECTS,
    "issued_waveform_mark": ("synthetic", *_PROVENANCE_EFFECTS),
    "waveform_mark": ("synthetic", *_PROVENANCE_EFFECTS),
    "weak_waveform_mark": _PROVENANCE_EFFECTS,
}
"""What credentials and waveform marks say, and the effects that each may have. As for `SCORE_CODES`, none is a note."""

_ALLOWED_EFFECTS: Mapping[str, tuple[Effect, ...]] = {
    **dict.fromkeys((*QUALITY_CODES, *SCORE_CODES), EFFECTS),
    **PROVENANCE_CODES,
}


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
    """One effect for each of `QUALITY_CODES`, `SCORE_CODES` and `PROVENANCE_CODES`."""
    prior: Prior | None
    sha256: str
    """Of the file's bytes."""
    stability: StabilityLimits | None = None
    """None: second looks are not judged."""

    @property
    def id(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"


def load_policy(path: Path | None = None, *, prior: float | None = None) -> Policy:
    """Read a policy file, or the bundled default (None); `prior` in (0, 1) takes the place of the file's.

    Raises `UsageError` that names the file, the key and what is allowed there.
    """
    file = read_policy_file(DEFAULT_POLICY if path is None else path)
    file.check_keys(
        "", ("name", "version", "about", "thresholds", "marks", "quality", "effects"), optional=("stability", "prior")
    )
    file.check_keys("about", ("text",))
    file.check_keys("effects", QUALITY_CODES, optional=(*SCORE_CODES, *PROVENANCE_CODES))
    policy = Policy(
        name=file.name(),
        version=file.version(),
        about=file.text("about", "text"),
        thresholds=file.numbers("thresholds", Thresholds),
        marks=file.numbers("marks", MarkLimits),
        quality=file.numbers("quality", QualityLimits),
        effects={
            code: file.choice("effects", code, allowed) if file.has("effects", code) else "note"
            for code, allowed in _ALLOWED_EFFECTS.items()
        },
        prior=file.numbers("prior", Prior) if file.has("prior") else None,
        sha256=file.sha256,
        stability=file.numbers("stability", StabilityLimits) if file.has("stability") else None,
    )
    _check_consistency(policy, file)
    return policy if prior is None else replace(policy, prior=Prior(prior))


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
