"""A random chain of degradations, the same for genuine and generated speech, with a record of what was done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import soxr

from ...core.rates import DETECTOR_RATE_HZ
from ...core.records import Float32Array
from .band import low_pass, telephone
from .codec import CODECS, round_trip
from .equipment import add_clicks, clip, distort
from .noise import add_at_snr, coloured_noise, excerpt
from .room import reverberate, synthetic_response


@dataclass(frozen=True)
class Sounds:
    """Recorded noises and room responses at 16 kHz; without them coloured noise and made-up rooms serve."""

    noises: Sequence[Float32Array] = ()
    rooms: Sequence[Float32Array] = ()


@dataclass(frozen=True)
class ChainRecipe:
    """How likely each stage is, and how strong. All probabilities are independent."""

    clean: float = 0.3
    """Chance that a clip goes through the level stage only."""
    speed: float = 0.25
    room: float = 0.25
    distort: float = 0.35
    clicks: float = 0.1
    clip: float = 0.08
    coloured_noise: float = 0.25
    recorded_noise: float = 0.3
    low_pass: float = 0.3
    telephone: float = 0.06
    codec: float = 0.5
    second_codec: float = 0.15
    snr_db: tuple[float, float] = (5.0, 35.0)
    low_pass_hz: tuple[float, float] = (3400.0, 7800.0)
    speed_factor: tuple[float, float] = (0.9, 1.1)
    level_dbfs: tuple[float, float] = (-34.0, -16.0)
    dither_dbfs: tuple[float, float] = (-96.0, -66.0)


CODEC_WEIGHTS: Mapping[str, float] = {
    "mp3": 3.0,
    "mp3-44k": 2.0,
    "aac": 2.0,
    "aac-44k": 2.0,
    "opus": 3.0,
    "amr-nb": 0.5,
    "g722": 0.5,
    "mu-law": 0.5,
    "a-law": 0.5,
}


def degrade(
    samples: Float32Array, recipe: ChainRecipe, sounds: Sounds, rng: np.random.Generator
) -> tuple[Float32Array, tuple[str, ...]]:
    """Send 16 kHz samples through a random chain; -> (samples, names of the stages in order).

    The order is that of a recording's life: voice, room, microphone, noise, line, codec, level. The length
    changes only with the speed.
    """
    applied: list[str] = []
    if rng.random() >= recipe.clean:
        samples = _voice_and_room(samples, recipe, sounds, rng, applied)
        samples = _line(samples, recipe, sounds, rng, applied)
    return _level(samples, recipe, rng), tuple(applied)


def _voice_and_room(
    samples: Float32Array, recipe: ChainRecipe, sounds: Sounds, rng: np.random.Generator, applied: list[str]
) -> Float32Array:
    if rng.random() < recipe.speed:
        factor = rng.uniform(*recipe.speed_factor)
        samples = np.asarray(soxr.resample(samples, DETECTOR_RATE_HZ * factor, DETECTOR_RATE_HZ), np.float32)
        applied.append("speed")
    if rng.random() < recipe.room:
        recorded = len(sounds.rooms) > 0 and rng.random() < 0.5
        response = (
            sounds.rooms[int(rng.integers(len(sounds.rooms)))]
            if recorded
            else synthetic_response(rng.uniform(0.1, 0.8), rng)
        )
        samples = reverberate(samples, response)
        applied.append("room")
    if rng.random() < recipe.distort:
        samples = distort(samples, rng)
        applied.append("distort")
    if rng.random() < recipe.clicks:
        samples = add_clicks(samples, rng)
        applied.append("clicks")
    return samples


def _line(
    samples: Float32Array, recipe: ChainRecipe, sounds: Sounds, rng: np.random.Generator, applied: list[str]
) -> Float32Array:
    if rng.random() < recipe.coloured_noise:
        noise = coloured_noise(len(samples), rng.uniform(-1.0, 2.0), rng)
        samples = add_at_snr(samples, noise, rng.uniform(*recipe.snr_db))
        applied.append("coloured_noise")
    if sounds.noises and rng.random() < recipe.recorded_noise:
        noise = excerpt(sounds.noises[int(rng.integers(len(sounds.noises)))], len(samples), rng)
        samples = add_at_snr(samples, noise, rng.uniform(*recipe.snr_db))
        applied.append("recorded_noise")
    if rng.random() < recipe.clip:
        samples = clip(samples, rng.uniform(0.2, 0.9))
        applied.append("clip")
    if rng.random() < recipe.low_pass:
        samples = low_pass(samples, rng.uniform(*recipe.low_pass_hz))
        applied.append("low_pass")
    if rng.random() < recipe.telephone:
        samples = telephone(samples)
        applied.append("telephone")
    for chance in (recipe.codec, recipe.second_codec):
        if rng.random() < chance:
            samples = _random_codec(samples, rng, applied)
    return samples


def _random_codec(samples: Float32Array, rng: np.random.Generator, applied: list[str]) -> Float32Array:
    names = list(CODEC_WEIGHTS)
    weights = np.array([CODEC_WEIGHTS[name] for name in names])
    name = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    codec = CODECS[name]
    bit_rate_bps = int(rng.choice(codec.bit_rates_bps)) if codec.bit_rates_bps else None
    samples = samples / max(1.0, float(np.max(np.abs(samples), initial=0.0)))
    applied.append(name if bit_rate_bps is None else f"{name}:{bit_rate_bps}")
    return round_trip(samples, codec, bit_rate_bps)


def _level(samples: Float32Array, recipe: ChainRecipe, rng: np.random.Generator) -> Float32Array:
    """A random level and a faint dither: levels, exact zeros and bit depth must not tell the classes apart."""
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0
    if rms == 0.0:
        return samples
    scaled = samples * (10.0 ** (rng.uniform(*recipe.level_dbfs) / 20.0) / rms)
    dither = rng.standard_normal(len(samples)) * 10.0 ** (rng.uniform(*recipe.dither_dbfs) / 20.0)
    return np.asarray(np.clip(scaled + dither, -1.0, 1.0), dtype=np.float32)
