"""Records built by hand, of every kind that a scan can give."""

from dataclasses import replace

import pytest

from covoguard.core.credentialsfinding import CredentialAction, CredentialsFinding, ManifestFacts, SoftBinding
from covoguard.core.markrecord import KeyReading, MarkAlignment, MarkedSpan, MarkPayload, TokenMark
from covoguard.core.records import Change, DomainFinding, SecondScore, Segment, Stability
from covoguard.core.scanrecord import (
    AuditRef,
    Case,
    Decision,
    DetectorResult,
    HashChain,
    InputFacts,
    Marks,
    PolicyRef,
    QualityFacts,
    RecordError,
    ScanRecord,
    Timing,
    Tool,
    path_facts,
)
from covoguard.core.waveformrecord import FalseAlarms, MarkTraits, WaveformFinding

SHA = "0123456789abcdef" * 4
POLICY = PolicyRef("default@1", SHA)

WAVEFORM = WaveformFinding(
    "inconclusive", MarkTraits("label", True, True, "a label of whoever put it on"), "mark_at_other_speed", "slower",
    0.91, 0.95, 0.001, 1.02, (Segment(0.0, 2.5),), "0a1b", "2026-01-02T03:04:05Z",
    FalseAlarms(1, 100, 0.0466, 2, 0.0932, "genuine clips"), SHA,
)  # fmt: skip
CREDENTIALS = CredentialsFinding(
    "sidecar", "credentials_trusted", "unchanged since it was signed", "trusted",
    ManifestFacts(
        "urn:c2pa:1", "talk", "covoguard/0.1.0", "Radio Example", "Radio", "radio.pem",
        (CredentialAction("c2pa.created", "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture", "a phone"),),
        "captured", (SoftBinding("org.covoguard.tokenmark.1", "k0123456789.2"),), ("an old label",),
    ),
    ("signingCredential.ocsp.skipped",), "talks/talk.c2pa", SHA,
)  # fmt: skip

SCORED = ScanRecord(
    schema_version=1,
    run_id="20260102T030405Z-0a1b2c3d",
    seq=0,
    case=Case("2026-17", None, "J. Doe"),
    input=InputFacts(
        path="talks/día 1.ogg",
        path_b64=None,
        sha256=SHA,
        size_bytes=81_920,
        container="ogg",
        codec="opus",
        sample_rate_hz=48_000,
        channels=2,
        bits_per_sample=None,
        bit_rate_bps=32_000,
        duration_s=7.1,
        declared_duration_s=7.25,
        bad_packets=1,
        sha256_after=SHA,
    ),
    quality=QualityFacts(
        speech_s=5.5,
        snr_db=22.4,
        bandwidth_hz=7600.0,
        clipping_share=0.0,
        dc_offset=1e-05,
        peak=0.71,
        channel_levels_dbfs=(-23.5, None),
        mix="loudest_channel",
        partial=True,
        too_long=False,
        speech=((0.1, 2.6), (3.0, 6.0)),
        flags=("partial",),
    ),
    detectors=(
        DetectorResult(
            "fake@1",
            SHA,
            "scored",
            1.25,
            2.0000000000000004,
            ((0.0, 4.0, -0.1), (2.0, 6.0, 3.3)),
            DomainFinding(1.5, 0.0075, "edge"),
            Stability((SecondScore("mp3-64k", 1.5), SecondScore("aac-64k", None)), None),
        ),
    ),
    marks=Marks(waveform=(WAVEFORM,), credentials=CREDENTIALS),
    decision=Decision(
        "synthetic",
        ("strong_artifacts", "partial"),
        POLICY,
        0.1,
        0.9174311926605505,
        (Change("inconclusive", ("captured_but_artifacts",), None), Change("no_evidence", (), -1.0)),
    ),
    error=None,
    duplicate_of=None,
    timing=Timing(0.001, 0.02, 0.03, 0.04, 0.15, 0.2),
    tool=Tool("0.1.0", "3.11.7", "1.31.1"),
    prev_hash=None,
    audit=AuditRef("f" * 32, 3, SHA, "a" + 20 * "0"),
)


KEY_READING = KeyReading(
    "k0123456789", 2, "present", None, -31.25, 31.5, -33.0, 9.98, None, 337_920, MarkAlignment(1.05, 0.998, 0.02),
    MarkPayload("read", 3, 17, "2026-01-02"),
)  # fmt: skip
TOKEN_MARK = TokenMark(
    "present", None, -6.0, -31.25, 31.5, -33.0, 9.98, None, (MarkedSpan(0.5, 10.0, "k0123456789", 2, -31.0),),
    (KEY_READING, replace(KEY_READING, epoch=1, status="absent", log10_p=0.0, alignment=None, payload=None)),
    "pocket@1", SHA, "pocket@0.1.0", SHA,
)  # fmt: skip


def every_kind() -> list[ScanRecord]:
    """Scored, duplicate, silent, failed after hashing, never opened (with a hostile name), marked; in a chain."""
    silent = replace(
        SCORED,
        seq=2,
        case=None,
        quality=replace(SCORED.quality, snr_db=None, bandwidth_hz=None, speech_s=0.0, speech=(), flags=("no_speech",)),
        detectors=(DetectorResult("fake@1", SHA, "not_scored", None, None, ()),),
        decision=Decision("not_analysable", ("no_speech",), POLICY, None, None),
    )
    failed = replace(
        SCORED,
        seq=3,
        input=InputFacts("=cmd|'/c calc'!A0.wav", None, sha256=SHA, size_bytes=9),
        quality=None,
        detectors=(),
        decision=Decision("not_analysable", ("not_audio",), POLICY, None, None),
        error=RecordError("not_audio", "=1+1 a text"),
        timing=Timing(hash_s=0.01),
    )
    never_opened = replace(
        failed,
        seq=4,
        input=path_facts("bad\udcff\n[red]x[/red]\x1b[2J\u202egpj.wav"),
        decision=Decision("not_analysable", ("not_found",), POLICY, None, None),
        error=RecordError("not_found", "there is no such file; check the path"),
        timing=Timing(),
    )
    duplicate = replace(SCORED, seq=1, input=replace(SCORED.input, path="copy.ogg"), duplicate_of=0, timing=Timing())
    marked = replace(
        SCORED,
        seq=5,
        marks=Marks(token=TOKEN_MARK),
        decision=Decision("synthetic", ("token_mark", "below_threshold", "partial"), POLICY, 0.1, None),
    )
    chain = HashChain()
    return [chain.link(record) for record in (SCORED, duplicate, silent, failed, never_opened, marked)]


@pytest.fixture
def records() -> list[ScanRecord]:
    return every_kind()
