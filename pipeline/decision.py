"""From stored facts to a decision.

`scan` and `redecide` both pass here, so the same facts give the same decision.
"""

from dataclasses import replace

from ..core.audio.facts import Quality
from ..core.errors import UsageError
from ..core.markrecord import TokenMark
from ..core.records import Evidence, ScoredSegment, Segment, Verdict
from ..core.scanrecord import Decision, DetectorResult, Marks, PolicyRef, QualityFacts, RecordError
from ..detect.counterfactual import what_would_change
from ..detect.policy import Policy
from ..detect.verdict import decide, posterior, quality_reasons
from ..watermark.credentials.manifest import TOKEN_MARK_ALG, MarkBinding


def decide_on(
    detectors: tuple[DetectorResult, ...],
    marks: Marks,
    quality: QualityFacts | None,
    error: RecordError | None,
    policy: Policy,
) -> tuple[QualityFacts | None, Decision]:
    """What `policy` makes of one file: the quality facts with its flags, and its decision."""
    evidence = (*map(_evidence, detectors), *_provenance(marks))
    measured = _measured(quality) if quality else None
    error_code = error.code if error else None
    verdict = decide(evidence, measured, error_code, policy)
    if quality and measured:
        quality = replace(quality, flags=quality_reasons(measured, policy))
    return quality, Decision(
        verdict=verdict.label,
        reasons=verdict.reasons,
        policy=PolicyRef(id=verdict.policy_id, sha256=verdict.policy_sha256),
        prior=policy.prior.synthetic if policy.prior else None,
        posterior=_posterior(detectors, verdict, policy),
        would_change=what_would_change(evidence, measured, error_code, policy),
    )


def _posterior(detectors: tuple[DetectorResult, ...], verdict: Verdict, policy: Policy) -> float | None:
    """From the lowest ratio, since detectors are not independent; None where detectors did not decide."""
    ratios = [result.log10_lr for result in detectors if result.log10_lr is not None]
    decided_otherwise = verdict.label == "synthetic" and verdict.reasons[0] != "strong_artifacts"
    if policy.prior is None or not ratios or verdict.label == "not_analysable" or decided_otherwise:
        return None
    return posterior(min(ratios), policy.prior.synthetic)


def _evidence(result: DetectorResult) -> Evidence:
    return Evidence(
        kind="artifact",
        method=result.id,
        status=result.status,
        score=result.score,
        log10_lr=result.log10_lr,
        segments=tuple(ScoredSegment(*segment) for segment in result.segments),
        model_sha256=result.model_sha256,
        domain=result.domain,
        stability=result.stability,
    )


def _provenance(marks: Marks) -> tuple[Evidence, ...]:
    """What marks and credentials say, and whether what they say of one another is so."""
    token = () if marks.token is None else (_mark_evidence(marks.token),)
    waveform = (finding.to_evidence() for finding in marks.waveform)
    if marks.credentials is None:
        return (*token, *waveform)
    credentials = marks.credentials.to_evidence()
    if _names_absent_mark(marks):
        credentials = replace(credentials, reason="named_mark_absent")
    return (*token, *waveform, credentials)


def _names_absent_mark(marks: Marks) -> bool:
    """Whether credentials that hold name a token mark that was looked for and is not in the sound.

    The library stores such names and compares nothing.
    """
    finding, token = marks.credentials, marks.token
    if finding is None or token is None or finding.manifest is None or finding.is_broken:
        return False
    absent = {(key.key_id, key.epoch) for key in token.keys if key.status == "absent"}
    for binding in finding.manifest.soft_bindings:
        if binding.alg == TOKEN_MARK_ALG:
            try:
                named = MarkBinding.parse(binding.value)
            except UsageError:  # of another version, or somebody else's under our name
                continue
            if (named.key_id, named.epoch) in absent:
                return True
    return False


def _mark_evidence(mark: TokenMark) -> Evidence:
    """Its score is -log10 p, so that a larger one is stronger evidence and none is too small for a float."""
    log10_p = mark.log10_p
    return Evidence(
        kind="token_mark",
        method=mark.recoverer or "no_recoverer",
        status=mark.status,
        score=None if log10_p is None else -log10_p,
        p_value=None if log10_p is None else 10.0**log10_p,
        segments=tuple(Segment(span.start_s, span.end_s) for span in mark.spans),
        model_sha256=mark.recoverer_sha256,
    )


def _measured(facts: QualityFacts) -> Quality:
    return Quality(
        speech_s=facts.speech_s,
        speech=tuple(Segment(*region) for region in facts.speech),
        snr_db=facts.snr_db,
        bandwidth_hz=facts.bandwidth_hz,
        clipping_share=facts.clipping_share,
        dc_offset=facts.dc_offset,
        partial=facts.partial,
        too_long=facts.too_long,
    )
