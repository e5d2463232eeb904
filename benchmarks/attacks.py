"""What a marked clip is put through before it is verified: each a function of 16 kHz samples and a seed."""

from collections.abc import Callable

import numpy as np
import soxr

from covoguard.core.records import Float32Array
from covoguard.datasets.degrade.band import telephone
from covoguard.datasets.degrade.codec import CODECS, round_trip
from covoguard.datasets.degrade.noise import add_at_snr, coloured_noise
from covoguard.datasets.degrade.playback import change_speed, change_tempo
from covoguard.datasets.degrade.room import reverberate, synthetic_response

RATE_HZ = 16_000
Attack = Callable[[Float32Array, int], Float32Array]


def _codec(name: str, bit_rate_bps: int) -> Attack:
    return lambda samples, seed: round_trip(samples, CODECS[name], bit_rate_bps)


def _white(snr_db: float) -> Attack:
    def attack(samples: Float32Array, seed: int) -> Float32Array:
        return add_at_snr(samples, coloured_noise(len(samples), 0.0, np.random.default_rng(seed)), snr_db)

    return attack


def _resampled(rate_hz: int) -> Attack:
    def attack(samples: Float32Array, seed: int) -> Float32Array:
        low: Float32Array = soxr.resample(samples, RATE_HZ, rate_hz)
        back: Float32Array = soxr.resample(low, rate_hz, RATE_HZ)
        return back

    return attack


def _telephone(samples: Float32Array, seed: int) -> Float32Array:
    return round_trip(telephone(samples), CODECS["mu-law"])


def _offset(samples: Float32Array, seed: int) -> Float32Array:
    return samples[int(np.random.default_rng(seed).integers(0, RATE_HZ // 25)) :]


def _room(samples: Float32Array, seed: int) -> Float32Array:
    return reverberate(samples, synthetic_response(0.25, np.random.default_rng(seed)))


ATTACKS: dict[str, Attack] = {
    "clean": lambda samples, seed: samples,
    "mp3 64k": _codec("mp3", 64_000),
    "resample 11k": _resampled(11_025),
    "gain -12 dB": lambda samples, seed: samples * np.float32(10 ** (-12 / 20)),
    "offset 0-40 ms": _offset,
    "mp3 32k": _codec("mp3", 32_000),
    "aac 32k": _codec("aac", 32_000),
    "opus 16k": _codec("opus", 16_000),
    "telephone, mu-law": _telephone,
    "reverb 0.25 s": _room,
    "opus 8k": _codec("opus", 8_000),
    "noise 20 dB": _white(20.0),
    "noise 10 dB": _white(10.0),
    "opus 8k, noise 20 dB": lambda samples, seed: _white(20.0)(_codec("opus", 8_000)(samples, seed), seed),
    "speed +5 %": lambda samples, seed: change_speed(samples, 1.05),
    "speed -5 %": lambda samples, seed: change_speed(samples, 0.95),
    "tempo +5 %": lambda samples, seed: change_tempo(samples, 1.05),
    "tempo -5 %": lambda samples, seed: change_tempo(samples, 0.95),
}
