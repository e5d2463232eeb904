"""The tables of a clip report, from the record."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...core.credentialsfinding import CredentialsFinding
from ...core.markrecord import TokenMark
from ...core.reason import Reason
from ...core.reasons import REASONS
from ...core.records import Segment
from ...core.scanrecord import Decision, DetectorResult, QualityFacts, ScanRecord
from ...core.waveformrecord import WaveformFinding
from ..provenance_text import credentials_text, detector_text, waveform_text
from . import words


@dataclass(frozen=True)
class EvidenceRow:
    """One kind of evidence: what was found, how often such a finding is wrong, what it means and what it does not."""

    name: str
    found: str
    error_rate: str
    means: str
    does_not_mean: str


@dataclass(frozen=True)
class MarkedStretch:
    """A stretch of time that something was found in."""

    start_s: float
    end_s: float
    kind: str
    """`token`, `waveform` or `window`: how it is drawn."""
    label: str
    strength: str


def evidence_rows(record: ScanRecord, error_rates: Mapping[str, str]) -> list[EvidenceRow]:
    """A row for every way of looking, those that were not taken included."""
    marks = record.marks
    waveform = [_waveform_row(each) for each in marks.waveform] or [_not_looked_for("Waveform marks")]
    return [
        _token_row(marks.token) if marks.token else _not_looked_for("Token mark"),
        _credentials_row(marks.credentials) if marks.credentials else _not_looked_for("Content Credentials"),
        *waveform,
        *(_detector_row(each, record.decision, error_rates) for each in record.detectors),
    ]


def marked_stretches(record: ScanRecord, suspicious_log10_lr: float | None) -> list[MarkedStretch]:
    """Spans of marks, and unions of the windows at or above the policy's threshold (None: it is not known)."""
    token = record.marks.token
    spans = [
        MarkedStretch(each.start_s, each.end_s, "token", f"token mark, key {each.key_id} epoch {each.epoch}",
                      f"p at most {words.power_of_ten(each.log10_p)}")
        for each in (token.spans if token else ())
    ]  # fmt: skip
    labels = [
        MarkedStretch(each.start_s, each.end_s, "waveform", f"waveform mark {finding.traits.method}", finding.status)
        for finding in record.marks.waveform
        if finding.status in ("detected", "inconclusive")
        for each in finding.segments
    ]
    return [*spans, *labels, *_suspicious(record.detectors, suspicious_log10_lr)]


def what_matters(record: ScanRecord, suspicious_log10_lr: float | None) -> list[Segment]:
    """Where a listener should look first: marked stretches, or else the three windows that score highest."""
    stretches = marked_stretches(record, suspicious_log10_lr)
    if stretches:
        return [Segment(each.start_s, each.end_s) for each in stretches]
    windows = sorted((each for result in record.detectors for each in result.segments), key=lambda each: -each[2])
    return [Segment(start_s, end_s) for start_s, end_s, _ in windows[:3]]


def quality_rows(quality: QualityFacts) -> list[tuple[str, str]]:
    """What the recording is like."""
    levels = ", ".join("silent" if each is None else f"{each:.1f} dBFS" for each in quality.channel_levels_dbfs)
    return [
        (
            "Speech",
            f"{quality.speech_s:.1f} s in {len(quality.speech)} stretch{'' if len(quality.speech) == 1 else 'es'}",
        ),
        ("Speech over noise", "not known" if quality.snr_db is None else f"{quality.snr_db:.0f} dB"),
        ("Bandwidth", "not known" if quality.bandwidth_hz is None else f"{quality.bandwidth_hz:.0f} Hz"),
        ("Samples at the ceiling", f"{100 * quality.clipping_share:.2g} %"),
        ("Peak", f"{quality.peak:.2f} of full scale"),
        ("Offset", f"{quality.dc_offset:.2g} of full scale"),
        ("Level by channel", levels),
        ("Channels analysed", {"mono": "the only one", "mean": "their mean"}.get(quality.mix, "the loudest alone")),
        ("Shortcomings under the policy", ", ".join(quality.flags) or "none"),
    ]


def file_rows(record: ScanRecord) -> list[tuple[str, str]]:
    """What the container says, and the identity of the bytes."""
    file = record.input
    facts: list[tuple[str, str | None]] = [
        ("Container and codec", " / ".join(each for each in (file.container, file.codec) if each) or None),
        ("Sample rate", f"{file.sample_rate_hz} Hz" if file.sample_rate_hz else None),
        ("Channels", str(file.channels) if file.channels else None),
        ("Bits per sample", str(file.bits_per_sample) if file.bits_per_sample else None),
        ("Length decoded", f"{file.duration_s:.2f} s" if file.duration_s is not None else None),
        ("Length declared", f"{file.declared_duration_s:.2f} s" if file.declared_duration_s is not None else None),
        ("Damaged packets", str(file.bad_packets) if file.bad_packets else None),
        ("Size", f"{file.size_bytes:,} bytes" if file.size_bytes is not None else None),
    ]
    return [(name, text) for name, text in facts if text is not None]


def reasons_of(decision: Decision) -> list[Reason]:
    """The reasons of a decision in words; a code of a later version is told as such."""
    unknown = "This version of covoguard does not know the code.", "Read it with the version that wrote the record."
    return [REASONS.get(code) or Reason(code, *unknown) for code in decision.reasons]


def _token_row(mark: TokenMark) -> EvidenceRow:
    keys = f"{len(mark.keys)} key epoch{'' if len(mark.keys) == 1 else 's'} tested, model {mark.model}"
    spans = ", ".join(f"{each.start_s:.1f} to {each.end_s:.1f} s" for each in mark.spans)
    found = f"{mark.status}{f' ({mark.reason})' if mark.reason else ''}: {keys}" + (f"; {spans}" if spans else "")
    rate = words.NO_RATE
    if mark.status == "present" and mark.log10_p is not None:
        rate = (
            f"p at most {words.power_of_ten(mark.log10_p)}: over random keys, the certified chance that sound made "
            "without the key gives evidence as strong, corrected for all that was searched."
        )
    elif mark.status == "absent" and mark.seconds_needed is not None:
        rate = (
            f"About {mark.seconds_needed:.1f} s of marked speech would be needed for certainty; "
            f"{mark.seconds_used:.1f} s were read."
        )
    return EvidenceRow("Token mark", found, rate, words.MARK_MEANS[mark.status], words.MARK_DOES_NOT_MEAN[mark.status])


def _credentials_row(finding: CredentialsFinding) -> EvidenceRow:
    return EvidenceRow(
        "Content Credentials",
        credentials_text(finding),
        "A signature holds or does not; how often signers are wrong, nobody has measured.",
        words.CREDENTIALS_MEAN[finding.state],
        words.NOT_NONE if finding.state == "not_checked" else words.CREDENTIALS_DO_NOT_MEAN,
    )


def _waveform_row(finding: WaveformFinding) -> EvidenceRow:
    alarms, status = finding.false_alarms, finding.status
    rate = words.NO_RATE if status == "not_checked" else "False alarms were never measured."
    if alarms is not None:
        rate = (
            f"False alarms at most {100 * alarms.per_file:.2g} % of files ({alarms.alarms} of {alarms.trials} tried: "
            f"{alarms.trials_of})."
        )
    limits = {"not_checked": words.NOT_NONE, "not_detected": words.NO_WAVEFORM_MARK}.get(status, finding.traits.limits)
    return EvidenceRow("Waveform mark", waveform_text(finding), rate, words.WAVEFORM_MEANS[status], limits)


def _detector_row(result: DetectorResult, decision: Decision, error_rates: Mapping[str, str]) -> EvidenceRow:
    scored = result.log10_lr is not None
    return EvidenceRow(
        "Detector",
        detector_text(result, decision),
        error_rates.get(result.id, "Not known here: see the model card of this detector.") if scored else words.NO_RATE,
        words.ratio_text(result.log10_lr) if result.log10_lr is not None else words.NOT_SCORED,
        words.SCORE_DOES_NOT_MEAN if scored else words.NOTHING_FOLLOWS,
    )


def _not_looked_for(name: str) -> EvidenceRow:
    return EvidenceRow(name, words.NOT_LOOKED_FOR, words.NO_RATE, words.NOTHING_FOLLOWS, words.NOT_NONE)


def _suspicious(detectors: Sequence[DetectorResult], threshold: float | None) -> Iterator[MarkedStretch]:
    if threshold is None:
        return
    for result in detectors:
        high = sorted(each for each in result.segments if each[2] >= threshold)
        while high:
            start_s, end_s, highest = high.pop(0)
            while high and high[0][0] <= end_s:
                _, other_end_s, log10_lr = high.pop(0)
                end_s, highest = max(end_s, other_end_s), max(highest, log10_lr)
            yield MarkedStretch(start_s, end_s, "window", f"high score, {result.id}", f"log10 LR up to {highest:+.2f}")
