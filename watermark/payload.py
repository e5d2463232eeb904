"""Thirty bits inside the mark (opt-in): which model, which tenant, which day.

30 bits and a CRC-6 make six symbols of GF(64); a Reed-Solomon (12, 6) code makes twelve of them, any six of which
suffice. Half of the time slots carry a symbol: its value picks one of 64 streams in place of the slot's own. The
other half goes on saying "marked", so presence never depends on what the payload says.
"""

import datetime
import math
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .stream import MAX_STREAM, Float64Array, slot_uniforms

Int8Array = npt.NDArray[np.int8]

N_SYMBOLS = 12
N_DATA_SYMBOLS = 6
MIN_DISTANCE = N_SYMBOLS - N_DATA_SYMBOLS + 1
SYMBOL_BITS = 6
SYMBOL_VALUES = 1 << SYMBOL_BITS
PAYLOAD_BITS = 30
GF64_POLYNOMIAL = 0x43
"""x^6 + x + 1, primitive."""
CRC6_POLYNOMIAL = 0x03
"""x^6 + x + 1 (CRC-6/ITU of Recommendation G.704), here started at all ones."""
PLAN_BLOCK_SLOTS = 2 * N_SYMBOLS
MIN_MARGIN_NATS = math.log(1e6)
"""Below this a payload is not shown: see `PayloadReading.margin_nats`."""
_SYMBOLS = np.arange(N_SYMBOLS)
_EPOCH = datetime.date(1970, 1, 1)


@dataclass(frozen=True)
class Payload:
    """What a mark can say. Raises `ValueError` outside the ranges."""

    model: int
    """0 … 15."""
    tenant: int
    """0 … 1023."""
    day: int
    """Days since 1970-01-01 UTC, 0 … 65535 (to the year 2149)."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, bits in (("model", 4), ("tenant", 10), ("day", 16)):
            value = getattr(self, name)
            if not 0 <= value < 1 << bits:
                raise ValueError(f"payload {name} is {value}; it must be from 0 to {(1 << bits) - 1}")

    @property
    def date(self) -> datetime.date:
        """The day as a date, UTC."""
        return _EPOCH + datetime.timedelta(days=self.day)

    @classmethod
    def on(cls, date: datetime.date, *, model: int, tenant: int) -> "Payload":
        """A payload for a date (UTC)."""
        return cls(model, tenant, (date - _EPOCH).days)


@dataclass(frozen=True)
class PayloadReading:
    """What was read. `uncertain`: the best guess is not certain enough, so it is withheld."""

    status: Literal["read", "uncertain"]
    payload: Payload | None
    margin_nats: float
    """Natural log of how much likelier the best payload is than chance and than all others (see `decode`)."""


def payload_plan(subkey: bytes, n_slots: int) -> Int8Array:
    """Which symbol each slot carries: int8 (n_slots,), 0 … 11, or -1 for a slot of presence.

    In each run of 24 slots every symbol stands once and 12 slots are left to presence, in an order drawn from
    the stream of the `payload` subkey: secret, and yet even over the shortest clip.
    """
    n_blocks = -(-n_slots // PLAN_BLOCK_SLOTS)
    draws = slot_uniforms(subkey, MAX_STREAM, n_blocks * PLAN_BLOCK_SLOTS).reshape(n_blocks, PLAN_BLOCK_SLOTS)
    ranks = draws.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable").reshape(-1)[:n_slots]
    return np.where(ranks < N_SYMBOLS, ranks, -1).astype(np.int8)


@lru_cache(64)
def encode(payload: Payload) -> tuple[int, ...]:
    """The twelve symbols (0 … 63) of the Reed-Solomon codeword: six of data, six of parity."""
    bits = payload.model << 26 | payload.tenant << 16 | payload.day
    word = bits << SYMBOL_BITS | _crc6(bits)
    return _codeword(tuple(word >> SYMBOL_BITS * (N_DATA_SYMBOLS - 1 - i) & 63 for i in range(N_DATA_SYMBOLS)))


def decode(symbol_scores: npt.ArrayLike) -> PayloadReading:
    """Read a payload from log-likelihood ratios (12, 64), natural log, of each value at each symbol.

    A score is the log of the evidence Π m_t of that value's stream over the symbol's slots; where a value was not
    sent, its evidence has mean 1 over keys. Candidates come from generalised minimum distance decoding (Forney
    1966, "Generalized minimum distance decoding"): the 0, 1, … 6 least reliable symbols are erased and the rest
    decoded; of those that pass the CRC the one with the highest score S is kept.

    The margin is the lesser of two logs of odds. Against chance: S - log 2^30; where nothing was sent, at most
    e^-margin of the keys let any payload come so far (Markov and the union bound). Against the other payloads
    when one was sent: minus log Σ_w N_w e_w(a) / 64, where a_i is the mean evidence of the other values at symbol
    i relative to the one read, e_w the elementary symmetric polynomial, and N_w the number of codewords that differ
    in w given symbols (weights of a maximum distance separable code; none for w below 7), of which the CRC
    lets one in 64 pass. Raises `ValueError` for another shape or values that are not finite.
    """
    scores = np.asarray(symbol_scores, np.float64)
    if scores.shape != (N_SYMBOLS, SYMBOL_VALUES) or not np.isfinite(scores).all():
        raise ValueError(f"symbol scores must be finite and ({N_SYMBOLS}, {SYMBOL_VALUES}), not {scores.shape}")
    candidates = _candidates(scores)
    if not candidates:
        return PayloadReading("uncertain", None, -math.inf)
    payload = max(candidates, key=candidates.__getitem__)
    margin = min(candidates[payload] - PAYLOAD_BITS * math.log(2), _log_odds_to_others(scores, encode(payload)))
    if margin < MIN_MARGIN_NATS:
        return PayloadReading("uncertain", None, margin)
    return PayloadReading("read", payload, margin)


def _candidates(scores: Float64Array) -> dict[Payload, float]:
    """Payloads within reach of the loudest symbols, each with its score S."""
    ordered = np.sort(scores, axis=1)
    least_reliable_first = (ordered[:, -1] - ordered[:, -2]).argsort(kind="stable").tolist()
    hard = scores.argmax(axis=1).tolist()
    words = (_corrected(hard, least_reliable_first[:n]) for n in range(MIN_DISTANCE))
    payloads = {_payload_of(word) for word in words if word is not None} - {None}
    return {each: float(scores[_SYMBOLS, encode(each)].sum()) for each in payloads if each is not None}


def _log_odds_to_others(scores: Float64Array, symbols: tuple[int, ...]) -> float:
    relative = scores - scores[_SYMBOLS, symbols][:, None]
    relative[_SYMBOLS, symbols] = -np.inf
    highest = relative.max(axis=1)
    log_a = highest + np.log(np.exp(relative - highest[:, None]).sum(axis=1) / (SYMBOL_VALUES - 1))
    log_e = np.full(N_SYMBOLS + 1, -np.inf)
    log_e[0] = 0.0
    for each in log_a:
        log_e[1:] = np.logaddexp(log_e[1:], log_e[:-1] + each)
    weights = range(MIN_DISTANCE, N_SYMBOLS + 1)
    terms = [log_e[w] + math.log(_codewords_apart(w) / SYMBOL_VALUES) for w in weights]
    return -float(np.logaddexp.reduce(terms))


@cache
def _codewords_apart(w: int) -> int:
    """How many codewords differ from a given one in just `w` given symbols (MacWilliams and Sloane, ch. 11, th. 6)."""
    terms = (
        (-1) ** j * math.comb(w, j) * (SYMBOL_VALUES ** (w - MIN_DISTANCE + 1 - j) - 1)
        for j in range(w - MIN_DISTANCE + 1)
    )
    return sum(terms)


@cache
def _codec() -> Any:
    """The code of the library. It keeps its field in globals of the module: not for several threads at once."""
    import reedsolo

    return reedsolo.RSCodec(N_SYMBOLS - N_DATA_SYMBOLS, nsize=N_SYMBOLS, prim=GF64_POLYNOMIAL, c_exp=SYMBOL_BITS)


def _codeword(data: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(_codec().encode(bytes(data)))


def _corrected(received: list[int], erased: list[int]) -> tuple[int, ...] | None:
    """The data symbols nearest to what was received, or None when no codeword is near enough."""
    import reedsolo

    try:
        data, _, _ = _codec().decode(bytes(received), erase_pos=erased)
    except reedsolo.ReedSolomonError:
        return None
    return tuple(data)


def _payload_of(data: tuple[int, ...]) -> Payload | None:
    word = 0
    for symbol in data:
        word = word << SYMBOL_BITS | symbol
    bits, crc = word >> SYMBOL_BITS, word & (SYMBOL_VALUES - 1)
    if _crc6(bits) != crc:
        return None
    return Payload(bits >> 26, bits >> 16 & 1023, bits & 65535)


def _crc6(bits: int) -> int:
    register = SYMBOL_VALUES - 1
    for position in reversed(range(PAYLOAD_BITS)):
        carry = register >> (SYMBOL_BITS - 1) ^ bits >> position & 1
        register = register << 1 & (SYMBOL_VALUES - 1)
        if carry:
            register ^= CRC6_POLYNOMIAL
    return register
