"""What a test for token marks says about one file: part of the records of `verify` and `scan`.

The attribute names are the keys of the JSON form. A p-value is the probability, over random secret keys, that
sound not made with the key gives evidence as strong; all are kept as log10, which does not underflow. Every
log10_p here is corrected for the hypotheses searched and for the number of keys tested.
"""

from dataclasses import dataclass
from typing import Literal

MarkStatus = Literal["present", "absent", "not_checked"]
MARK_STATUSES: tuple[MarkStatus, ...] = ("present", "absent", "not_checked")


@dataclass(frozen=True)
class MarkedSpan:
    """A stretch of the file, start_s to end_s, that carries the mark of one key by evidence of its own."""

    start_s: float
    end_s: float
    key_id: str
    epoch: int
    log10_p: float


@dataclass(frozen=True)
class MarkAlignment:
    """How the marked tokens lie in the sound, by the best of the hypotheses that were searched.

    The time slots stay out of it: who learned them for many clips could begin to steal the mark.
    """

    speed: float
    """How many times too fast the sound is played, pitch and all."""
    rate: float
    """Length of a token in it over its nominal 40 ms, after the speed is undone."""
    phase_s: float
    """From the beginning of the sound to the beginning of a token."""


@dataclass(frozen=True)
class MarkPayload:
    """What the mark says beside "marked": the model's number, the tenant's, and the day, ISO 8601, UTC.

    Status `uncertain`: nothing certain enough to be shown, so all is None.
    """

    status: Literal["read", "uncertain"]
    model: int | None
    tenant: int | None
    date: str | None


@dataclass(frozen=True)
class KeyReading:
    """The answer under one epoch of one key. `reason` is a code of `core/reasons.py`; None: none is needed."""

    key_id: str
    epoch: int
    status: MarkStatus
    reason: str | None
    log10_p: float | None
    """Certified."""
    log10_e: float | None
    """The e-value under this key alone."""
    log10_p_sharp: float | None
    """By a saddlepoint approximation: closer, not certified."""
    seconds_used: float
    seconds_needed: float | None
    hypotheses_searched: int
    alignment: MarkAlignment | None
    payload: MarkPayload | None
    """None: not looked for, or no mark to read it from."""


@dataclass(frozen=True)
class TokenMark:
    """The answer for the file: present when one of the keys is, absent when none is, with the strongest evidence.

    Present: at least the spans were sampled by this model under that key; not that the message is authentic.
    Absent: no evidence of a mark, which is no evidence of human speech.
    """

    status: MarkStatus
    reason: str | None
    log10_alpha: float
    """The bound on the probability of a false alarm that `status` and `spans` keep, over all keys tested."""
    log10_p: float | None
    log10_e: float | None
    """The mean of the keys' e-values, itself one."""
    log10_p_sharp: float | None
    seconds_used: float
    seconds_needed: float | None
    """Of marked speech, at the signal's strength, for `log10_alpha`; None where it cannot be said."""
    spans: tuple[MarkedSpan, ...]
    keys: tuple[KeyReading, ...]
    """One per epoch of each key tested, in the order of the key ring."""
    model: str
    """The marked model, by the name in its mark table."""
    table_sha256: str | None
    """None: the model has no mark table here."""
    recoverer: str | None
    """What read the tokens back, as name@version; None: the model has no recoverer here, and nothing was read."""
    recoverer_sha256: str | None
