"""From evidence and quality facts to a verdict: a pure function of the record and a versioned policy.

Nothing here looks at the audio, so a policy can be changed and applied to old records without scanning again.
"""

import math
from collections.abc import Sequence

from ..core.audio.facts import Quality
from ..core.errors import UsageError
from ..core.reasons import REASONS
from ..core.records import Evidence, ScoredSegment, Verdict, VerdictLabel
from .policy import QUALITY_CODES, SCORE_CODES, Effect, MarkLimits, Policy, Thresholds

_MOST_CAREFUL_FIRST: tuple[VerdictLabel, ...] = ("not_analysable", "inconclusive", "no_evidence", "synthetic")
_CREDENTIAL_DOUBTS = ("credentials_changed", "credentials_altered", "named_mark_absent")


def decide(evidence: Sequence[Evidence], quality: Quality | None, error_code: str | None, policy: Policy) -> Verdict:
    """The verdict on one file. A code that decided comes before a code that merely adds to it.

    `error_code` is why the file could not be analysed, or None; then `quality` is needed. A token mark within
    the policy's bound decides alone: its p-value holds for any recording, so neither a low score nor a
    shortcoming of the recording takes anything from it. So does whatever the policy lets decide of what others
    assert: credentials of a signer that the user trusts, a waveform mark. Otherwise only calibrated evidence of kind
    `artifact` counts. Detectors are not independent, so their ratios are never summed: all must reach the threshold
    for `synthetic`, and all must stay below theirs for `no_evidence`. A detector, a shortcoming, a suspicious window,
    a doubt about a score or a contradiction more can therefore only make a verdict more careful. What was looked for
    and not found changes nothing.
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


def provenance_codes(evidence: Sequence[Evidence], *, scored_synthetic: bool) -> tuple[str, ...]:
    """What credentials and waveform marks assert, and which of it contradicts other evidence.

    `scored_synthetic`: whether the detectors alone would call the file synthetic.
    """
    codes = []
    waveform = [each for each in evidence if each.kind == "waveform_mark"]
    found = [each for each in waveform if each.status == "detected"]
    is_marked = bool(found) or any(each.kind == "token_mark" and each.status == "present" for each in evidence)
    for each in (each for each in evidence if each.kind == "credentials"):
        if each.says == "generated" and each.status in ("trusted", "valid_untrusted"):
            codes.append("trusted_generated" if each.status == "trusted" else "claimed_generated")
        if each.says == "captured" and each.status == "trusted":
            codes += ["captured_but_artifacts"] * scored_synthetic + ["captured_but_marked"] * is_marked
        if each.reason in _CREDENTIAL_DOUBTS:
            codes.append(each.reason)
    codes += ["issued_waveform_mark" if each.says == "issued" else "waveform_mark" for each in found]
    codes += ["weak_waveform_mark"] * any(each.status == "inconclusive" for each in waveform)
    return tuple(dict.fromkeys(codes))


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
    file_label = next(iter(from_evidence.values()))
    mark_code = _mark_code(evidence, policy.marks)
    asserted = provenance_codes(evidence, scored_synthetic=file_label == "synthetic")
    effects: dict[str, Effect] = {code: policy.effects.get(code, "note") for code in asserted}
    deciding = [code for code, effect in effects.items() if effect == "synthetic"]
    if mark_code == "token_mark":
        deciding.insert(0, mark_code)
    elif mark_code is not None:
        from_evidence[mark_code] = _label_of_effect("no_clearance", file_label)
    if deciding:
        return {
            **dict.fromkeys((*deciding, *asserted, *from_evidence, *shortcomings)),
            **dict.fromkeys(deciding, "synthetic"),
        }
    effects |= {code: policy.effects[code] for code in shortcomings}
    limited = {code: _label_of_effect(effect, file_label) for code, effect in effects.items()}
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
