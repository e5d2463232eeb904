"""The attack mix of the token mark: what speech goes through between its maker and whoever checks it.

Token recoverers are trained on it and clusters are measured under it. Unlike `chain.py`, which blurs the line
between genuine and generated speech, it keeps account of time: how fast the sound was made to run.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import soxr

from ...core.rates import DETECTOR_RATE_HZ
from ...core.records import Float32Array
from .band import low_pass, telephone
from .chain import Sounds
from .codec import CODECS, round_trip
from .equipment import clip, random_filter
from .noise import add_at_snr, coloured_noise, excerpt
from .playback import change_speed, change_tempo
from .room import reverberate, synthetic_response

CODEC_SETTINGS: tuple[tuple[str, int | None, float], ...] = (
    ("mp3", 24_000, 1.0),
    ("mp3", 32_000, 2.0),
    ("mp3", 64_000, 0.5),
    ("aac", 24_000, 0.7),
    ("aac", 32_000, 1.0),
    ("opus", 8_000, 1.5),
    ("opus", 12_000, 0.7),
    ("opus", 16_000, 1.5),
    ("opus", 32_000, 0.3),
    ("amr-nb", 7_950, 0.4),
    ("amr-nb", 12_200, 0.4),
    ("g722", None, 0.2),
    ("mu-law", None, 0.7),
    ("a-law", None, 0.4),
)
"""Codec, bit rate and weight of the draw."""


@dataclass(frozen=True)
class Journey:
    """Sound after its journey; `speed` > 1 where it now runs faster than it was made."""

    samples: Float32Array
    speed: float
    stages: tuple[str, ...]


Stage = Callable[[Float32Array, np.random.Generator, Sounds], Float32Array]


def travel(
    samples: Float32Array, rng: np.random.Generator, sounds: Sounds, *, clean: float = 0.15, paced: float = 0.4
) -> Journey:
    """Send 16 kHz speech through one to three random stages.

    `clean` is the chance of no stage, `paced` the chance of another speed or tempo.
    Pace comes first, as from an editor's hand; codecs come last, as from the platform that publishes.
    """
    speed, stages = 1.0, []
    if rng.random() < paced:
        samples, speed, stage = _paced(samples, rng)
        stages.append(stage)
    if rng.random() >= clean:
        count = int(rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1]))
        drawn = rng.choice(len(_STAGES), size=count, replace=False, p=_CHANCES)
        for index in sorted(drawn):
            name, _, stage_of = _STAGES[index]
            samples = stage_of(samples, rng, sounds)
            stages.append(name)
    level = 10 ** (rng.uniform(-20, 3) / 20)
    return Journey(np.clip(samples * level, -1, 1).astype(np.float32), speed, tuple(stages))


def _paced(samples: Float32Array, rng: np.random.Generator) -> tuple[Float32Array, float, str]:
    if rng.random() < 0.5:
        factor = float(rng.uniform(0.965, 1.035))
        return change_speed(samples, factor), factor, "speed"
    factor = float(rng.uniform(0.93, 1.07))
    changed = change_tempo(samples, factor)
    return changed, len(samples) / max(1, len(changed)), "tempo"


def _room(samples: Float32Array, rng: np.random.Generator, sounds: Sounds) -> Float32Array:
    if sounds.rooms and rng.random() < 0.5:
        return reverberate(samples, sounds.rooms[int(rng.integers(len(sounds.rooms)))])
    return reverberate(samples, synthetic_response(float(rng.uniform(0.1, 0.5)), rng))


def _noise(samples: Float32Array, rng: np.random.Generator, sounds: Sounds) -> Float32Array:
    snr_db = float(rng.uniform(5, 35))
    if sounds.noises and rng.random() < 0.3:
        recorded = excerpt(sounds.noises[int(rng.integers(len(sounds.noises)))], len(samples), rng)
        return add_at_snr(samples, recorded, snr_db)
    exponent = float(rng.choice([0.0, 0.0, 1.0, 2.0]))
    return add_at_snr(samples, coloured_noise(len(samples), exponent, rng), snr_db)


def _band(samples: Float32Array, rng: np.random.Generator, sounds: Sounds) -> Float32Array:
    kind = rng.random()
    if kind < 0.6:
        return telephone(samples)
    if kind < 0.8:
        return low_pass(samples, float(rng.uniform(3200, 7500)))
    rate_hz = int(rng.choice([8_000, 11_025, 12_000]))
    narrow = soxr.resample(samples, DETECTOR_RATE_HZ, rate_hz)
    restored: Float32Array = soxr.resample(narrow, rate_hz, DETECTOR_RATE_HZ).astype(np.float32)
    return restored


def _colour(samples: Float32Array, rng: np.random.Generator, sounds: Sounds) -> Float32Array:
    if rng.random() < 0.3:
        return clip(samples, float(rng.uniform(0.3, 0.8)))
    taps = random_filter(rng)
    return np.convolve(samples, taps, mode="same").astype(np.float32)


def _codec(samples: Float32Array, rng: np.random.Generator, sounds: Sounds) -> Float32Array:
    weights = np.array([weight for _, _, weight in CODEC_SETTINGS])
    name, bit_rate_bps, _ = CODEC_SETTINGS[int(rng.choice(len(CODEC_SETTINGS), p=weights / weights.sum()))]
    return round_trip(samples, CODECS[name], bit_rate_bps)


_STAGES: tuple[tuple[str, float, Stage], ...] = (
    ("colour", 0.08, _colour),
    ("room", 0.15, _room),
    ("noise", 0.23, _noise),
    ("band", 0.21, _band),
    ("codec", 0.33, _codec),
)
"""In the order of a recording's life, each with its chance."""
_CHANCES = np.array([chance for _, chance, _ in _STAGES])
