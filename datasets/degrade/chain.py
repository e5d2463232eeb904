"""A random chain of degradations, the same for genuine and generated speech, with a record of what was done."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import soxr

from ...core.errors import UsageError
from ...core.rates import DETECTOR_RATE_HZ
from ...core.records import Float32Array
from .band import low_pass, telephone
from .codec import CODECS, round_trip
from .equipment import add_clicks, clip, distort
from .noise import add_at_snr, coloured_noise, excerpt
from .rawboost import ALGORITHMS, rawboost
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
    """Chance of playing faster or slower by `speed_factor`."""
    room: float = 0.25
    """Chance of a room, recorded or made up."""
    distort: float = 0.35
    """Chance of random filters with weak non-linear parts."""
    clicks: float = 0.1
    """Chance of disturbed single samples."""
    clip: float = 0.08
    """Chance of cut-off peaks."""
    coloured_noise: float = 0.25
    recorded_noise: float = 0.3
    """Chance of an excerpt of a recorded noise, where there are any."""
    low_pass: float = 0.3
    """Chance of a limit of the band within `low_pass_hz`."""
    telephone: float = 0.06
    """Chance of the band of 300 to 3400 Hz."""
    codec: float = 0.5
    """Chance of a trip through MP3, AAC, Opus, AMR, G.722 or G.711."""
    second_codec: float = 0.15
    rawboost: float = 0.0
    """Chance of one of `rawboost_algorithms` (arXiv 2111.04433); at 0 no random number is drawn for it."""
    rawboost_algorithms: tuple[int, ...] = tuple(ALGORITHMS)
    """As the paper's code numbers them: 1 convolutive, 2 impulsive, 3 stationary noise, 4 to 8 combinations."""
    snr_db: tuple[float, float] = (5.0, 35.0)
    """Of coloured and recorded noise."""
    low_pass_hz: tuple[float, float] = (3400.0, 7800.0)
    speed_factor: tuple[float, float] = (0.9, 1.1)
    level_dbfs: tuple[float, float] = (-34.0, -16.0)
    """Of every clip in the end."""
    dither_dbfs: tuple[float, float] = (-96.0, -66.0)

    def __post_init__(self) -> None:
        """Raise `UsageError` that names the field for what is no chance, no range, or no algorithm."""
        for name, value in asdict(self).items():
            if isinstance(value, float) and not 0.0 <= value <= 1.0:
                raise UsageError(f"{name} is {value:g}; give a chance from 0 to 1")
            if name in _LIMITS:
                low, high = _LIMITS[name]
                if not low <= value[0] <= value[1] <= high:
                    raise UsageError(f"{name} is {list(value)}; give two rising numbers from {low:g} to {high:g}")
        if not self.rawboost_algorithms or not set(self.rawboost_algorithms) <= set(ALGORITHMS):
            raise UsageError(f"rawboost_algorithms is {list(self.rawboost_algorithms)}; give numbers from 1 to 8")


_LIMITS: Mapping[str, tuple[float, float]] = {
    "snr_db": (-50.0, 100.0),
    "low_pass_hz": (100.0, 7999.0),
    "speed_factor": (0.5, 2.0),
    "level_dbfs": (-100.0, 0.0),
    "dither_dbfs": (-200.0, 0.0),
}
"""What the ranges of a `ChainRecipe` may hold."""

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
    if recipe.rawboost > 0.0 and rng.random() < recipe.rawboost:
        algorithm = int(rng.choice(recipe.rawboost_algorithms))
        samples = rawboost(samples, algorithm, rng)
        applied.append(f"rawboost:{algorithm}")
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
