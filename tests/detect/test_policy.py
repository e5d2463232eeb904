import math
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from covoguard.core.audio.facts import Quality
from covoguard.core.errors import UsageError
from covoguard.core.reasons import REASONS
from covoguard.core.records import DomainFinding, Evidence, ScoredSegment, SecondScore, Segment, Stability
from covoguard.detect.policy import (
    EFFECTS,
    QUALITY_CODES,
    SCORE_CODES,
    MarkLimits,
    QualityLimits,
    StabilityLimits,
    Thresholds,
    load_policy,
)
from covoguard.detect.verdict import decide, posterior, quality_reasons

# The tests of the rules stand on numbers of their own, not on those of the bundled file.
POLICY = replace(
    load_policy(),
    thresholds=Thresholds(synthetic_min_log10_lr=2.0, no_evidence_max_log10_lr=-1.0, suspicious_window_log10_lr=1.0),
    marks=MarkLimits(token_max_log10_p=-8.0),
    quality=QualityLimits(
        no_speech_max_s=0.5,
        min_speech_s=2.0,
        min_snr_db=10.0,
        min_bandwidth_hz=4000.0,
        max_clipping_share=0.01,
    ),
    effects={
        "no_speech": "not_analysable",
        "too_short": "not_analysable",
        "narrowband": "inconclusive",
        "low_snr": "inconclusive",
        "clipped": "no_clearance",
        "partial": "no_clearance",
        "too_long": "note",
        "out_of_domain": "inconclusive",
        "unstable_score": "inconclusive",
    },
    stability=StabilityLimits(max_range_log10_lr=0.5),
)
GOOD = Quality(
    speech_s=10.0,
    speech=(Segment(0.0, 10.0),),
    snr_db=30.0,
    bandwidth_hz=8000.0,
    clipping_share=0.0,
    dc_offset=0.0,
    partial=False,
    too_long=False,
)
SHORTCOMINGS = {
    "no_speech": {"speech_s": 0.5},
    "too_short": {"speech_s": 1.9},
    "narrowband": {"bandwidth_hz": 3999.0},
    "low_snr": {"snr_db": 9.9},
    "clipped": {"clipping_share": 0.02},
    "partial": {"partial": True},
    "too_long": {"too_long": True},
}
CODES = (*QUALITY_CODES, *SCORE_CODES)
CAREFUL_FIRST = ("not_analysable", "inconclusive", "no_evidence", "synthetic")


def artifact(log10_lr, *windows):
    segments = tuple(ScoredSegment(4.0 * i, 4.0 * i + 4.0, window) for i, window in enumerate(windows))
    return Evidence("artifact", "detector@1", "scored", score=0.1, log10_lr=log10_lr, segments=segments)


def verdict(log10_lr, *windows, quality=GOOD, policy=POLICY):
    return decide([artifact(log10_lr, *windows)], quality, None, policy)


def outcome(result):
    return result.label, result.reasons


# --- what the evidence says -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("log10_lr", "expected"),
    [
        (5.0, ("synthetic", ("strong_artifacts",))),
        (2.0, ("synthetic", ("strong_artifacts",))),
        (1.999, ("inconclusive", ("between_thresholds",))),
        (-0.999, ("inconclusive", ("between_thresholds",))),
        (-1.0, ("no_evidence", ("below_threshold",))),
        (-9.0, ("no_evidence", ("below_threshold",))),
    ],
)
def test_thresholds_belong_to_the_decided_side(log10_lr, expected):
    assert outcome(verdict(log10_lr)) == expected


def test_verdict_carries_evidence_and_policy():
    evidence = (artifact(3.0), artifact(4.0))
    result = decide(list(evidence), GOOD, None, POLICY)
    assert result.evidence == evidence
    assert (result.policy_id, result.policy_sha256) == (POLICY.id, POLICY.sha256)


def test_a_suspicious_window_keeps_a_low_file_from_clearance():
    assert outcome(verdict(-3.0, -3.0, 1.0)) == ("inconclusive", ("suspicious_segment", "below_threshold"))
    assert outcome(verdict(-3.0, -3.0, 0.99)) == ("no_evidence", ("below_threshold",))
    assert outcome(verdict(0.0, 1.5)) == ("inconclusive", ("between_thresholds", "suspicious_segment"))
    assert outcome(verdict(3.0, 9.0)) == ("synthetic", ("strong_artifacts",))


def test_segments_without_a_ratio_raise_no_suspicion():
    plain = replace(artifact(-3.0), segments=(Segment(0.0, 4.0),))
    assert outcome(decide([plain], GOOD, None, POLICY)) == ("no_evidence", ("below_threshold",))


def test_detectors_must_agree():
    assert outcome(decide([artifact(2.0), artifact(9.0)], GOOD, None, POLICY))[0] == "synthetic"
    assert outcome(decide([artifact(-1.0), artifact(-9.0)], GOOD, None, POLICY))[0] == "no_evidence"
    for disagreeing in (
        [artifact(9.0), artifact(0.0)],
        [artifact(-9.0), artifact(0.0)],
        [artifact(9.0), artifact(-9.0)],
    ):
        assert outcome(decide(disagreeing, GOOD, None, POLICY)) == ("inconclusive", ("between_thresholds",))


@pytest.mark.parametrize(
    "evidence",
    [
        [],
        [artifact(None)],
        [artifact(math.nan)],
        [artifact(math.inf)],
        [replace(artifact(9.0), kind="token_mark")],
        [replace(artifact(9.0), kind="credentials"), artifact(None, 5.0)],
    ],
)
def test_without_a_calibrated_score_nothing_is_decided(evidence):
    assert outcome(decide(evidence, GOOD, None, POLICY)) == ("not_analysable", ("no_detector",))


def test_a_detector_without_a_score_does_not_silence_the_others():
    assert outcome(decide([artifact(None), artifact(3.0)], GOOD, None, POLICY))[0] == "synthetic"


# --- what the recording allows -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "high", "between", "low"),
    [
        ("no_speech", "not_analysable", "not_analysable", "not_analysable"),
        ("too_short", "not_analysable", "not_analysable", "not_analysable"),
        ("narrowband", "inconclusive", "inconclusive", "inconclusive"),
        ("low_snr", "inconclusive", "inconclusive", "inconclusive"),
        ("clipped", "synthetic", "inconclusive", "inconclusive"),
        ("partial", "synthetic", "inconclusive", "inconclusive"),
        ("too_long", "synthetic", "inconclusive", "no_evidence"),
    ],
)
def test_each_effect_on_each_verdict(code, high, between, low):
    quality = replace(GOOD, **SHORTCOMINGS[code])
    for log10_lr, label in ((3.0, high), (0.0, between), (-3.0, low)):
        result = verdict(log10_lr, quality=quality)
        assert result.label == label
        assert code in result.reasons


def test_what_decided_comes_first():
    narrow = replace(GOOD, bandwidth_hz=3000.0)
    assert verdict(3.0, quality=narrow).reasons == ("narrowband", "strong_artifacts")
    assert verdict(-3.0, quality=narrow).reasons == ("narrowband", "below_threshold")
    assert verdict(0.0, quality=narrow).reasons == ("between_thresholds", "narrowband")
    clipped = replace(GOOD, clipping_share=0.5)
    assert verdict(3.0, quality=clipped).reasons == ("strong_artifacts", "clipped")
    assert verdict(-3.0, quality=clipped).reasons == ("clipped", "below_threshold")
    worst = replace(clipped, snr_db=0.0, speech_s=1.0, partial=True, too_long=True)
    assert verdict(3.0, quality=worst).reasons == ("too_short", "low_snr", "clipped", "partial", "too_long")
    mixed = replace(clipped, snr_db=0.0, too_long=True)
    assert verdict(-3.0, 5.0, quality=mixed).reasons == (
        "suspicious_segment", "low_snr", "clipped", "below_threshold", "too_long",
    )  # fmt: skip


def test_a_recording_without_enough_speech_needs_no_detector_to_say_so():
    short = replace(GOOD, speech_s=1.0)
    assert outcome(decide([artifact(None)], short, None, POLICY)) == ("not_analysable", ("too_short",))
    narrow = replace(GOOD, bandwidth_hz=3000.0)
    assert outcome(decide([], narrow, None, POLICY)) == ("not_analysable", ("no_detector", "narrowband"))


@pytest.mark.parametrize("code", QUALITY_CODES)
def test_quality_reasons_one_by_one(code):
    assert quality_reasons(replace(GOOD, **SHORTCOMINGS[code]), POLICY) == (code,)


def test_values_at_their_limit_are_good_enough():
    at_limit = replace(GOOD, speech_s=2.0, snr_db=10.0, bandwidth_hz=4000.0, clipping_share=0.01)
    assert quality_reasons(at_limit, POLICY) == ()
    assert quality_reasons(replace(GOOD, speech_s=0.51), POLICY) == ("too_short",)


def test_what_was_not_measured_is_not_good():
    unknown = replace(GOOD, snr_db=None, bandwidth_hz=None)
    assert quality_reasons(unknown, POLICY) == ("narrowband", "low_snr")
    nan = replace(GOOD, snr_db=math.nan, bandwidth_hz=math.nan, clipping_share=math.nan)
    assert quality_reasons(nan, POLICY) == ("narrowband", "low_snr", "clipped")
    assert quality_reasons(replace(GOOD, speech_s=math.nan), POLICY) == ("no_speech",)


def test_silence_is_told_once():
    silence = replace(GOOD, speech_s=0.0, speech=(), snr_db=None, bandwidth_hz=None)
    assert quality_reasons(silence, POLICY) == ("no_speech",)


# --- errors ------------------------------------------------------------------------------------------------


def test_an_error_comes_first_and_settles_it():
    damaged = replace(GOOD, partial=True, speech_s=1.0)
    assert outcome(decide([], None, "not_audio", POLICY)) == ("not_analysable", ("not_audio",))
    assert outcome(decide([artifact(9.0)], damaged, "internal_error", POLICY)) == (
        "not_analysable",
        ("internal_error", "too_short", "partial"),
    )
    assert outcome(decide([], damaged, "partial", POLICY)) == ("not_analysable", ("partial", "too_short"))


def test_what_cannot_be_a_record_is_refused():
    with pytest.raises(UsageError, match="made_up"):
        decide([], None, "made_up", POLICY)
    with pytest.raises(UsageError, match="quality"):
        decide([artifact(9.0)], None, None, POLICY)


# --- promises ----------------------------------------------------------------------------------------------

ratios = st.one_of(st.none(), st.floats(-5, 5), st.sampled_from([2.0, -1.0, 1.0, math.nan, math.inf]))
evidences = st.lists(
    st.builds(lambda ratio, windows: artifact(ratio, *windows), ratios, st.lists(st.floats(-5, 5), max_size=2)),
    max_size=3,
)
optional = st.one_of(st.none(), st.floats(0, 100))
qualities = st.builds(
    lambda **change: replace(GOOD, **change),
    speech_s=st.floats(0, 20),
    snr_db=optional,
    bandwidth_hz=st.one_of(st.none(), st.floats(0, 8000)),
    clipping_share=st.floats(0, 0.1),
    partial=st.booleans(),
    too_long=st.booleans(),
)


def is_consistent(effects):
    replaced = [EFFECTS.index(effects[code]) for code in ("too_short", "narrowband", "low_snr")]
    return EFFECTS.index(effects["no_speech"]) <= min(replaced)


policies = st.builds(
    lambda effects: replace(POLICY, effects=effects),
    st.fixed_dictionaries({code: st.sampled_from(EFFECTS) for code in CODES}).filter(is_consistent),
)


def care(result):
    return CAREFUL_FIRST.index(result.label)


@given(evidences, qualities, policies)
def test_reasons_are_known_distinct_and_never_missing(evidence, quality, policy):
    result = decide(evidence, quality, None, policy)
    assert result.reasons
    assert len(set(result.reasons)) == len(result.reasons)
    assert set(result.reasons) <= set(REASONS)


@given(st.floats(-5, 5), st.floats(0, 10), st.lists(st.floats(-5, 5), max_size=3), qualities, policies)
def test_raising_the_ratio_never_moves_away_from_synthetic(log10_lr, step, windows, quality, policy):
    order = ("no_evidence", "inconclusive", "synthetic")
    before = verdict(log10_lr, *windows, quality=quality, policy=policy)
    after = verdict(log10_lr + step, *windows, quality=quality, policy=policy)
    higher_windows = [window + step for window in windows]
    all_after = verdict(log10_lr + step, *higher_windows, quality=quality, policy=policy)
    if before.label == "not_analysable":
        assert after.label == all_after.label == "not_analysable"
    else:
        assert order.index(before.label) <= order.index(after.label) <= order.index(all_after.label)


@given(evidences, qualities, policies, st.sampled_from(sorted(SHORTCOMINGS)))
def test_a_shortcoming_more_never_decides_for_or_against(evidence, quality, policy, code):
    assume(not (code == "too_short" and quality.speech_s < 1.9))  # it would add speech, not take some away
    before = decide(evidence, quality, None, policy)
    after = decide(evidence, replace(quality, **SHORTCOMINGS[code]), None, policy)
    assert after.label == before.label or after.label in ("not_analysable", "inconclusive")
    assert care(after) <= care(before)


@given(evidences, qualities, policies, st.sampled_from(CODES))
def test_a_stricter_effect_never_decides_for_or_against(evidence, quality, policy, code):
    from_strict_to_mild = [
        decide(evidence, quality, None, replace(policy, effects={**policy.effects, code: effect})) for effect in EFFECTS
    ]
    assert [care(result) for result in from_strict_to_mild] == sorted(care(result) for result in from_strict_to_mild)


@given(evidences, qualities, policies, st.floats(-5, 5))
def test_a_detector_more_never_decides_for_or_against(evidence, quality, policy, log10_lr):
    before = decide(evidence, quality, None, policy)
    assume("no_detector" not in before.reasons)  # the first detector may decide
    after = decide([*evidence, artifact(log10_lr)], quality, None, policy)
    assert after.label in (before.label, "inconclusive")


@given(evidences, qualities, policies)
def test_the_order_of_the_evidence_plays_no_part(evidence, quality, policy):
    forwards = decide(evidence, quality, None, policy)
    assert outcome(decide(evidence[::-1], quality, None, policy)) == outcome(forwards)


# --- what makes a score doubtful ---------------------------------------------------------------------------


def doubted(evidence, domain=None, ratios=()):
    """The evidence with what a gate and a second look say of it; a ratio of None: a copy that was not scored."""
    finding = domain and DomainFinding(3.0, 0.0005, domain)
    look = None
    if ratios:
        scores = tuple(SecondScore(f"codec-{number}", ratio) for number, ratio in enumerate(ratios))
        known = [evidence.log10_lr, *(ratio for ratio in ratios if ratio is not None)]
        look = Stability(scores, None if None in ratios else max(known) - min(known))
    return replace(evidence, domain=finding, stability=look)


def of_doubted(log10_lr, policy=POLICY, **doubt):
    return outcome(decide([doubted(artifact(log10_lr), **doubt)], GOOD, None, policy))


def test_a_recording_of_another_kind_is_not_decided():
    assert of_doubted(3.0, domain="out") == ("inconclusive", ("out_of_domain", "strong_artifacts"))
    assert of_doubted(-3.0, domain="out") == ("inconclusive", ("out_of_domain", "below_threshold"))
    assert of_doubted(0.0, domain="out") == ("inconclusive", ("between_thresholds", "out_of_domain"))
    for verdict_of_gate in ("in", "edge"):
        assert of_doubted(3.0, domain=verdict_of_gate) == ("synthetic", ("strong_artifacts",))


def test_a_score_that_a_second_look_does_not_bear_out_is_not_decided():
    assert of_doubted(3.0, ratios=(2.5, 2.75, 3.0)) == ("synthetic", ("strong_artifacts",))
    assert of_doubted(3.0, ratios=(3.0, 3.0, 2.4)) == ("inconclusive", ("unstable_score", "strong_artifacts"))
    assert of_doubted(3.0, ratios=(3.0, 3.0, None)) == ("inconclusive", ("unstable_score", "strong_artifacts"))
    assert of_doubted(-3.0, ratios=(-3.0, -3.6, -3.0)) == ("inconclusive", ("unstable_score", "below_threshold"))


def test_a_verdict_that_a_copy_turns_round_is_unstable_however_wide_the_limit():
    wide = replace(POLICY, stability=StabilityLimits(max_range_log10_lr=20.0))
    assert of_doubted(2.0, policy=wide, ratios=(2.0, -0.9, 2.0))[0] == "synthetic"
    assert of_doubted(2.0, policy=wide, ratios=(2.0, -1.0, 2.0)) == (
        "inconclusive",
        ("unstable_score", "strong_artifacts"),
    )


def test_a_policy_from_before_second_looks_judges_none():
    old = replace(POLICY, stability=None)
    assert of_doubted(3.0, policy=old, ratios=(-3.0, None)) == ("synthetic", ("strong_artifacts",))


doubts = st.fixed_dictionaries(
    {
        "domain": st.sampled_from([None, "in", "edge", "out"]),
        "ratios": st.lists(st.one_of(st.none(), st.floats(-5, 5)), max_size=3),
    }
)


@given(st.lists(st.tuples(st.floats(-5, 5), doubts), min_size=1, max_size=3), qualities, policies)
def test_doubts_can_only_make_a_verdict_more_careful(given, quality, policy):
    plain = [artifact(log10_lr) for log10_lr, _ in given]
    before = decide(plain, quality, None, policy)
    after = decide(
        [doubted(each, **doubt) for each, (_, doubt) in zip(plain, given, strict=True)], quality, None, policy
    )
    assert after.label == before.label or after.label in ("not_analysable", "inconclusive")
    assert care(after) <= care(before)


# --- posterior ---------------------------------------------------------------------------------------------


def test_posterior_of_hand_worked_cases():
    assert posterior(0.0, 0.3) == pytest.approx(0.3)
    assert posterior(1.0, 0.5) == pytest.approx(10 / 11)
    assert posterior(2.0, 0.01) == pytest.approx(1 / (1 + 99 / 100))
    assert posterior(-1.0, 0.5) == pytest.approx(1 / 11)
    assert posterior(1e6, 0.5) == 1.0
    assert posterior(-1e6, 0.5) == 0.0


@pytest.mark.parametrize(("log10_lr", "prior"), [(math.nan, 0.5), (0.0, 0.0), (0.0, 1.0), (0.0, math.nan)])
def test_posterior_needs_a_number_and_a_prior(log10_lr, prior):
    with pytest.raises(UsageError):
        posterior(log10_lr, prior)


@given(st.floats(-300, 300), st.floats(1e-9, 1 - 1e-9))
def test_posterior_is_symmetric(log10_lr, prior):
    assert posterior(log10_lr, prior) + posterior(-log10_lr, 1 - prior) == pytest.approx(1)


# --- token marks -----------------------------------------------------------------------------------------


def token_mark(log10_p, status="present"):
    return Evidence("token_mark", "recoverer@1", status, score=-log10_p, p_value=10.0**log10_p)


@pytest.mark.parametrize("log10_lr", [-9.0, 0.0, 9.0, None])
@pytest.mark.parametrize("shortcomings", [[], ["no_speech"], ["too_short", "narrowband", "clipped"]])
def test_a_mark_within_the_bound_decides_whatever_else_is_said(log10_lr, shortcomings):
    quality = replace(GOOD, **{name: value for code in shortcomings for name, value in SHORTCOMINGS[code].items()})
    result = decide([artifact(log10_lr, 9.0), token_mark(-8.0)], quality, None, POLICY)
    assert result.label == "synthetic"
    assert result.reasons[0] == "token_mark"
    assert set(shortcomings) <= set(result.reasons)


def test_a_mark_short_of_the_bound_only_keeps_a_file_from_clearance():
    weak = token_mark(-7.9)
    assert outcome(decide([artifact(-3.0), weak], GOOD, None, POLICY)) == (
        "inconclusive",
        ("weak_token_mark", "below_threshold"),
    )
    assert outcome(decide([artifact(3.0), weak], GOOD, None, POLICY)) == (
        "synthetic",
        ("strong_artifacts", "weak_token_mark"),
    )
    assert decide([artifact(0.0), weak], GOOD, None, POLICY).label == "inconclusive"


@given(
    st.floats(-9, 9), st.sampled_from(["absent", "not_checked"]), st.floats(-20, 0), st.sampled_from(list(SHORTCOMINGS))
)
def test_a_mark_that_is_absent_or_unchecked_changes_nothing(log10_lr, status, log10_p, shortcoming):
    for quality in (GOOD, replace(GOOD, **SHORTCOMINGS[shortcoming])):
        without = decide([artifact(log10_lr)], quality, None, POLICY)
        assert outcome(decide([artifact(log10_lr), token_mark(log10_p, status)], quality, None, POLICY)) == outcome(
            without
        )


def test_a_mark_says_nothing_about_a_file_that_could_not_be_read():
    assert outcome(decide([token_mark(-50.0)], None, "not_audio", POLICY)) == ("not_analysable", ("not_audio",))
