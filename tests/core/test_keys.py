"""A secret key binds its subkeys to everything they are for, and never shows itself."""

import copy
import dataclasses
import hashlib
import hmac
import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from secret_leaks import assert_no_secret, forms_of

from covoguard.core.errors import UsageError
from covoguard.core.keyfile import KeyFile
from covoguard.core.keys import SecretKey, derive_key_id

ROOT = Path(__file__).resolve().parents[2]
MASTER = bytes(range(32))
TABLE = "ab" * 32
NOW = "2025-01-01T00:00:00Z"

masters = st.binary(min_size=32, max_size=32)
words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
tables = st.binary(min_size=32, max_size=32).map(bytes.hex)
ids = st.binary(min_size=5, max_size=5).map(lambda digits: "k" + digits.hex())


def make_key(master: bytes = MASTER, *, key_id: str | None = None, epoch: int = 1) -> SecretKey:
    return SecretKey(key_id or derive_key_id(master), epoch, master, created_utc=NOW)


def hkdf_sha256(master: bytes, length: int, *fields: str) -> bytes:
    """RFC 5869 by hand, for at most 32 bytes."""
    info = b"covo-wm/v1"
    for field in fields:
        info += len(field.encode()).to_bytes(2, "big") + field.encode()
    extracted = hmac.digest(bytes(32), master, hashlib.sha256)
    return hmac.digest(extracted, info + b"\x01", hashlib.sha256)[:length]


# --- derivation --------------------------------------------------------------------------------------------


@given(masters, words, words, tables, st.integers(1, 1000))
def test_everything_derived_is_hkdf_sha256(master, purpose, model, table, epoch):
    key = make_key(master, epoch=epoch)
    expected = hkdf_sha256(master, 32, "subkey", model, table, purpose, key.key_id, str(epoch))
    assert key.subkey(purpose, model=model, table_sha256=table) == expected
    assert key.fingerprint == hkdf_sha256(master, 32, "fingerprint", key.key_id, str(epoch)).hex()
    assert derive_key_id(master) == "k" + hkdf_sha256(master, 5, "key-id").hex()


def test_known_answers():
    """Whatever was marked with these must stay readable: these bytes never change."""
    key = make_key()
    subkey = key.subkey("token-mark/level1", model="pocket", table_sha256=TABLE)
    assert key.key_id == "k67288b1c6b"
    assert key.fingerprint == "6047c4f3955ffaaa8006ac5b342a4e89c4858b167b3f6241384c9067c4074b88"
    assert subkey.hex() == "bfebb8d18fc34e770c02a0fd289fe7a298247ae3f12c0c81abb8f85da001e417"


@given(masters, words, words, tables, ids, st.integers(1, 1000), st.data())
def test_another_purpose_model_table_id_epoch_or_master_is_another_subkey(
    master, purpose, model, table, key_id, epoch, data
):
    given_fields = (master, purpose, model, table, key_id, epoch)
    number = data.draw(st.integers(0, len(given_fields) - 1))
    strategy = (masters, words, words, tables, ids, st.integers(1, 1000))[number]
    other = data.draw(strategy.filter(lambda value: value != given_fields[number]))
    changed = (*given_fields[:number], other, *given_fields[number + 1 :])

    def subkey(master, purpose, model, table, key_id, epoch):
        return make_key(master, key_id=key_id, epoch=epoch).subkey(purpose, model=model, table_sha256=table)

    assert subkey(*given_fields) == subkey(*given_fields)
    assert subkey(*given_fields) != subkey(*changed)


@given(words, words)
def test_text_that_moves_from_one_field_to_the_next_is_another_subkey(first, second):
    key = make_key()
    joined = key.subkey(first + second, model="m" + first, table_sha256=TABLE)
    assert joined != key.subkey(first, model="m" + first + second, table_sha256=TABLE)


def test_a_subkey_for_the_purpose_fingerprint_is_not_the_fingerprint():
    key = make_key()
    assert key.subkey("fingerprint", model="fingerprint", table_sha256=TABLE).hex() != key.fingerprint


@pytest.mark.parametrize("table", ["", "ab", "AB" * 32, "ab" * 33, "zz" * 32, "ab" * 31 + "a\n"])
def test_a_subkey_is_not_made_for_a_table_hash_that_is_none(table):
    with pytest.raises(ValueError, match="SHA-256"):
        make_key().subkey("mark", model="pocket", table_sha256=table)


def test_a_subkey_needs_a_purpose_and_a_model():
    for purpose, model in (("", "pocket"), ("mark", "")):
        with pytest.raises(ValueError, match="purpose and a model"):
            make_key().subkey(purpose, model=model, table_sha256=TABLE)


@pytest.mark.parametrize("master", [b"", bytes(31), bytes(33), bytearray(32), "0" * 32])
def test_a_master_is_32_bytes(master):
    with pytest.raises(ValueError, match="32 bytes"):
        make_key(master, key_id="k0123456789")


@pytest.mark.parametrize("key_id", ["", "k012345678", "K0123456789", "k01234567890", "k0123456789\n"])
def test_a_key_id_has_its_form(key_id):
    with pytest.raises(ValueError, match="key id"):
        SecretKey(key_id, 1, MASTER, created_utc=NOW)


# --- epochs ------------------------------------------------------------------------------------------------


def test_every_key_and_epoch_has_a_master_of_its_own():
    keys = [SecretKey.generate(created_utc=NOW) for _ in range(20)]
    keys += [key.successor(created_utc=NOW) for key in keys]
    assert len({key.master_bytes() for key in keys}) == 40
    assert len({key.fingerprint for key in keys}) == 40
    assert {key.key_id for key in keys[:20]} == {key.key_id for key in keys[20:]}
    assert [key.epoch for key in keys] == [1] * 20 + [2] * 20


def test_a_retired_epoch_still_derives_but_must_not_mark():
    key = make_key()
    key.check_active()
    retired = key.retire(retired_utc=NOW)
    assert retired.is_retired
    assert retired.subkey("mark", model="pocket", table_sha256=TABLE) == key.subkey(
        "mark", model="pocket", table_sha256=TABLE
    )
    with pytest.raises(UsageError, match="epoch 1 was retired"):
        retired.check_active()


# --- silence -----------------------------------------------------------------------------------------------


@given(masters)
def test_no_way_of_printing_shows_the_secret(master):
    key = make_key(master)
    subkey = key.subkey("mark", model="pocket", table_sha256=TABLE)
    file = KeyFile(Path("k.json"), None, (key,))
    shown = [repr(key), str(key), f"{key}", f"{key!r:>80}", "%s" % key, ascii(key), repr([key]), repr(file)]  # noqa: UP031
    for text in (*shown, key.key_id, key.fingerprint):
        assert_no_secret(text, key, subkey)


def test_a_key_is_neither_pickled_nor_copied_nor_turned_into_a_record():
    key = make_key()
    file = KeyFile(Path("k.json"), None, (key,))
    attempts = [lambda protocol=protocol: pickle.dumps(key, protocol) for protocol in range(6)]
    attempts += [lambda: copy.copy(key), lambda: copy.deepcopy(key), lambda: dataclasses.asdict(file)]
    attempts += [lambda: json.dumps(key), lambda: vars(key), lambda: pickle.dumps(file)]
    for attempt in attempts:
        with pytest.raises(TypeError) as caught:
            attempt()
        assert_no_secret(repr(caught.value), key)


@pytest.mark.parametrize("name", ["key_id", "epoch", "_master", "retired_utc", "anything"])
def test_a_key_is_frozen(name):
    key = make_key()
    with pytest.raises(AttributeError, match="frozen"):
        setattr(key, name, "k0123456789")
    with pytest.raises(AttributeError, match="frozen"):
        delattr(key, name)


def test_keys_are_equal_when_id_epoch_and_master_are():
    assert make_key() == make_key()
    assert hash(make_key()) == hash(make_key())
    assert make_key() != make_key(epoch=2)
    assert make_key() != make_key(key_id="k0123456789")
    assert make_key(key_id="k0123456789") != make_key(bytes(32), key_id="k0123456789")
    assert make_key() != MASTER


def test_only_the_key_file_asks_for_the_master():
    modules = [
        path for path in ROOT.glob("*/**/*.py") if path.parts[len(ROOT.parts)] not in (".venv", "tests", "build")
    ]
    users = {
        path.relative_to(ROOT).as_posix() for path in modules if "master_bytes" in path.read_text(encoding="utf-8")
    }
    assert users == {"core/keys.py", "core/keyfile.py"}


@pytest.mark.parametrize("form", forms_of(MASTER))
def test_the_search_for_leaks_finds_every_form(form):
    key = make_key()
    for secret in (MASTER, key.subkey("mark", model="pocket", table_sha256=TABLE)):
        with pytest.raises(AssertionError, match="leaks"):
            assert_no_secret(b"before " + forms_of(secret)[form] + b" after", key, secret)


def test_the_search_for_leaks_finds_what_common_tools_print():
    key = make_key()
    for text in (MASTER.hex().upper(), repr(MASTER), str(list(MASTER)), json.dumps(list(MASTER))):
        with pytest.raises(AssertionError, match="leaks"):
            assert_no_secret(text, key)
