"""One file from bytes to facts: hash, decode, measure, score, look for marks.

Knows nothing of policies, order or other files.
"""

import math
import time
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import TYPE_CHECKING

from ..core.audio import AudioReader, DecodeLimits, OpenedInput, VoiceActivity, measure_quality
from ..core.audio.facts import DecodedAudio, Quality, SourceFacts
from ..core.protocols import Scorer
from ..core.records import Evidence, ScoredSegment, Stability
from ..core.scanrecord import DetectorResult, InputFacts, Marks, QualityFacts, RecordError, Timing

if TYPE_CHECKING:
    from .mark_evidence import ChecksMarks
    from .second_look import SecondLook


@dataclass(frozen=True)
class Findings:
    """What was measured on one file, or why nothing was."""

    input: InputFacts
    quality: QualityFacts | None
    detectors: tuple[DetectorResult, ...]
    timing: Timing
    error: RecordError | None = None
    marks: Marks = field(default_factory=Marks)


class FileAnalyser:
    """Analyses files one after another, with a decoder process of its own.

    One per thread; the scorer, the voice activity detector and the checker of marks are shared. Decoding runs in
    the child process, the rest in the caller's thread: numpy, onnxruntime and torch let other threads run meanwhile.
    """

    def __init__(
        self,
        scorer: Scorer,
        limits: DecodeLimits,
        voice_activity: VoiceActivity,
        marks: "ChecksMarks | None" = None,
        second_look: "SecondLook | None" = None,
    ) -> None:
        """Starts nothing yet. `marks` None: marks are not looked for; `second_look` None: nobody looks twice."""
        self._scorer = scorer
        self._reader = AudioReader(limits)
        self._voice_activity = voice_activity
        self._marks = marks
        self._second_look = second_look

    def __enter__(self) -> "FileAnalyser":
        """Itself, with its reader open."""
        self._reader.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the decoder process."""
        self._reader.__exit__(kind, error, trace)

    def analyse(self, opened: OpenedInput, known: InputFacts) -> Findings:
        """Everything about one opened file; `known` are the facts so far.

        Raises `InputError`, and `ModelMissing` when the voice activity model is not installed.
        """
        started = time.perf_counter()
        decoded = self._reader.read(opened)
        decoded_at = time.perf_counter()
        quality = measure_quality(decoded, self._voice_activity)
        measured_at = time.perf_counter()
        evidence = self._scorer.score(decoded.audio, regions=quality.speech)
        token_mark = self._marks.check(decoded.audio) if self._marks else None
        scored_at = time.perf_counter()
        stability = self._second_look.look(decoded.audio, quality.speech, evidence) if self._second_look else None
        return Findings(
            input=with_source(known, decoded.facts),
            quality=_quality_facts(quality, decoded),
            detectors=(_detector_result(evidence, stability),),
            timing=Timing(
                decode_s=_rounded(decoded_at - started),
                quality_s=_rounded(measured_at - decoded_at),
                score_s=_rounded(scored_at - measured_at),
                second_look_s=None if stability is None else _rounded(time.perf_counter() - scored_at),
            ),
            marks=Marks(token=token_mark),
        )


def _rounded(seconds: float) -> float:
    return round(seconds, 6)


def _finite(value: float | None) -> float | None:
    """A plain float, or None for what is unknown or undefined: JSON has no NaN and no infinity."""
    return float(value) if value is not None and math.isfinite(value) else None


def with_source(known: InputFacts, facts: SourceFacts) -> InputFacts:
    """The facts so far, and what the decoder says of the file."""
    return replace(
        known,
        container=facts.container,
        codec=facts.codec,
        sample_rate_hz=facts.rate_hz,
        channels=facts.channels,
        bits_per_sample=facts.bits_per_sample,
        bit_rate_bps=facts.bit_rate_bps,
        duration_s=_finite(facts.duration_s),
        declared_duration_s=_finite(facts.declared_duration_s),
        bad_packets=facts.bad_packets,
    )


def _quality_facts(quality: Quality, decoded: DecodedAudio) -> QualityFacts:
    facts = decoded.facts
    return QualityFacts(
        speech_s=float(quality.speech_s),
        snr_db=_finite(quality.snr_db),
        bandwidth_hz=_finite(quality.bandwidth_hz),
        clipping_share=float(quality.clipping_share),
        dc_offset=float(quality.dc_offset),
        peak=float(facts.peak),
        channel_levels_dbfs=tuple(_finite(level) for level in facts.channel_levels_dbfs),
        mix=facts.mix,
        partial=quality.partial,
        too_long=quality.too_long,
        speech=tuple((float(region.start_s), float(region.end_s)) for region in quality.speech),
        flags=(),
    )


def _detector_result(evidence: Evidence, stability: Stability | None) -> DetectorResult:
    return DetectorResult(
        id=evidence.method,
        model_sha256=evidence.model_sha256,
        status=evidence.status,
        score=_finite(evidence.score),
        log10_lr=_finite(evidence.log10_lr),
        segments=tuple(
            (float(segment.start_s), float(segment.end_s), float(segment.log10_lr))
            for segment in evidence.segments
            if isinstance(segment, ScoredSegment)
        ),
        domain=evidence.domain,
        stability=stability,
    )
