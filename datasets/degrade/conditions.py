"""Fixed test conditions: one strength each, so that figures of different models can be compared."""

from collections.abc import Callable, Mapping

import numpy as np

from ...core.records import Float32Array
from .band import low_pass, telephone
from .codec import CODECS, round_trip
from .noise import add_at_snr, coloured_noise
from .room import reverberate, synthetic_response

Condition = Callable[[Float32Array, np.random.Generator], Float32Array]

CONDITIONS: Mapping[str, Condition] = {
    "clean": lambda samples, rng: samples,
    "mp3-32k": lambda samples, rng: round_trip(samples, CODECS["mp3"], 32_000),
    "opus-16k": lambda samples, rng: round_trip(samples, CODECS["opus"], 16_000),
    "telephone": lambda samples, rng: round_trip(telephone(samples), CODECS["mu-law"]),
    "low-pass-4k": lambda samples, rng: low_pass(samples, 4000.0),
    "pink-noise-10-db": lambda samples, rng: add_at_snr(samples, coloured_noise(len(samples), 1.0, rng), 10.0),
    "room": lambda samples, rng: reverberate(samples, synthetic_response(0.5, rng)),
}
