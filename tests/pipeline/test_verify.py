"""`verify`: one record per input, in order, whatever the input; its records are valid and tell no secret."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hostile_files import build_hostile_files
from marked_sound import TABLE, SpelledRecoverer, a_key, marked_tokens, plain_tokens, spelled, spelled_model
from secret_leaks import assert_no_secret
from speech_and_model import write_wav
from tone_generator import build_tone_model

from covoguard.core.audio import DecodeLimits
from covoguard.core.errors import InputError, ModelMissing
from covoguard.core.jsonrecord import from_json, json_line
from covoguard.core.reasons import REASONS
from covoguard.core.records import DomainFinding, Evidence, ScoredSegment, SecondScore, Stability
from covoguard.core.scanrecord import AuditRef, Case
from covoguard.core.verifyrecord import VerifyRecord
from covoguard.core.waveformrecord import MarkTraits, not_checked
from covoguard.detect.forensics import CHECKS
from covoguard.detect.policy import load_policy
from covoguard.pipeline.analysis import Methods
from covoguard.pipeline.credentials import CredentialsReader
from covoguard.pipeline.inputs import Source
from covoguard.pipeline.mark_evidence import MarkChecker, load_mark_checker
from covoguard.pipeline.verify import verify

SCHEMA = json.loads(
    (Path(__file__).resolve().parents[2] / "reports" / "schema" / "verify-record-1.schema.json").read_text()
)
KEY = a_key(1)
LATER = (
    "ledger", "case", "audit", "sha256_after", "waveform_marks", "credentials", "quality", "detectors", "examined",
    "decision", "quality_s", "score_s", "second_look_s", "domain", "stability", "would_change",
)  # fmt: skip
"""Fields that lines of earlier versions lack; the schema does not ask for them."""


TRAITS = MarkTraits("label", keyless=True, removable=True, limits="a label")


class FixedScorer:
    def score(self, audio, *, regions=None):
        segments = (ScoredSegment(0.0, 1.0, 0.5),)
        return Evidence("artifact", "fixed@1", "scored", 0.5, 0.5, segments=segments, model_sha256="f" * 64)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return spelled_model(tmp_path_factory.mktemp("spelled"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    write_wav(folder / "marked.wav", spelled(marked_tokens(KEY, 75)))
    write_wav(folder / "plain.wav", spelled(plain_tokens(75)))
    write_wav(folder / "short.wav", spelled(plain_tokens(1))[:300])
    write_wav(folder / "silent.wav", spelled(plain_tokens(75)) * 0)
    (folder / "text.wav").write_text("no sound")
    return folder


def verified(sources, recoverer, jobs=2):
    sources = [source if isinstance(source, Source) else Source(str(source)) for source in sources]
    checker = MarkChecker(recoverer, TABLE, [KEY, a_key(2)])
    records = list(verify(sources, methods=Methods(token_marks=checker), limits=DecodeLimits(), jobs=jobs))
    for record in records:
        line = json_line(record)
        jsonschema.validate(json.loads(line), SCHEMA)
        assert from_json(VerifyRecord, json.loads(line)) == record
        assert_no_secret(line, KEY, *TABLE.subkeys(KEY).values())
    return records


def answer(record):
    return record.token_mark.status if record.token_mark else record.error.code


def test_one_record_each_in_order_with_the_answer_and_the_facts(folder, model):
    names = ["marked.wav", "plain.wav", "short.wav", "silent.wav", "text.wav", "absent.wav"]
    records = verified([folder / name for name in names], SpelledRecoverer(model))
    assert [Path(record.input.path).name for record in records] == names
    assert [record.seq for record in records] == list(range(6))
    assert [answer(record) for record in records] == [
        "present", "absent", "not_checked", "not_checked", "not_audio", "not_found",
    ]  # fmt: skip
    assert (records[2].token_mark.reason, records[3].token_mark.reason) == ("too_short", "no_speech")
    assert len({record.run_id for record in records}) == 1
    first = records[0]
    assert (first.input.codec, first.input.duration_s) == ("pcm_s16le", 3.0)
    assert min(first.timing.hash_s, first.timing.decode_s, first.timing.mark_s) >= 0
    assert records[4].input.sha256 is not None
    assert records[5].input.sha256 is None


def test_the_number_of_threads_changes_nothing(folder, model):
    def facts(record):
        return record.input, record.token_mark, record.error

    sources = sorted(folder.iterdir()) * 3
    one, four = (verified(sources, SpelledRecoverer(model), jobs) for jobs in (1, 4))
    assert [facts(record) for record in one] == [facts(record) for record in four]


def test_hostile_files_each_get_a_record(tmp_path, model):
    expected = build_hostile_files(tmp_path)
    records = verified([tmp_path / name for name in expected], SpelledRecoverer(model))
    codes = [record.error.code if record.error else None for record in records]
    assert dict(zip(expected, codes, strict=True)) == expected
    assert "present" not in [answer(record) for record in records]


def test_a_model_without_a_recoverer_gives_records_that_say_so(folder, tmp_path):
    build_tone_model(tmp_path)
    checker = load_mark_checker([KEY, a_key(2)], tmp_path)
    names = ["marked.wav", "silent.wav", "text.wav"]
    sources = [Source(str(folder / name)) for name in names]
    records = list(verify(sources, methods=Methods(token_marks=checker), limits=DecodeLimits(), jobs=2))
    assert [answer(record) for record in records] == ["not_checked", "not_checked", "not_audio"]
    for record in records:
        line = json_line(record)
        jsonschema.validate(json.loads(line), SCHEMA)
        assert from_json(VerifyRecord, json.loads(line)) == record
    mark = records[0].token_mark
    assert (mark.reason, mark.model, mark.recoverer, mark.recoverer_sha256) == ("no_recoverer", "tone@1", None, None)
    assert {key.reason for key in mark.keys} == {"no_recoverer"}
    assert mark.table_sha256 is not None
    assert records[0].input.duration_s == 3.0
    assert "covoguard recover train" in REASONS["no_recoverer"].advice


def test_a_recoverer_that_fails_costs_one_record_each(folder, model):
    records = verified([folder / "marked.wav", folder / "text.wav"], SpelledRecoverer(model, RuntimeError("no luck")))
    assert [answer(record) for record in records] == ["internal_error", "not_audio"]
    assert records[0].error.message == "RuntimeError: no luck"
    assert records[0].token_mark is None


def test_a_damaged_model_stops_the_run(folder, model):
    with pytest.raises(ModelMissing, match="gone"):
        verified([folder / "plain.wav"] * 2, SpelledRecoverer(model, ModelMissing("gone")))


def test_a_source_that_already_failed_is_a_record(model):
    failed = Source("no/such/*", InputError("'no/such/*': no file matches this pattern", code="not_found"))
    (record,) = verified([failed], SpelledRecoverer(model))
    assert (record.error.code, record.error.message) == ("not_found", "no file matches this pattern")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("token_mark", "status"), "real"),
        (("token_mark", "log10_p"), 0.1),
        (("extra",), 1),
        (("token_mark", "keys"), []),
    ],
)
def test_the_schema_is_strict(folder, model, path, value):
    (record,) = verified([folder / "marked.wav"], SpelledRecoverer(model))
    data = json.loads(json_line(record))
    target = data
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, SCHEMA)


def test_the_schema_asks_for_exactly_the_keys_of_the_record(folder, model):
    def compare(schema, value):
        while "$ref" in schema or "anyOf" in schema:
            schema = schema["anyOf"][0] if "anyOf" in schema else schema
            schema = SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
        if isinstance(value, dict):
            assert list(schema["properties"]) == list(value)
            assert schema["required"] == [name for name in value if name not in LATER]
            for key, inner in value.items():
                compare(schema["properties"][key], inner)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            compare(schema["items"], value[0])

    (record,) = verified([folder / "marked.wav"], SpelledRecoverer(model))
    everything = Methods(FixedScorer(), forensics=CHECKS.names(), credentials=CredentialsReader(registry=None))
    (other,) = verify(
        [Source(str(folder / "marked.wav"))], methods=everything, policy=load_policy(), limits=DecodeLimits(), jobs=1
    )
    timing = replace(record.timing, quality_s=0.1, score_s=0.1, second_look_s=0.1)
    record = replace(
        other, token_mark=record.token_mark, timing=timing, waveform_marks=(not_checked(TRAITS, "no_mark_key", "x"),)
    )
    looked = Stability((SecondScore("mp3-64k", 0.4),), 0.1)
    (result,) = other.detectors
    record = replace(record, detectors=(replace(result, domain=DomainFinding(1.0, 0.5, "in"), stability=looked),))
    known = replace(record.input, sha256_after=record.input.sha256)
    audit = AuditRef("f" * 32, 3, "0" * 64, "a" + 20 * "0")
    record = replace(record, input=known, case=Case("2026-17", None, None), audit=audit)
    compare(SCHEMA, json.loads(json_line(record)))


def test_both_schemas_describe_a_token_mark_and_the_codes_alike():
    scan_schema = json.loads(
        (Path(__file__).resolve().parents[2] / "reports" / "schema" / "scan-record-1.schema.json").read_text()
    )
    inspect_schema = json.loads(
        (Path(__file__).resolve().parents[2] / "reports" / "schema" / "inspect-record-1.schema.json").read_text()
    )
    for name in ("quantity", "segment", "observation"):
        assert SCHEMA["$defs"][name] == inspect_schema["$defs"][name]
    own = {"timing", "ledger", "ledger_key", "quantity", "segment", "observation", "examined"}
    for name in SCHEMA["$defs"].keys() - own:
        assert SCHEMA["$defs"][name] == scan_schema["$defs"][name]
