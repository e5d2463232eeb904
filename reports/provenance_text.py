"""Evidence of where a sound comes from, in words: one short paragraph per kind, with its error rate and its limits."""

from collections.abc import Sequence

from ..core.credentialsfinding import CredentialsFinding
from ..core.observationrecord import Examined
from ..core.records import Change
from ..core.scanrecord import Decision, DetectorResult
from ..core.waveformrecord import WaveformFinding


def waveform_texts(findings: Sequence[WaveformFinding]) -> list[str]:
    """One answer per method that looked, then one line of those that did not."""
    answers = [waveform_text(each) for each in findings if each.status != "not_checked"]
    unchecked = [f"{each.traits.method} ({each.reason})" for each in findings if each.status == "not_checked"]
    return answers + ([f"not_checked: {', '.join(unchecked)}"] if unchecked else [])


def waveform_text(finding: WaveformFinding) -> str:
    """One method's answer."""
    status = finding.status
    if status == "not_checked":
        return f"{finding.traits.method}: not_checked ({finding.reason}): {finding.detail}"
    parts = [f"{finding.traits.method}: {status}"]
    if finding.score is not None:
        threshold = "" if finding.threshold is None else f", counts from {finding.threshold:g} on"
        parts.append(f"score {finding.score:.2f}{threshold}")
    if finding.message is not None:
        issued = f", issued here {finding.issued_utc}" if finding.issued_utc else ""
        parts.append(f"message {finding.message}{issued}")
    if status != "not_detected":
        parts += [f"{each.start_s:.1f} to {each.end_s:.1f} s" for each in finding.segments]
        parts.append(_false_alarms(finding))
        parts += ["keyless: anyone can put it on"] * finding.traits.keyless
        parts += ["anyone can take it off"] * finding.traits.removable
    return "; ".join(part for part in parts if part)


def _false_alarms(finding: WaveformFinding) -> str:
    alarms = finding.false_alarms
    if alarms is None:
        return "false alarms never measured"
    return f"false alarms at most {100 * alarms.per_file:.1f} % of files ({alarms.alarms} of {alarms.trials} tried)"


def credentials_text(finding: CredentialsFinding) -> str:
    """What credentials say, of whom, and whether they hold."""
    state: str = finding.state
    if state in ("sidecar", "recovered") and finding.validation is not None:
        state = f"{state}, {finding.validation}"
    content = finding.manifest.content if finding.manifest else None
    says = f"; they say: {content}" if content else ""
    return f"{state}: {finding.words}{says}"


def detector_text(result: DetectorResult, decision: Decision | None) -> str:
    """The calibrated ratio, with the posterior where the analyst chose a prior."""
    if result.log10_lr is None:
        return f"{result.id}: {result.status}, no calibrated ratio"
    text = f"{result.id}: log10 LR {result.log10_lr:+.2f}"
    if decision is not None and decision.posterior is not None and decision.prior is not None:
        text += f"; prior {decision.prior:g} gives {decision.posterior:.3f}"
    if result.domain is not None and result.domain.verdict != "in":
        text += f"; {100 * result.domain.share_further_out:.2g} % of known recordings are as unlike the rest"
    if result.stability is not None:
        scores = (score.log10_lr for score in result.stability.scores)
        text += "; through mild codecs " + ", ".join("none" if each is None else f"{each:+.2f}" for each in scores)
    return text


def examined_text(examined: Examined) -> str:
    """What file forensics saw, the notable in full."""
    notable = [each for each in examined.observations if each.strength == "notable"]
    notes = [each.code for each in examined.observations if each.strength == "note"]
    could_not = f", {len(examined.skipped)} could not" if examined.skipped else ""
    counts = f"{len(examined.checks)} checks looked{could_not}"
    lines = [f"{each.code}: {each.seen}" for each in notable] or ["nothing notable"]
    return "; ".join([*lines, *([f"notes: {', '.join(notes)}"] if notes else []), counts])


def change_text(change: Change) -> str:
    """One way in which the verdict would be another."""
    conditions = [f"without {' and '.join(change.without)}"] if change.without else []
    if change.log10_lr is not None:
        bound = "at least" if change.verdict == "synthetic" else "at most"
        conditions.append(f"with a log10 LR of {bound} {change.log10_lr:g}")
    return f"{change.verdict} {' and '.join(conditions)}"
