"""Natural variation laid on teacher features each time that they are used: tempo and pitch drift, other sounds keep.

Without it the language model would learn one way to say each sentence and the mark would find no entropy.
"""

import numpy as np

from ...core.records import Float32Array
from ..pocket.acoustics import FRAMES_PER_S, FRAMES_PER_TOKEN
from .corpus import Utterance

TEMPO_DRIFT = 0.12
"""Largest local change of tempo, as a share."""
PITCH_DRIFT = 0.10
"""Standard deviation of the slow drift of ln f0."""
_KNOT_FRAMES = 25


def smooth_walk(frames: int, rng: np.random.Generator, knot_frames: int = _KNOT_FRAMES) -> Float32Array:
    """A slow random curve (frames,) of about unit deviation: random knots joined by a raised cosine."""
    knots = rng.standard_normal(frames // knot_frames + 3)
    position = np.arange(frames) / knot_frames + rng.uniform()
    index = position.astype(int)
    blend = (1 - np.cos(np.pi * (position - index))) / 2
    curve: Float32Array = (knots[index] * (1 - blend) + knots[index + 1] * blend).astype(np.float32)
    return curve


def vary(utterance: Utterance, rng: np.random.Generator) -> tuple[Float32Array, Float32Array, Float32Array]:
    """One way of saying it: features (m, bands + 3), and the phone (m,) and the teacher's frame (m,) of each frame.

    A start that waits for 0 to 3 frames moves the token grid. m is cut to a whole number of tokens.
    """
    features = utterance.features
    stacked = np.concatenate(
        [features.envelope, np.stack([features.log_f0, features.voiced, features.breath], axis=1)], axis=1
    )
    frames = len(stacked)
    speed = 1 + np.clip(TEMPO_DRIFT * 0.6 * smooth_walk(2 * frames, rng), -TEMPO_DRIFT, TEMPO_DRIFT)
    source = np.cumsum(speed) - speed[0] - rng.integers(0, FRAMES_PER_TOKEN)
    source = np.clip(source[source < frames - 1], 0, None)
    source = source[: len(source) // FRAMES_PER_TOKEN * FRAMES_PER_TOKEN]
    low = source.astype(int)
    weight = (source - low)[:, None].astype(np.float32)
    varied = stacked[low] * (1 - weight) + stacked[np.minimum(low + 1, frames - 1)] * weight
    varied[:, -3] += PITCH_DRIFT * smooth_walk(len(varied), rng)
    ends = np.round(np.asarray(utterance.phone_ends_s) * FRAMES_PER_S)
    phone_index = np.minimum(np.searchsorted(ends, source, side="right"), len(ends) - 1)
    return varied.astype(np.float32), phone_index.astype(np.int32), source.astype(np.float32)
