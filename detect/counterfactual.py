"""What would change a verdict: found by deciding again, under the same policy, with as little as possible altered."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

from ..core.audio.facts import Quality
from ..core.records import Change, Evidence, VerdictLabel
from .policy import Effect, Policy
from .verdict import decide

MAX_REMOVED = 3
"""More reasons than this are only taken away all at once."""
_TARGETS: tuple[VerdictLabel, ...] = ("synthetic", "inconclusive", "no_evidence")


def what_would_change(
    evidence: Sequence[Evidence], quality: Quality | None, error_code: str | None, policy: Policy
) -> tuple[Change, ...]:
    """For each other verdict that can be had, the least that would give it; nothing where the file could not be read.

    Tried are: reasons that do not apply after all, and, for the verdicts that a score can give, ratios that reach the
    policy's threshold throughout. Marks and credentials that were not found are not imagined.
    """
    if error_code is not None or quality is None:
        return ()
    now = decide(evidence, quality, None, policy)
    removable = [code for code in now.reasons if _is_removable(code, policy)]
    found: list[Change] = []
    for without in _subsets(removable):
        remaining, milder = _without(without, evidence, policy)
        found.append(Change(decide(remaining, quality, None, milder).label, without, None))
        for label, log10_lr in (
            ("synthetic", policy.thresholds.synthetic_min_log10_lr),
            ("no_evidence", policy.thresholds.no_evidence_max_log10_lr),
        ):
            verdict = decide(_with_ratios(remaining, log10_lr), quality, None, milder).label
            found += [Change(verdict, without, log10_lr)] * (verdict == label)
    found.sort(key=_size)  # stable: at the same size, the order of trying
    least = {change.verdict: change for change in reversed(found)}
    return tuple(least[label] for label in _TARGETS if label in least and label != now.label)


def _size(change: Change) -> tuple[int, bool]:
    return len(change.without) + (change.log10_lr is not None), change.log10_lr is not None


def _is_removable(code: str, policy: Policy) -> bool:
    return policy.effects.get(code, "note") != "note" or code in ("suspicious_segment", "token_mark", "weak_token_mark")


def _subsets(codes: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The small ones first; then all codes together."""
    for size in range(min(len(codes), MAX_REMOVED) + 1):
        yield from combinations(codes, size)
    if len(codes) > MAX_REMOVED:
        yield tuple(codes)


def _without(codes: tuple[str, ...], evidence: Sequence[Evidence], policy: Policy) -> tuple[Sequence[Evidence], Policy]:
    """The evidence and the policy under which these reasons do not count."""
    if "token_mark" in codes or "weak_token_mark" in codes:
        evidence = [each for each in evidence if each.kind != "token_mark"]
    if "suspicious_segment" in codes:
        evidence = [replace(each, segments=()) for each in evidence]
    notes: dict[str, Effect] = {code: "note" for code in codes if code in policy.effects}
    return evidence, replace(policy, effects={**policy.effects, **notes})


def _with_ratios(evidence: Sequence[Evidence], log10_lr: float) -> list[Evidence]:
    """As if the detectors had said this of the whole recording, and again at a second look."""
    return [
        replace(each, log10_lr=log10_lr, segments=(), stability=None)
        if each.kind == "artifact" and each.log10_lr is not None
        else each
        for each in evidence
    ]
