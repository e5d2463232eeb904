"""What the checker of marks promises about keys, corrections, silence and secrets."""

import math
from dataclasses import replace

import numpy as np
import pytest
from marked_sound import (
    CODES,
    NOW,
    RATE_HZ,
    TABLE,
    SpelledRecoverer,
    a_key,
    audio_of,
    marked_tokens,
    plain_tokens,
    spelled,
    spelled_model,
)
from secret_leaks import assert_no_secret

from covoguard.core.audio import AudioReader, write_audio
from covoguard.core.errors import InputError, IntegrityError, KeyMissing, UsageError
from covoguard.core.jsonrecord import json_line
from covoguard.core.keyring import KeyRing
from covoguard.core.keys import SecretKey
from covoguard.core.records import Audio
from covoguard.pipeline.key_choice import keys_to_test
from covoguard.pipeline.mark_evidence import MarkChecker, RecoveredPasses, check_written, load_table
from covoguard.watermark.payload import Payload

KEY, OTHER = a_key(1), a_key(2)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return spelled_model(tmp_path_factory.mktemp("spelled"))


@pytest.fixture
def recoverer(model):
    return SpelledRecoverer(model)


def checked(recoverer, tokens, *keys, alpha=1e-6):
    return MarkChecker(recoverer, TABLE, keys or [KEY], alpha=alpha).check(audio_of(tokens))


def test_a_mark_is_found_under_its_key_and_attributed_to_it(recoverer, model):
    reading = checked(recoverer, marked_tokens(OTHER, 100), KEY, OTHER)
    assert (reading.status, reading.reason) == ("present", None)
    assert reading.log10_p < -20
    assert [each.status for each in reading.keys] == ["absent", "present"]
    assert {(span.key_id, span.epoch) for span in reading.spans} == {(OTHER.key_id, 1)}
    assert reading.spans[0].start_s < 0.1
    assert reading.spans[-1].end_s > 3.9
    assert (reading.model, reading.table_sha256) == (TABLE.model, TABLE.sha256)
    assert (reading.recoverer, reading.recoverer_sha256) == ("spelled@1", model.model_sha256)


def test_sound_without_a_mark_is_absent_and_tells_how_much_would_be_needed(recoverer):
    reading = checked(recoverer, plain_tokens(20))
    assert (reading.status, reading.spans) == ("absent", ())
    assert reading.log10_p > -6
    assert 0 < reading.seconds_used <= 0.8 < reading.seconds_needed


def test_the_price_of_more_keys_is_the_logarithm_of_their_number(recoverer):
    tokens = marked_tokens(KEY, 60)
    alone = checked(recoverer, tokens, KEY)
    ten = checked(recoverer, tokens, KEY, *(a_key(seed) for seed in range(2, 11)))
    assert ten.log10_p == pytest.approx(alone.log10_p + 1.0)
    assert ten.log10_p == ten.keys[0].log10_p
    assert ten.log10_p_sharp == pytest.approx(alone.log10_p_sharp + 1.0)
    assert ten.log10_e == pytest.approx(alone.log10_e - 1.0)
    assert ten.keys[0].log10_e == pytest.approx(alone.log10_e)
    assert ten.spans[0].log10_p == pytest.approx(alone.spans[0].log10_p + 1.0)
    assert all(each.log10_p <= 0 for each in ten.keys)


def test_a_key_is_named_only_when_its_own_corrected_p_is_within_alpha(recoverer):
    tokens = marked_tokens(KEY, 60)
    keys = [KEY, *(a_key(seed) for seed in range(2, 11))]
    log10_p = checked(recoverer, tokens, *keys).log10_p
    just_within = checked(recoverer, tokens, *keys, alpha=10 ** (log10_p + 0.01))
    just_above = checked(recoverer, tokens, *keys, alpha=10 ** (log10_p - 0.01))
    assert (just_within.status, just_above.status) == ("present", "absent")
    assert just_above.spans == ()
    assert just_above.log10_alpha == pytest.approx(log10_p - 0.01)


def test_other_keys_give_small_p_no_oftener_than_they_may(recoverer):
    passes = audio_of(marked_tokens(KEY, 40))
    ps = [MarkChecker(recoverer, TABLE, [a_key(seed)]).check(passes).log10_p for seed in range(100, 200)]
    assert sum(p <= -1 for p in ps) <= 20  # 10 expected at most; 20 has probability 2e-3
    assert min(ps) > -5


def test_the_sound_is_recovered_once_for_all_keys_and_only_as_often_as_needed(recoverer):
    checked(recoverer, marked_tokens(KEY, 100), KEY)
    assert recoverer.asked == 1, "a conclusive first pass needs no other speeds"
    recoverer.asked = 0
    checked(recoverer, plain_tokens(60), *(a_key(seed) for seed in range(4)))
    assert 1 <= recoverer.asked <= 3


def test_passes_are_kept(recoverer):
    passes = RecoveredPasses(recoverer, audio_of(plain_tokens(5)))
    assert passes(1.0) is passes(1.0)
    assert passes(1.05) is not passes(1.0)
    assert recoverer.asked == 2


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(0, np.float32), "too_short"),
        (np.full(639, 0.5, np.float32), "too_short"),
        (np.zeros(32_000, np.float32), "no_speech"),
        (np.full(32_000, 1e-5, np.float32), "no_speech"),
    ],
)
def test_what_cannot_be_tested_is_not_checked_and_never_reaches_the_recoverer(recoverer, samples, reason):
    reading = MarkChecker(recoverer, TABLE, [KEY, OTHER]).check(Audio(samples, RATE_HZ))
    assert (reading.status, reading.reason) == ("not_checked", reason)
    assert (reading.log10_p, reading.log10_e, reading.log10_p_sharp, reading.spans) == (None, None, None, ())
    assert [each.reason for each in reading.keys] == [reason, reason]
    assert recoverer.asked == 0
    json_line(reading)


@pytest.mark.parametrize("name", ["white noise", "full scale", "one token", "NaN and infinity"])
def test_any_sound_gives_a_reading_that_json_can_hold(recoverer, name):
    samples = {
        "white noise": np.random.default_rng(0).normal(0, 0.3, 20_000),
        "full scale": np.ones(20_000),
        "one token": np.full(640, 0.5),
        "NaN and infinity": np.tile([np.nan, np.inf, 0.1], 4000),
    }[name].astype(np.float32)
    with np.errstate(invalid="ignore"):
        reading = MarkChecker(recoverer, TABLE, [KEY]).check(Audio(samples, RATE_HZ))
    assert reading.status in ("absent", "not_checked")
    json_line(reading)


def test_nothing_secret_is_in_the_reading_or_in_what_shows_the_checker(recoverer):
    checker = MarkChecker(recoverer, TABLE, [KEY])
    reading = checker.check(audio_of(marked_tokens(KEY, 60)))
    for text in (json_line(reading), repr(reading), repr(checker), repr(vars(checker))):
        assert_no_secret(text, KEY, *TABLE.subkeys(KEY).values())


def test_a_checker_without_keys_or_with_another_models_table_is_refused(recoverer):
    with pytest.raises(KeyMissing, match="keys new"):
        MarkChecker(recoverer, TABLE, [])
    wider = replace(TABLE, codebook_size=2 * CODES, cluster_of=np.zeros(2 * CODES, np.int32))
    with pytest.raises(IntegrityError, match="install the model again"):
        MarkChecker(recoverer, wider, [KEY])


def test_the_table_of_a_model_is_checked(model, tmp_path):
    assert load_table(SpelledRecoverer(model)) == TABLE
    damaged = spelled_model(tmp_path)
    (tmp_path / "mark_table.json").write_text("{}")
    with pytest.raises(IntegrityError, match=r"mark_table\.json"):
        load_table(SpelledRecoverer(damaged))


def test_which_keys_are_tested(tmp_path):
    ring = KeyRing.open(tmp_path / "keys")
    assert keys_to_test(ring, ()) == keys_to_test(ring, (), all_keys=True) == []
    with pytest.raises(KeyMissing):
        keys_to_test(ring, ["newsroom"])
    first, second = ring.new("newsroom"), ring.new("archive")
    rotated = ring.rotate(first.key_id)
    named = [(key.key_id, key.epoch) for key in keys_to_test(ring, ())]
    assert named == [(first.key_id, 2), (first.key_id, 1)]
    assert keys_to_test(ring, ["newsroom", first.key_id[:8]])[0] == rotated
    assert len(keys_to_test(ring, ["newsroom", "archive"])) == len(keys_to_test(ring, (), all_keys=True)) == 3
    assert keys_to_test(ring, ["archive"]) == [second]
    with pytest.raises(UsageError):
        keys_to_test(ring, ["k"])


def test_a_payload_is_read_where_presence_is_certain(recoverer):
    tokens = marked_tokens(KEY, 250, payload=Payload(3, 17, 20_000))
    asked = MarkChecker(recoverer, TABLE, [KEY, OTHER], payload=True).check(audio_of(tokens))
    said = asked.keys[0].payload
    assert (said.status, said.model, said.tenant, said.date) == ("read", 3, 17, "2024-10-04")
    assert asked.keys[1].payload is None
    unasked = checked(recoverer, tokens, KEY)
    assert unasked.keys[0].payload is None
    assert unasked.log10_p > asked.log10_p, "half of the slots speak against the mark when they are not left out"
    plain = MarkChecker(recoverer, TABLE, [KEY], payload=True).check(audio_of(marked_tokens(KEY, 250)))
    assert plain.keys[0].payload.status == "uncertain"
    assert plain.keys[0].payload.tenant is None


def test_an_older_epoch_is_told_from_the_newer(recoverer):
    old = SecretKey(KEY.key_id, 1, bytes(range(32)), created_utc=NOW, retired_utc=NOW)
    new = SecretKey(KEY.key_id, 2, bytes(range(1, 33)), created_utc=NOW)
    reading = checked(recoverer, marked_tokens(old, 60), new, old)
    assert [(each.epoch, each.status) for each in reading.keys] == [(2, "absent"), (1, "present")]
    assert {span.epoch for span in reading.spans} == {1}


def test_a_written_clip_is_read_back_as_any_file(recoverer, tmp_path):
    path = tmp_path / "clip.flac"
    write_audio(path, spelled(marked_tokens(KEY, 100)), RATE_HZ)
    with AudioReader() as reader:
        clip = check_written(path, reader, MarkChecker(recoverer, TABLE, [KEY]))
        assert clip.token_mark.status == "present"
        assert clip.duration_s == pytest.approx(4.0)
        assert math.isfinite(clip.token_mark.log10_p)
        assert check_written(path, reader, None).token_mark is None
        path.write_bytes(b"RIFF nothing")
        with pytest.raises(InputError):
            check_written(path, reader, None)
