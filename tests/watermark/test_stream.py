import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covoguard.watermark.stream import keystream_words, mark_subkeys, payload_stream, slot_uniforms, uniform_table

SUBKEY = bytes(range(32))


def quarter_round(x, a, b, c, d):
    for one, two, three, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        x[one] = (x[one] + x[two]) & 0xFFFFFFFF
        mixed = x[three] ^ x[one]
        x[three] = (mixed << by | mixed >> (32 - by)) & 0xFFFFFFFF


def chacha20_block(key: bytes, counter: int, nonce: bytes) -> list[int]:
    """RFC 8439, section 2.3, written out."""
    state = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574]
    state += [*np.frombuffer(key, "<u4").tolist(), counter, *np.frombuffer(nonce, "<u4").tolist()]
    x = list(state)
    for _ in range(10):
        for column in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)):
            quarter_round(x, *column)
        for diagonal in ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            quarter_round(x, *diagonal)
    return [(a + b) & 0xFFFFFFFF for a, b in zip(x, state, strict=True)]


def test_the_block_function_above_is_that_of_the_rfc():
    block = chacha20_block(SUBKEY, 1, bytes.fromhex("000000090000004a00000000"))
    assert block[:4] == [0xE4E7F110, 0x15593BD1, 0x1FDD0F50, 0xC47120A3]


@pytest.mark.parametrize("slot", [0, 1, 4095, 1 << 32, (1 << 64) - 1])
def test_a_slot_is_the_rfc_keystream_with_the_slot_as_nonce(slot):
    nonce = bytes(4) + slot.to_bytes(8, "little")
    expected = chacha20_block(SUBKEY, 0, nonce) + chacha20_block(SUBKEY, 1, nonce)
    assert keystream_words(SUBKEY, slot, 20).tolist() == expected[:20]


def test_numbers_of_the_all_zero_key_are_those_of_the_published_vector():
    # RFC 8439 A.1, vector 1: the keystream begins 76 b8 e0 ad
    assert slot_uniforms(bytes(32), 0, 1)[0] == (0xADE0B876 + 0.5) / 2**32


@given(st.binary(min_size=32, max_size=32), st.integers(0, 2**64 - 1), st.integers(0, 100))
def test_numbers_lie_inside_0_and_1_and_do_not_depend_on_how_many_are_asked(subkey, slot, n):
    u = slot_uniforms(subkey, slot, n)
    assert u.dtype == np.float64
    assert ((u > 0) & (u < 1)).all()
    assert (slot_uniforms(subkey, slot, n + 17)[:n] == u).all()


def test_a_table_holds_the_slots_as_columns():
    table = uniform_table(SUBKEY, 130, 7)
    assert table.shape == (7, 130)
    assert table.dtype == np.float32
    for slot in (0, 63, 64, 129):
        assert (table[:, slot] == slot_uniforms(SUBKEY, slot, 7).astype(np.float32)).all()
    assert (uniform_table(SUBKEY, [129, 3], 7) == table[:, [129, 3]]).all()


def test_payload_streams_are_all_different_from_each_other_and_from_the_slots():
    streams = {payload_stream(slot, value) for slot in (0, 1, 4095) for value in range(64)}
    assert len(streams) == 3 * 64
    assert min(streams) > 2**24


@pytest.mark.parametrize(("subkey", "slot"), [(b"short", 0), (SUBKEY, -1), (SUBKEY, 2**64)])
def test_what_cannot_be_a_stream_is_refused(subkey, slot):
    with pytest.raises(ValueError, match=r"subkey|slot"):
        slot_uniforms(subkey, slot, 4)


def test_subkeys_are_asked_by_purpose_model_and_table(key_of):
    key = key_of(1)
    subkeys = mark_subkeys(key, ("token", "cluster"), model="m", table_sha256="t")
    assert subkeys == {each: key.subkey(each, model="m", table_sha256="t") for each in ("token", "cluster")}
