"""Verification from recorded tokens: exact, of its own kind, valid for what was not marked, loud about damage."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner
from marked_sound import TABLE, SpelledRecoverer, a_key, marked_tokens, plain_tokens, spelled, spelled_model
from secret_leaks import assert_no_secret
from speech_and_model import write_wav

from covoguard.cli.main import cli
from covoguard.core.audio import DecodeLimits
from covoguard.core.cliprecord import ClipMark, ClipPrompt, ClipRecord, clip_line
from covoguard.core.errors import IntegrityError, KeyMissing, UsageError
from covoguard.core.jsonrecord import from_json, json_line
from covoguard.core.keyring import KeyRing
from covoguard.core.verifyrecord import VerifyRecord
from covoguard.pipeline import mark_evidence
from covoguard.pipeline.analysis import Methods
from covoguard.pipeline.inputs import Source
from covoguard.pipeline.ledger import LedgerChecker, averaged, read_ledger
from covoguard.pipeline.mark_evidence import MarkChecker
from covoguard.pipeline.verify import verify
from covoguard.watermark.payload import Payload

KEY, OTHER = a_key(1), a_key(2)
SCHEMA = json.loads(
    (Path(__file__).resolve().parents[2] / "reports" / "schema" / "verify-record-1.schema.json").read_text()
)


def line_of(index, sha256, tokens, *, key=KEY, table_sha256=TABLE.sha256, payload=None, model="spelled@1"):
    mark = ClipMark("gumbel-slot-1", key.key_id, key.epoch, table_sha256, payload) if key else None
    record = ClipRecord(
        schema_version=1, index=index, clip_id=f"{index:06d}", path=f"clips/{index:06d}.wav", sha256=sha256,
        label="spoof", generator="spelled", model_id=model, model_sha256="0" * 64, family="spelled", kind="speech-lm",
        speaker="a", source="covoguard generate", licence=None, prompt=ClipPrompt("hi", None, 1), take=0, seed=1,
        sampling=(), mark=mark, tokens=None if tokens is None else tuple(map(int, tokens)), token_rate_hz=25,
        sample_rate_hz=16_000, duration_s=1.0, check=None, error=None, tool_version="0", replies=(),
    )  # fmt: skip
    return clip_line(record)


def a_ledger(tmp_path, *lines):
    path = tmp_path / "manifest.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def sha(n):
    return f"{n:064x}"


def test_recorded_tokens_are_tested_under_every_key_at_the_price_of_their_number(tmp_path):
    ledger = read_ledger(
        a_ledger(tmp_path, line_of(0, sha(1), plain_tokens(60)), line_of(1, sha(2), marked_tokens(KEY, 60)))
    )
    alone = LedgerChecker(ledger, TABLE, [KEY]).check(sha(2))
    both = LedgerChecker(ledger, TABLE, [OTHER, KEY]).check(sha(2))
    assert (alone.kind, alone.status, alone.reason) == ("token_ledger", "present", None)
    assert (alone.line, alone.clip_id, alone.model, alone.tokens) == (2, "000001", "spelled@1", 60)
    assert alone.log10_p < -20
    assert both.log10_p == pytest.approx(alone.log10_p + np.log10(2))
    assert [(key.key_id, key.status) for key in both.keys] == [(OTHER.key_id, "absent"), (KEY.key_id, "present")]
    assert_no_secret(json_line(both), KEY, *TABLE.subkeys(KEY).values())
    plain = LedgerChecker(ledger, TABLE, [KEY]).check(sha(1))
    assert (plain.status, plain.line) == ("absent", 1)
    assert plain.log10_p > -6
    unknown = LedgerChecker(ledger, TABLE, [KEY]).check(sha(3))
    assert (unknown.status, unknown.line, unknown.tokens, unknown.keys) == ("not_listed", None, None, ())


def test_tokens_say_more_than_the_sound_that_was_made_of_them(tmp_path):
    """A word is short for the ear of a recoverer that may be wrong, but not for tokens that are known."""
    tokens = marked_tokens(KEY, 22)
    ledger = read_ledger(a_ledger(tmp_path, line_of(0, sha(1), tokens)))
    assert LedgerChecker(ledger, TABLE, [KEY]).check(sha(1)).status == "present"


def test_keys_that_marked_nothing_find_nothing_oftener_than_they_may(tmp_path):
    ledger = read_ledger(a_ledger(tmp_path, line_of(0, sha(1), marked_tokens(KEY, 40))))
    ps = [LedgerChecker(ledger, TABLE, [a_key(seed)]).check(sha(1)).log10_p for seed in range(100, 200)]
    assert sum(p <= -1 for p in ps) <= 20  # 10 expected at most; 20 has probability 2e-3
    assert min(ps) > -5


def test_a_payload_is_allowed_for_where_the_ledger_names_one(tmp_path):
    tokens = marked_tokens(KEY, 120, payload=Payload(3, 17, 20_000))
    ledger = read_ledger(
        a_ledger(tmp_path, line_of(0, sha(1), tokens, payload=(3, 17, 20_000)), line_of(1, sha(2), tokens))
    )
    checker = LedgerChecker(ledger, TABLE, [KEY])
    assert checker.check(sha(1)).log10_p < checker.check(sha(2)).log10_p
    assert checker.check(sha(1)).status == "present"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (line_of(0, sha(1), marked_tokens(KEY, 40), table_sha256="1" * 64), "other_mark_table"),
        (line_of(0, sha(1), plain_tokens(40), key=None, model="other@1"), "other_mark_table"),
        (line_of(0, sha(1), None), "no_tokens"),
        (line_of(0, sha(1), []), "no_tokens"),
    ],
)
def test_what_cannot_be_tested_says_why(tmp_path, line, reason):
    reading = LedgerChecker(read_ledger(a_ledger(tmp_path, line)), TABLE, [KEY]).check(sha(1))
    assert (reading.status, reading.reason, reading.log10_p, reading.keys) == ("not_checked", reason, None, ())


def test_a_clip_that_says_it_has_no_mark_is_tested_all_the_same(tmp_path):
    ledger = read_ledger(a_ledger(tmp_path, line_of(0, sha(1), plain_tokens(40), key=None)))
    assert LedgerChecker(ledger, TABLE, [KEY]).check(sha(1)).status == "absent"


def test_tokens_that_no_codebook_has_are_no_evidence(tmp_path):
    tokens = [2**40, -7, 10**6] * 20
    ledger = read_ledger(a_ledger(tmp_path, line_of(0, sha(1), tokens)))
    assert LedgerChecker(ledger, TABLE, [KEY]).check(sha(1)).status == "absent"


@pytest.mark.parametrize("damage", ["{", "", '{"tokens": 1, "sampling": {}}', "[]", "\xff"])
def test_a_damaged_line_is_named_and_nothing_is_believed(tmp_path, damage):
    path = a_ledger(tmp_path, line_of(0, sha(1), plain_tokens(3)), damage, line_of(1, sha(2), plain_tokens(3)))
    with pytest.raises(IntegrityError, match=r"manifest\.jsonl, line 2: damaged"):
        read_ledger(path)


def test_a_ledger_that_is_not_there_or_empty_and_no_key_are_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be read as a ledger"):
        read_ledger(tmp_path / "none.jsonl")
    with pytest.raises(UsageError, match="cannot be read as a ledger"):
        read_ledger(tmp_path)
    with pytest.raises(UsageError, match="lists no clip"):
        read_ledger(a_ledger(tmp_path))
    with pytest.raises(KeyMissing):
        LedgerChecker(read_ledger(a_ledger(tmp_path, line_of(0, sha(1), [1]))), TABLE, [])


def test_the_first_of_two_lines_with_the_same_bytes_is_taken(tmp_path):
    ledger = read_ledger(a_ledger(tmp_path, line_of(0, sha(1), [1]), line_of(1, sha(1), [2])))
    assert ledger.by_sha256[sha(1)].number == 1


def test_averaged_mixtures_are_a_mixture():
    mixture = averaged([((0.5, 1.0), (0.5, 4.0)), ((1.0, 4.0),)])
    assert mixture == ((0.25, 1.0), (0.75, 4.0))
    replace(TABLE, mixtures=(mixture,))


# --- verify ------------------------------------------------------------------------------------------------


@pytest.fixture
def dataset(tmp_path):
    """A listed file and one that is not, and their ledger; the sound of the listed one says nothing."""
    listed, other = tmp_path / "listed.wav", tmp_path / "other.wav"
    write_wav(listed, spelled(plain_tokens(50)))
    write_wav(other, spelled(plain_tokens(51)))
    text = tmp_path / "text.wav"
    text.write_text("no sound")
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (listed, text)]
    path = a_ledger(tmp_path, *(line_of(n, sha256, marked_tokens(KEY, 60)) for n, sha256 in enumerate(hashes)))
    return path, [listed, other, text]


def test_the_ledgers_answer_stands_beside_that_of_the_sound_and_changes_nothing_in_it(dataset, tmp_path):
    manifest, files = dataset
    checker = MarkChecker(SpelledRecoverer(spelled_model(tmp_path / "model")), TABLE, [KEY])
    ledger = LedgerChecker(read_ledger(manifest), TABLE, [KEY])
    sources = [Source(str(path)) for path in [*files, tmp_path / "absent.wav"]]
    with_ledger, without = (
        list(verify(sources, methods=Methods(token_marks=checker), limits=DecodeLimits(), jobs=1, ledger=each))
        for each in (ledger, None)
    )
    for record in (*with_ledger, *without):
        line = json.loads(json_line(record))
        jsonschema.validate(line, SCHEMA)
        assert from_json(VerifyRecord, line) == record
    assert [record.ledger and record.ledger.status for record in with_ledger] == [
        "present", "not_listed", "present", None,
    ]  # fmt: skip
    assert [record.token_mark for record in with_ledger] == [record.token_mark for record in without]
    assert with_ledger[0].token_mark.status == "absent"
    assert with_ledger[2].error.code == "not_audio"
    assert {record.ledger for record in without} == {None}


def test_lines_from_before_there_were_ledgers_are_still_valid(dataset, tmp_path):
    checker = MarkChecker(SpelledRecoverer(spelled_model(tmp_path / "model")), TABLE, [KEY])
    (record,) = verify(
        [Source(str(dataset[1][0]))], methods=Methods(token_marks=checker), limits=DecodeLimits(), jobs=1
    )
    old = json.loads(json_line(record))
    del old["ledger"]
    jsonschema.validate(old, SCHEMA)


def test_the_command_names_the_kind_of_evidence_and_its_worth(tmp_path, monkeypatch):
    ring = KeyRing.open(tmp_path / "keys")
    key = ring.new()
    monkeypatch.setenv("COVOGUARD_KEYS", str(ring.folder))
    monkeypatch.setenv("COLUMNS", "80")
    model = spelled_model(tmp_path / "model")
    monkeypatch.setattr(mark_evidence, "load_recoverer", lambda folder=None: SpelledRecoverer(model))
    clip = tmp_path / "clip.wav"
    write_wav(clip, spelled(plain_tokens(50)))
    sha256 = hashlib.sha256(clip.read_bytes()).hexdigest()
    ledger = a_ledger(tmp_path, line_of(0, sha256, marked_tokens(key, 60), key=key))
    command = ["verify", str(clip), "--model", str(tmp_path / "model"), "--ledger", str(ledger)]
    result = CliRunner().invoke(cli, [*command, "--fail-on", "present"], catch_exceptions=False)
    assert result.exit_code == 0, "what the ledger says does not decide"
    flat = " ".join(result.stdout.split())
    assert "absent" in flat
    assert (
        f"ledger line 1: byte for byte clip 000000; its 60 recorded tokens carry the mark of key {key.key_id}" in flat
    )
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "ledger: present 1, absent 0, not_checked 0, not_listed 0" in result.stderr
    assert "as trustworthy as whoever keeps the ledger" in result.stderr
    record = json.loads(CliRunner().invoke(cli, [*command, "--json"]).stdout)
    assert record["ledger"]["kind"] == "token_ledger"
    ledger.write_text("{}\n")
    assert isinstance(CliRunner().invoke(cli, command).exception, IntegrityError)
