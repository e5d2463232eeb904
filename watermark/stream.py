"""The secret numbers of a mark: one ChaCha20 keystream per time slot (RFC 8439).

A slot's stream gives one number in (0, 1) per code. To whoever lacks the subkey they are independent and
uniform; the p-values of the test of presence rest on this and on nothing else. Slots are numbers up to 64 bits,
so that a payload can select among several streams for one time slot (`payload_stream`).
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..core.records import Float32Array

Float64Array = npt.NDArray[np.float64]

SUBKEY_BYTES = 32
MAX_STREAM = (1 << 64) - 1
_SLOTS_PER_BLOCK = 64
"""Slots turned at once in `uniform_table`: enough that writes are whole cache lines."""


class SubkeySource(Protocol):
    """A secret key that hands out subkeys, each bound to its purpose, the model and the mark's table."""

    def subkey(self, purpose: str, *, model: str, table_sha256: str) -> bytes:
        """32 bytes."""
        ...


def keystream_words(subkey: bytes, slot: int, n: int) -> npt.NDArray[np.uint32]:
    """The first `n` little-endian 32-bit words (n,) of the slot's ChaCha20 keystream, block counter 0.

    The nonce is the slot as a 64-bit little-endian number after 32 zero bits, which reads the same in the
    original layout (64-bit counter, 64-bit nonce) and in RFC 8439 (32-bit counter, 96-bit nonce).
    Raises `ValueError` for a subkey that is not 32 bytes and a slot outside 0 … 2^64 - 1.
    """
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

    if len(subkey) != SUBKEY_BYTES:
        raise ValueError(f"a subkey has {SUBKEY_BYTES} bytes, this one has {len(subkey)}")
    if not 0 <= slot <= MAX_STREAM:
        raise ValueError(f"slot {slot} is outside 0 to 2^64 - 1")
    counter_and_nonce = bytes(8) + int(slot).to_bytes(8, "little")
    cipher = Cipher(algorithms.ChaCha20(subkey, counter_and_nonce), mode=None)
    return np.frombuffer(cipher.encryptor().update(bytes(4 * n)), dtype="<u4").astype(np.uint32, copy=False)


def slot_uniforms(subkey: bytes, slot: int, n: int) -> Float64Array:
    """Numbers of one slot: float64 (n,), (word + 0.5) / 2^32, so never 0 and never 1. Raises as `keystream_words`."""
    return (keystream_words(subkey, slot, n).astype(np.float64) + 0.5) / 2.0**32


def uniform_table(subkey: bytes, slots: int | Sequence[int], n_codes: int) -> Float32Array:
    """Numbers of many slots: float32 (n_codes, n_slots), column j for `slots[j]` (an int: slots 0 … slots - 1).

    Rounded to float32, a number in the last 2^-25 below 1 reads as 1.0: fit for `density_ratio`, not for a
    logarithm of -log u. Raises as `keystream_words`.
    """
    wanted = range(slots) if isinstance(slots, int) else slots
    table = np.empty((n_codes, len(wanted)), np.float32)
    for first in range(0, len(wanted), _SLOTS_PER_BLOCK):
        block = [slot_uniforms(subkey, slot, n_codes) for slot in wanted[first : first + _SLOTS_PER_BLOCK]]
        table[:, first : first + len(block)] = np.asarray(block, np.float32).T
    return table


def payload_stream(slot: int, symbol_value: int) -> int:
    """The stream that stands for `symbol_value` (0 … 63) at time slot `slot` (below 2^32).

    Differs from every time slot's own number, so payload and presence never share numbers.
    """
    return (symbol_value + 1) << 32 | slot


def mark_subkeys(key: SubkeySource, purposes: Sequence[str], *, model: str, table_sha256: str) -> Mapping[str, bytes]:
    """The subkeys of a mark by purpose (`MarkTable.purposes`)."""
    return {purpose: key.subkey(purpose, model=model, table_sha256=table_sha256) for purpose in purposes}
