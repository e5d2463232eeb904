"""Clips that hold one utterance: a recording beside what a vocoder, a codec or a voice conversion made of it.

`near_duplicates.py` finds a recording that was cut, re-encoded or made louder, wherever it begins. A vocoder draws the
spectrum anew and a conversion changes the voice; what stays is where the energy is in time and frequency. So this
compares log spectra, aligned at their beginnings, each band without its mean. Every clip is compared with every other:
2,544 clips take 16 s of one core, ten times as many a hundred times as long.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..core.rates import DETECTOR_RATE_HZ
from ..core.records import Float32Array

MIN_CORRELATION = 0.8
"""Of aligned spectra. Of the 1,739 pairs above it in a collection of 2,544 clips 96 % came from one place of
publication, and most of the others name one sentence; below 0.7 fewer than one in five did, as of any two sentences."""
_MAX_S = 3.5
"""Later sound is not compared."""
_MIN_COMMON_S = 0.9
_HOP_SAMPLES = DETECTOR_RATE_HZ // 50
_WINDOW_SAMPLES = 512
_BANDS = 32
_MOST_SHIFTED_FRAMES = 12
"""Beginnings may lie up to 0.24 s apart, which is what trimming of silence leaves."""
_RANGE = 6.0
"""Natural log units around a band's mean; deeper pauses say no more."""
_FLOOR = 1e-6
_BLOCK = 512
"""Rows of the table of all pairs that are held at once."""


def utterance_spectrum(samples: Float32Array) -> Float32Array:
    """16 kHz samples (n,) -> log spectrum (bands, frames) that `same_utterances` compares; no frames below 32 ms."""
    samples = samples[: round(_MAX_S * DETECTOR_RATE_HZ)]
    if len(samples) < _WINDOW_SAMPLES or not np.any(samples):
        return np.zeros((_BANDS, 0), np.float32)
    level = np.sqrt(np.mean(np.square(samples, dtype=np.float64)))
    frames = np.lib.stride_tricks.sliding_window_view(samples / level, _WINDOW_SAMPLES)[::_HOP_SAMPLES]
    window = np.hanning(_WINDOW_SAMPLES)
    power = np.abs(np.fft.rfft(frames * (window / np.linalg.norm(window)), axis=1)[:, 1:]) ** 2
    bands = np.log(power.reshape(len(frames), _BANDS, -1).mean(axis=2) + _FLOOR).T
    centred = np.clip(bands - bands.mean(axis=1, keepdims=True), -_RANGE, _RANGE)
    return np.asarray(centred - centred.mean(axis=1, keepdims=True), dtype=np.float32)


def same_utterances(spectra: Sequence[Float32Array]) -> list[tuple[int, int]]:
    """Pairs of clips (their places, the smaller one first) that hold one utterance, in order."""
    count = len(spectra)
    longest = max((each.shape[1] for each in spectra), default=0)
    table = np.zeros((count, _BANDS, longest), np.float32)
    there = np.zeros((count, longest), np.float32)
    for place, each in enumerate(spectra):
        table[place, :, : each.shape[1]] = each
        there[place, : each.shape[1]] = 1.0
    energy = np.square(table).sum(axis=1)
    pairs: set[tuple[int, int]] = set()
    for shift in range(min(_MOST_SHIFTED_FRAMES + 1, longest)):
        later, earlier = slice(shift, longest), slice(0, longest - shift)
        for start in range(0, count, _BLOCK):
            rows = slice(start, start + _BLOCK)
            correlation = _correlation(
                (table[rows, :, later], energy[rows, later], there[rows, later]),
                (table[:, :, earlier], energy[:, earlier], there[:, earlier]),
            )
            for first, second in np.argwhere(correlation >= MIN_CORRELATION):
                place, other = start + int(first), int(second)
                if place != other:
                    pairs.add((min(place, other), max(place, other)))
    return sorted(pairs)


_Aligned = tuple[Float32Array, Float32Array, Float32Array]
"""Spectra (n, bands, frames), their energy (n, frames), and 1 where there is sound (n, frames)."""


def _correlation(one: _Aligned, other: _Aligned) -> npt.NDArray[np.float32]:
    """Of each of `one` with each of `other` over the frames that both have; -1 where those are too few."""
    (spectra, energy, there), (others, other_energy, other_there) = one, other
    products = spectra.reshape(len(spectra), -1) @ others.reshape(len(others), -1).T
    scale = np.sqrt((energy @ other_there.T) * (there @ other_energy.T))
    common = there @ other_there.T
    correlation = products / np.maximum(scale, np.finfo(np.float32).tiny)
    too_few = (common * _HOP_SAMPLES < _MIN_COMMON_S * DETECTOR_RATE_HZ) | (scale == 0.0)
    return np.where(too_few, np.float32(-1.0), correlation)
