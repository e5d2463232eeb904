"""What is done to clips of both classes alike: a random chain of damage, or one codec.

A recording that went through a codec is still the speaker's: its label stays, and the codec is recorded. Labelled as
a spoof, it would teach a detector that MP3 is generated speech (see `codec_copies.py` for who wants that).
"""

import hashlib
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from ..core.cliprecord import Settings
from ..core.errors import UsageError
from ..core.records import Float32Array
from ..datasets.degrade.chain import ChainRecipe, Sounds, degrade
from ..datasets.degrade.codec import CODECS, round_trip
from ..datasets.degrade.packets import lose_packets

DEGRADING = "degrade"
"""The generator in the recipe of a genuine clip that was damaged; its label stays bonafide."""
_PACKET_LOSS_CHANCE = 0.1
_PACKET_LOSS_SHARE = (0.01, 0.2)


class Damage(Protocol):
    """One kind of damaged copy of every clip."""

    @property
    def name(self) -> str:
        """What its clips' ids end with."""
        ...

    @property
    def settings(self) -> Settings:
        """For the recipe."""
        ...

    def apply(self, samples: Float32Array, rng: np.random.Generator) -> tuple[Float32Array, tuple[str, ...]]:
        """16 kHz samples -> damaged samples, and what was done, in order; never by the label."""
        ...


@dataclass(frozen=True)
class RandomDamage:
    """A chain drawn for each clip; a genuine clip and its copies get the same draws. Numbers count from 1."""

    number: int

    @property
    def name(self) -> str:
        """See `Damage`."""
        return f"d{self.number}"

    @property
    def settings(self) -> Settings:
        """See `Damage`."""
        return (("degraded_copy", self.number),)

    def apply(self, samples: Float32Array, rng: np.random.Generator) -> tuple[Float32Array, tuple[str, ...]]:
        """See `Damage`. All draws depend on the generator and the length alone."""
        samples, stages = degrade(samples, ChainRecipe(), Sounds(), rng)
        stages = (*stages, "level")  # the last stage of the chain, which no clip is spared
        if rng.random() < _PACKET_LOSS_CHANCE:
            share = float(rng.uniform(*_PACKET_LOSS_SHARE))
            samples, stages = lose_packets(samples, share, rng), (*stages, f"packet_loss:{share:.3f}")
        return samples, stages


@dataclass(frozen=True)
class CodecDamage:
    """A codec of `datasets/degrade/codec.py` at one bit rate (None: it has one only)."""

    codec: str
    bit_rate_bps: int | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `NAME` (its lowest bit rate) or `NAME:BITS_PER_SECOND`. Raises `UsageError`."""
        name, _, rate = text.partition(":")
        if name not in CODECS:
            raise UsageError(f"there is no codec {name!r}; known: {', '.join(CODECS)}")
        rates = CODECS[name].bit_rates_bps
        if not rate:
            return cls(name, rates[0] if rates else None)
        if rate not in map(str, rates):
            known = f"one of {', '.join(map(str, rates))}" if rates else "none, it has one only"
            raise UsageError(f"--codec {text}: give a bit rate that {name} has here: {known}")
        return cls(name, int(rate))

    def __str__(self) -> str:
        """As the chain of damage records it."""
        return self.codec if self.bit_rate_bps is None else f"{self.codec}:{self.bit_rate_bps}"

    @property
    def name(self) -> str:
        """See `Damage`."""
        return str(self).replace(":", "-")

    @property
    def settings(self) -> Settings:
        """See `Damage`."""
        return (("codec", str(self)),)

    def apply(self, samples: Float32Array, rng: np.random.Generator) -> tuple[Float32Array, tuple[str, ...]]:
        """See `Damage`; nothing is drawn."""
        return round_trip(samples, CODECS[self.codec], self.bit_rate_bps), (str(self),)


def stream(seed: int, stem: str, what: str) -> np.random.Generator:
    """One stream for each clip and thing to be done with it, whatever else is asked for, in whatever order."""
    return np.random.default_rng(list(hashlib.sha256(f"{seed} {stem} {what}".encode()).digest()))
