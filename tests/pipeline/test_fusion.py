"""All evidence of one file in one verdict: real signed files, real waveform marks, through `scan` and `verify`."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from marked_sound import TABLE, SpelledRecoverer, a_key, marked_tokens, plain_tokens, spelled, spelled_model
from signed_files import CLAIM, flip_sound_byte, signer_files, signer_of, trust_in
from speech_and_model import spoken, write_wav

from covoguard.core.audio import DecodeLimits
from covoguard.core.jsonrecord import from_json, json_line
from covoguard.core.records import Evidence, Segment
from covoguard.core.scanrecord import ScanRecord
from covoguard.core.verifyrecord import VerifyRecord
from covoguard.core.waveformrecord import MarkTraits, WaveformFinding, not_checked
from covoguard.detect.forensics import CHECKS
from covoguard.detect.policy import load_policy
from covoguard.pipeline.analysis import Methods
from covoguard.pipeline.credentials import CredentialsReader
from covoguard.pipeline.inputs import Source
from covoguard.pipeline.mark_evidence import MarkChecker
from covoguard.pipeline.redecide import redecide
from covoguard.pipeline.scan import scan
from covoguard.pipeline.verify import verify
from covoguard.watermark.credentials.manifest import MarkBinding
from covoguard.watermark.credentials.registry import Registry
from covoguard.watermark.credentials.sign import sign_file

pytest.importorskip("c2pa", reason="c2pa-python is not installed")

SCHEMAS = Path(__file__).resolve().parents[2] / "reports" / "schema"
KEY = a_key(1)
TRAITS = MarkTraits("label", keyless=True, removable=True, limits="a label")


class FixedScorer:
    """Gives every file the same ratio."""

    def __init__(self, log10_lr):
        self._log10_lr = log10_lr

    def score(self, audio, *, regions=None) -> Evidence:
        return Evidence("artifact", "fixed@1", "scored", self._log10_lr, self._log10_lr, model_sha256="f" * 64)


class FixedMark:
    """Finds a mark everywhere."""

    def __init__(self, finding):
        self._finding = finding

    def find(self, audio):
        return self._finding


@pytest.fixture(scope="module")
def authority():
    return signer_files()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, authority):
    folder = tmp_path_factory.mktemp("fusion")
    write_wav(folder / "plain.wav", spoken(4.0))
    signer = signer_of(authority)
    for name, content in (("generated", "generated"), ("captured", "captured"), ("flipped", "captured")):
        claim = replace(CLAIM, content=content, mark=None)
        sign_file(folder / "plain.wav", folder / f"{name}.wav", claim, signer)
    flip_sound_byte(folder / "flipped.wav")
    (folder / "text.wav").write_text("no sound")
    return folder


def policy(**changes):
    """The default one, lenient to the poor sounds of these tests."""
    default = load_policy(**changes)
    quality = replace(default.quality, min_speech_s=0.5, min_snr_db=-100.0, min_bandwidth_hz=0.0)
    return replace(default, quality=quality)


def methods(log10_lr, authority=None, **others):
    trust = [trust_in(authority)] if authority else []
    return Methods(FixedScorer(log10_lr), credentials=CredentialsReader(trust, registry=None), **others)


def scanned(folder, chosen, names=("plain", "generated", "captured", "flipped"), **changes):
    sources = [Source(str(folder / f"{name}.wav")) for name in names]
    records = list(scan(sources, methods=chosen, policy=policy(**changes), limits=DecodeLimits(), jobs=2))
    schema = json.loads((SCHEMAS / "scan-record-1.schema.json").read_text())
    for record in records:
        line = json.loads(json_line(record))
        jsonschema.validate(line, schema)
        assert from_json(ScanRecord, line) == record
    assert list(redecide(records, policy(**changes))) == records
    return {name: record.decision for name, record in zip(names, records, strict=True)}


def test_credentials_count_as_much_as_the_trust_in_their_signer(folder, authority):
    trusted = scanned(folder, methods(-3.0, authority))
    assert [trusted[name].verdict for name in trusted] == ["no_evidence", "synthetic", "no_evidence", "inconclusive"]
    assert trusted["generated"].reasons[0] == "trusted_generated"
    assert "credentials_changed" in trusted["flipped"].reasons
    unknown = scanned(folder, methods(-3.0))
    assert [unknown[name].verdict for name in unknown][:3] == ["no_evidence", "inconclusive", "no_evidence"]
    assert "claimed_generated" in unknown["generated"].reasons


def test_trusted_capture_and_a_strong_score_contradict_each_other_by_name(folder, authority):
    decisions = scanned(folder, methods(3.0, authority))
    assert decisions["captured"].verdict == "inconclusive"
    assert decisions["captured"].reasons[0] == "captured_but_artifacts"
    (change,) = [each for each in decisions["captured"].would_change if each.verdict == "synthetic"]
    assert change.without == ("captured_but_artifacts",)
    assert decisions["plain"].verdict == "synthetic"


def test_the_prior_of_the_analyst_is_stated_and_decides_nothing(folder, authority):
    without = scanned(folder, methods(3.0, authority))
    given = scanned(folder, methods(3.0, authority), prior=0.01)
    assert [each.verdict for each in given.values()] == [each.verdict for each in without.values()]
    assert given["plain"].prior == 0.01
    assert given["plain"].posterior == pytest.approx(10 / (10 + 0.99), rel=1e-6)
    assert without["plain"].posterior is None
    assert given["generated"].posterior is None, "the ratio did not decide"


@pytest.mark.parametrize(("status", "code"), [("detected", "waveform_mark"), ("inconclusive", "weak_waveform_mark")])
def test_a_waveform_mark_keeps_a_file_from_clearance(folder, status, code):
    found = FixedMark(WaveformFinding(status, TRAITS, score=0.9, segments=(Segment(0.0, 1.0),)))
    unseen = FixedMark(not_checked(TRAITS, "mark_not_installed", "install it"))
    decisions = scanned(folder, methods(-3.0, waveform_marks=(found, unseen)), names=("plain",))
    assert decisions["plain"].verdict == "inconclusive"
    assert decisions["plain"].reasons[0] == code


def test_credentials_that_name_a_mark_are_held_against_the_sound(tmp_path, authority):
    checker = MarkChecker(SpelledRecoverer(spelled_model(tmp_path / "model")), TABLE, [KEY])
    write_wav(tmp_path / "marked.wav", spelled(marked_tokens(KEY, 75)))
    write_wav(tmp_path / "unmarked.wav", spelled(plain_tokens(75)))
    claim = replace(CLAIM, content="generated", mark=MarkBinding(KEY.key_id, KEY.epoch))
    for name in ("marked", "unmarked"):
        sign_file(tmp_path / f"{name}.wav", tmp_path / f"{name}-signed.wav", claim, signer_of(authority))
    chosen = methods(-3.0, authority, token_marks=checker)
    decisions = scanned(tmp_path, chosen, names=("marked-signed", "unmarked-signed"))
    assert "named_mark_absent" not in decisions["marked-signed"].reasons
    assert decisions["marked-signed"].reasons[0] == "token_mark"
    assert "named_mark_absent" in decisions["unmarked-signed"].reasons


def test_a_file_that_lost_its_credentials_is_found_again_by_its_mark_and_not_called_tampered(tmp_path, authority):
    checker = MarkChecker(SpelledRecoverer(spelled_model(tmp_path / "model")), TABLE, [KEY])
    registry, binding = Registry(tmp_path / "registry.sqlite"), MarkBinding(KEY.key_id, KEY.epoch)
    write_wav(tmp_path / "stripped.wav", spelled(marked_tokens(KEY, 75)))
    claim = replace(CLAIM, content="generated", mark=binding)
    registry.add(binding, sign_file(tmp_path / "stripped.wav", tmp_path / "signed.wav", claim, signer_of(authority)))
    reader = CredentialsReader([trust_in(authority)], registry=registry)
    chosen = Methods(FixedScorer(-3.0), token_marks=checker, credentials=reader)
    (record,) = verify(
        [Source(str(tmp_path / "stripped.wav"))], methods=chosen, policy=policy(), limits=DecodeLimits(), jobs=1
    )
    assert record.credentials.state == "recovered"
    assert record.credentials.manifest.content == "generated"
    assert set(record.decision.reasons) == {"token_mark", "below_threshold", "no_speech"}, "the bytes differ by nature"


def test_verify_shows_all_of_it_in_one_record(folder, authority, tmp_path):
    checker = MarkChecker(SpelledRecoverer(spelled_model(tmp_path / "model")), TABLE, [KEY])
    mark = FixedMark(WaveformFinding("not_detected", TRAITS, score=0.1))
    chosen = methods(3.0, authority, token_marks=checker, waveform_marks=(mark,), forensics=CHECKS.names())
    sources = [Source(str(folder / f"{name}.wav")) for name in ("captured", "text", "absent")]
    captured, text, absent = verify(sources, methods=chosen, policy=policy(), limits=DecodeLimits(), jobs=2)
    schema = json.loads((SCHEMAS / "verify-record-1.schema.json").read_text())
    for record in (captured, text, absent):
        line = json.loads(json_line(record))
        jsonschema.validate(line, schema)
        assert from_json(VerifyRecord, line) == record
    assert (captured.token_mark.status, captured.credentials.state) == ("absent", "trusted")
    assert [finding.status for finding in captured.waveform_marks] == ["not_detected"]
    assert captured.examined.checks
    assert captured.decision.reasons[0] == "captured_but_artifacts"
    assert captured.detectors[0].log10_lr == 3.0
    assert (text.error.code, text.credentials.state, text.detectors) == ("not_audio", "unreadable", None)
    assert text.decision.verdict == absent.decision.verdict == "not_analysable"
    assert absent.credentials is None


def test_verify_looks_only_where_it_is_asked_to(folder, authority):
    reader = CredentialsReader([trust_in(authority)], registry=None)
    (record,) = verify(
        [Source(str(folder / "generated.wav"))], methods=Methods(credentials=reader), limits=DecodeLimits(), jobs=1
    )
    assert record.credentials.state == "trusted"
    looked_otherwise = (record.token_mark, record.waveform_marks, record.detectors, record.examined, record.decision)
    assert set(looked_otherwise) == {None}
