"""One file from bytes to facts: hash, decode, measure, score, look for marks and credentials.

Knows nothing of policies, order or other files.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import TYPE_CHECKING

from ..core.audio import AudioReader, DecodeLimits, OpenedInput, VoiceActivity, measure_quality
from ..core.audio.facts import DecodedAudio, Quality, SourceFacts
from ..core.credentialsfinding import CredentialsFinding
from ..core.errors import InputError
from ..core.observationrecord import Examined
from ..core.protocols import Scorer, WaveformMark
from ..core.records import Audio, Evidence, ScoredSegment, Segment, Stability
from ..core.scanrecord import DetectorResult, InputFacts, Marks, QualityFacts, RecordError, Timing
from ..core.waveformrecord import WaveformFinding
from ..detect.forensics import Examination, Exhibit
from .failure import as_record_error

if TYPE_CHECKING:
    from .credentials import CredentialsReader
    from .mark_evidence import ChecksMarks
    from .second_look import SecondLook


@dataclass(frozen=True)
class Methods:
    """What files are examined with, shared by all threads. None or empty: not examined in that way."""

    scorer: Scorer | None = None
    second_look: "SecondLook | None" = None
    token_marks: "ChecksMarks | None" = None
    waveform_marks: tuple[WaveformMark, ...] = ()
    credentials: "CredentialsReader | None" = None
    forensics: Sequence[str] | None = None
    """Names of the checks."""


@dataclass(frozen=True)
class Findings:
    """What was measured on one file, or why nothing was."""

    input: InputFacts
    quality: QualityFacts | None
    detectors: tuple[DetectorResult, ...]
    timing: Timing
    error: RecordError | None = None
    marks: Marks = field(default_factory=Marks)
    """Of a file whose sound cannot be read: its credentials."""
    examined: Examined | None = None


class FileAnalyser:
    """Analyses files one after another, with a decoder process of its own.

    One per thread; methods and voice activity detector are shared. Decoding runs in the child process, the rest in the
    caller's thread: numpy, onnxruntime and torch let other threads run meanwhile.
    """

    def __init__(self, methods: Methods, limits: DecodeLimits, voice_activity: VoiceActivity) -> None:
        """Starts nothing yet."""
        self._methods = methods
        self._reader = AudioReader(limits)
        self._voice_activity = voice_activity

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

        Raises what concerns every file: `ModelMissing`, `IntegrityError`.
        """
        credentials = None
        try:
            if self._methods.credentials is not None:
                credentials = self._methods.credentials.read(opened)
            return self._heard(opened, known, credentials)
        except InputError as error:
            found = None if error.code == "changed_while_read" else credentials
            failure = as_record_error(error, str(opened.path))
            return Findings(known, None, (), Timing(), failure, Marks(credentials=found))

    def _heard(self, opened: OpenedInput, known: InputFacts, credentials: CredentialsFinding | None) -> Findings:
        methods = self._methods
        watch = _StopWatch()
        examination = None if methods.forensics is None else Examination(methods.forensics)
        decoded = self._reader.read(opened, examination.hear if examination else None)
        decode_s = watch.lap_s()
        quality = measure_quality(decoded, self._voice_activity) if methods.scorer else None
        quality_s = watch.lap_s()
        evidence = methods.scorer.score(decoded.audio, regions=quality.speech) if methods.scorer and quality else None
        score_s = watch.lap_s()
        marks = self._marks(opened, decoded.audio, credentials)
        marks_s = watch.lap_s()
        stability = None
        if methods.second_look and evidence and quality:
            stability = methods.second_look.look(decoded.audio, quality.speech, evidence)
        second_look_s = watch.lap_s()
        examined = None
        if examination is not None:
            speech = quality.speech if quality else self._voice_activity.segments(decoded.audio)
            examined = examine(examination, opened, decoded, speech)
        return Findings(
            input=with_source(known, decoded.facts),
            quality=_quality_facts(quality, decoded) if quality else None,
            detectors=(_detector_result(evidence, stability),) if evidence else (),
            timing=Timing(
                decode_s=decode_s,
                quality_s=quality_s if quality else None,
                score_s=score_s if evidence else None,
                second_look_s=None if stability is None else second_look_s,
                marks_s=marks_s if marks != Marks() else None,
            ),
            marks=marks,
            examined=examined,
        )

    def _marks(self, opened: OpenedInput, audio: Audio, credentials: CredentialsFinding | None) -> Marks:
        """Marks in the sound; where credentials were lost, those that a mark leads to."""
        methods = self._methods
        token = methods.token_marks.check(audio) if methods.token_marks else None
        if methods.credentials is not None and token is not None and token.status == "present":
            from .credentials import marks_in

            credentials = methods.credentials.read(opened, marks_in(token))
        return Marks(token, self._waveform_marks(audio), credentials)

    def _waveform_marks(self, audio: Audio) -> tuple[WaveformFinding, ...]:
        return tuple(mark.find(audio) for mark in self._methods.waveform_marks)


class _StopWatch:
    """Seconds from one step to the next."""

    def __init__(self) -> None:
        self._at = time.perf_counter()

    def lap_s(self) -> float:
        before, self._at = self._at, time.perf_counter()
        return round(self._at - before, 6)


def examine(
    examination: Examination, opened: OpenedInput, decoded: DecodedAudio, speech: Sequence[Segment]
) -> Examined:
    """What an examination that heard the file saw in it. Raises `InputError` for a file that changed meanwhile."""
    exhibit = Exhibit(opened.file, opened.size_bytes, decoded.facts, decoded.tags, decoded.audio, tuple(speech))
    seen = examination.observe(exhibit)
    opened.check_unchanged()
    looked = tuple(name for name in examination.names if name not in examination.skipped)
    return Examined(looked, examination.skipped, seen)


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
