"""Credentials and waveform marks in the verdict, contradictions, and what would change it."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covoguard.core.audio.facts import Quality
from covoguard.core.reasons import REASONS
from covoguard.core.records import Evidence, ScoredSegment, Segment
from covoguard.detect.counterfactual import what_would_change
from covoguard.detect.policy import EFFECTS, PROVENANCE_CODES, load_policy
from covoguard.detect.verdict import decide

POLICY = load_policy()
HIGH, LOW = POLICY.thresholds.synthetic_min_log10_lr + 1, POLICY.thresholds.no_evidence_max_log10_lr - 1
MIDDLE = (POLICY.thresholds.synthetic_min_log10_lr + POLICY.thresholds.no_evidence_max_log10_lr) / 2
GOOD = Quality(
    speech_s=9.0, speech=(Segment(0, 9.0),), snr_db=40.0, bandwidth_hz=8000.0, clipping_share=0.0, dc_offset=0.0,
    partial=False, too_long=False,
)  # fmt: skip
NARROW = replace(GOOD, bandwidth_hz=3000.0)


def artifact(log10_lr, *windows):
    segments = tuple(ScoredSegment(4.0 * i, 4.0 * i + 4.0, window) for i, window in enumerate(windows))
    return Evidence("artifact", "detector@1", "scored", score=0.1, log10_lr=log10_lr, segments=segments)


def credentials(status, says=None, reason="credentials_trusted"):
    return Evidence("credentials", "c2pa", status, says=says, reason=reason)


def waveform(status, says=None):
    return Evidence("waveform_mark", "perth", status, score=0.9, says=says)


def token_mark(log10_p=-9.0, status="present"):
    return Evidence("token_mark", "recoverer@1", status, score=-log10_p)


def outcome(*evidence, quality=GOOD, policy=POLICY):
    verdict = decide(evidence, quality, None, policy)
    return verdict.label, verdict.reasons


@pytest.mark.parametrize("log10_lr", [LOW, MIDDLE, HIGH])
@pytest.mark.parametrize("quality", [GOOD, NARROW, replace(GOOD, speech_s=0.0)])
def test_a_trusted_signer_who_says_generated_is_believed(log10_lr, quality):
    label, reasons = outcome(artifact(log10_lr), credentials("trusted", "generated"), quality=quality)
    assert (label, reasons[0]) == ("synthetic", "trusted_generated")


def test_an_unknown_signer_who_says_generated_only_keeps_a_file_from_clearance():
    claim = credentials("valid_untrusted", "generated", "credentials_untrusted")
    assert outcome(artifact(LOW), claim) == ("inconclusive", ("claimed_generated", "below_threshold"))
    assert outcome(artifact(MIDDLE), claim)[0] == "inconclusive"
    assert outcome(artifact(HIGH), claim) == ("synthetic", ("strong_artifacts", "claimed_generated"))


def test_trusted_capture_against_the_score_is_a_contradiction_by_name():
    captured = credentials("trusted", "captured")
    assert outcome(artifact(HIGH), captured) == ("inconclusive", ("captured_but_artifacts", "strong_artifacts"))
    assert outcome(artifact(LOW), captured) == ("no_evidence", ("below_threshold",)), "nothing is contradicted"
    assert outcome(artifact(MIDDLE), captured) == ("inconclusive", ("between_thresholds",))
    assert outcome(artifact(HIGH), credentials("valid_untrusted", "captured"))[0] == "synthetic", "anyone signs that"


def test_trusted_capture_against_a_mark_is_named_and_the_mark_stands():
    label, reasons = outcome(artifact(LOW), token_mark(), credentials("trusted", "captured"))
    assert (label, reasons[0]) == ("synthetic", "token_mark")
    assert "captured_but_marked" in reasons
    assert "captured_but_marked" in outcome(artifact(LOW), waveform("detected"), credentials("trusted", "captured"))[1]


@pytest.mark.parametrize("reason", ["credentials_changed", "credentials_altered", "named_mark_absent"])
def test_credentials_that_do_not_hold_prevent_clearance_and_nothing_else(reason):
    broken = credentials("invalid", "captured", reason)
    assert outcome(artifact(LOW), broken) == ("inconclusive", (reason, "below_threshold"))
    assert outcome(artifact(HIGH), broken) == ("synthetic", ("strong_artifacts", reason))


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("absent", "credentials_absent"), ("unreadable", "credentials_remote"), ("invalid", "credentials_expired"),
        ("recovered", "credentials_recovered"), ("not_checked", "credentials_not_checked"),
        ("trusted", "credentials_trusted"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("log10_lr", [LOW, MIDDLE, HIGH])
def test_what_says_nothing_changes_nothing(status, reason, log10_lr):
    says = "generated" if status in ("recovered", "invalid") else None
    assert outcome(artifact(log10_lr), credentials(status, says, reason)) == outcome(artifact(log10_lr))
    assert outcome(artifact(log10_lr), waveform("not_detected"), waveform("not_checked")) == outcome(artifact(log10_lr))


@pytest.mark.parametrize(
    ("mark", "code"),
    [
        (waveform("detected"), "waveform_mark"),
        (waveform("detected", "issued"), "issued_waveform_mark"),
        (waveform("inconclusive"), "weak_waveform_mark"),
    ],
)
def test_waveform_marks_prevent_clearance_unless_the_policy_lets_them_decide(mark, code):
    assert outcome(artifact(LOW), mark) == ("inconclusive", (code, "below_threshold"))
    assert outcome(artifact(HIGH), mark) == ("synthetic", ("strong_artifacts", code))
    if "synthetic" in PROVENANCE_CODES[code]:
        ours = replace(POLICY, effects={**POLICY.effects, code: "synthetic"})
        assert outcome(artifact(LOW), mark, quality=NARROW, policy=ours)[0] == "synthetic"


def test_a_file_without_a_verdict_on_the_score_still_shows_what_others_say():
    label, reasons = outcome(artifact(HIGH), waveform("detected"), quality=replace(GOOD, speech_s=0.0))
    assert label == "not_analysable"
    assert set(reasons) == {"no_speech", "waveform_mark"}


anything = st.lists(
    st.one_of(
        st.builds(artifact, st.floats(-5, 5), st.floats(-5, 5)),
        st.builds(
            credentials,
            st.sampled_from(["trusted", "valid_untrusted", "invalid", "absent"]),
            st.sampled_from([None, "generated", "captured", "edited"]),
            st.sampled_from(["credentials_trusted", "credentials_changed", "named_mark_absent"]),
        ),
        st.builds(
            waveform, st.sampled_from(["detected", "inconclusive", "not_detected"]), st.sampled_from([None, "issued"])
        ),
        st.builds(token_mark, st.floats(-12, -1)),
    ),
    max_size=5,
)
qualities = st.sampled_from([GOOD, NARROW, replace(GOOD, speech_s=0.0), replace(GOOD, partial=True)])
policies = st.fixed_dictionaries({code: st.sampled_from(allowed) for code, allowed in PROVENANCE_CODES.items()}).map(
    lambda effects: replace(POLICY, effects={**POLICY.effects, **effects})
)


@given(anything, qualities, policies)
def test_reasons_are_known_and_distinct_and_order_plays_no_part(evidence, quality, policy):
    verdict = decide(evidence, quality, None, policy)
    assert verdict.reasons
    assert len(set(verdict.reasons)) == len(verdict.reasons)
    assert set(verdict.reasons) <= set(REASONS)
    again = decide(evidence[::-1], quality, None, policy)
    assert (again.label, set(again.reasons)) == (verdict.label, set(verdict.reasons))


@given(anything, qualities)
def test_nothing_that_others_assert_ever_clears_a_file(evidence, quality):
    """Credentials and marks can make a file `synthetic` or keep it from a verdict, never give `no_evidence`."""
    alone = [each for each in evidence if each.kind == "artifact"]
    if decide(evidence, quality, None, POLICY).label == "no_evidence":
        assert decide(alone, quality, None, POLICY).label == "no_evidence"


@given(anything, qualities, st.sampled_from(sorted(PROVENANCE_CODES)))
def test_a_stricter_effect_never_decides(evidence, quality, code):
    order = ("not_analysable", "inconclusive", "no_evidence", "synthetic")
    allowed = [effect for effect in EFFECTS if effect in PROVENANCE_CODES[code]]
    labels = [
        decide(evidence, quality, None, replace(POLICY, effects={**POLICY.effects, code: effect})).label
        for effect in allowed
    ]
    assert [order.index(label) for label in labels] == sorted(order.index(label) for label in labels)


# --- what would change the verdict ----------------------------------------------------------------------


def changes(*evidence, quality=GOOD, policy=POLICY):
    return {each.verdict: (each.without, each.log10_lr) for each in what_would_change(evidence, quality, None, policy)}


def test_the_least_is_told():
    upper, lower = POLICY.thresholds.synthetic_min_log10_lr, POLICY.thresholds.no_evidence_max_log10_lr
    assert changes(artifact(MIDDLE)) == {"synthetic": ((), upper), "no_evidence": ((), lower)}
    assert changes(artifact(HIGH), quality=NARROW)["synthetic"] == (("narrowband",), None)
    assert changes(artifact(MIDDLE), quality=NARROW) == {
        "synthetic": (("narrowband",), upper), "no_evidence": (("narrowband",), lower),
    }  # fmt: skip
    assert changes(artifact(HIGH), credentials("trusted", "captured"))["synthetic"] == (
        ("captured_but_artifacts",),
        None,
    )
    assert changes(artifact(LOW), token_mark()) == {"no_evidence": (("token_mark",), None)}
    assert changes(artifact(LOW), credentials("trusted", "generated"))["no_evidence"] == (("trusted_generated",), None)
    assert changes(artifact(LOW, HIGH))["no_evidence"] == (("suspicious_segment",), None)


def test_nothing_is_told_of_a_file_that_was_not_read():
    assert what_would_change([], None, "not_audio", POLICY) == ()
    assert what_would_change([], GOOD, None, POLICY) == ()


@given(anything, qualities)
def test_changes_are_other_verdicts_each_once_and_can_be_carried_out(evidence, quality):
    now = decide(evidence, quality, None, POLICY).label
    told = what_would_change(evidence, quality, None, POLICY)
    assert now not in [each.verdict for each in told]
    assert len({each.verdict for each in told}) == len(told)
    for each in told:
        assert each.without or each.log10_lr is not None
        assert each.log10_lr is None or math.isfinite(each.log10_lr)
        assert set(each.without) <= set(decide(evidence, quality, None, POLICY).reasons)
