"""RawBoost: what telephone lines and cheap equipment add to speech, drawn without any recorded noise.

Tak, Kamble, Patino, Todisco and Evans 2022, "RawBoost: a raw data boosting and augmentation method applied to
automatic speaker verification anti-spoofing", arXiv 2111.04433, sections 2.1 to 2.3. Numbers, order and ranges are
those of the released code, TakHemlata/RawBoost-antispoofing @ d86a393; the code here is our own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import signal

from ...core.rates import DETECTOR_RATE_HZ
from ...core.records import Float32Array

ALGORITHMS: Mapping[int, str] = {
    1: "convolutive",
    2: "impulsive",
    3: "stationary",
    4: "convolutive, impulsive, stationary in series",
    5: "convolutive, impulsive in series",
    6: "convolutive, stationary in series",
    7: "impulsive, stationary in series",
    8: "convolutive and impulsive in parallel",
}
"""What each number of the paper's code stands for."""

_Range = tuple[float, float]
_Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RawBoostRecipe:
    """Ranges that are drawn from; the defaults are those of the released code."""

    notches: int = 5
    notch_centre_hz: _Range = (20.0, 8000.0)
    notch_width_hz: _Range = (100.0, 1000.0)
    notch_taps: tuple[int, int] = (10, 100)
    """Length of each notch filter; the next odd number is taken."""
    order: int = 5
    """Highest power of the signal in the convolutive noise; 1 is linear."""
    gain_db: _Range = (0.0, 0.0)
    """Of the linear part's filter, at its peak."""
    power_gain_db: _Range = (-20.0, -5.0)
    """Of the filters of all higher powers."""
    impulsive_share: float = 0.1
    """Largest share of samples that impulses touch."""
    impulsive_gain: float = 2.0
    """Largest impulse, relative to the sample that it falls on."""
    snr_db: _Range = (10.0, 40.0)


RELEASED = RawBoostRecipe()


def rawboost(
    samples: Float32Array, algorithm: int, rng: np.random.Generator, recipe: RawBoostRecipe = RELEASED
) -> Float32Array:
    """One of `ALGORITHMS` on samples (n,) in [-1, 1]; -> float32 (n,). Raises `ValueError` for another number."""
    if algorithm not in ALGORITHMS:
        raise ValueError(f"RawBoost has no algorithm {algorithm}; known: 1 to {max(ALGORITHMS)}")
    if algorithm == 8:
        both = convolutive(samples, rng, recipe).astype(np.float64) + impulsive(samples, rng, recipe)
        return _without_overflow(both)
    for stage in _SERIES[algorithm]:
        samples = stage(samples, rng, recipe)
    return samples


def convolutive(samples: Float32Array, rng: np.random.Generator, recipe: RawBoostRecipe = RELEASED) -> Float32Array:
    """Linear and non-linear convolutive noise: the sum of the signal's powers, each through notches of its own.

    Equation 1 of the paper. The mean is taken out, and the peak brought down to 1 where it is above.
    """
    exact = samples.astype(np.float64)
    mixed = np.zeros_like(exact)
    for power in range(1, recipe.order + 1):
        gain_db = recipe.gain_db if power == 1 else recipe.power_gain_db
        mixed += _filtered(exact**power, _notch_filter(rng, recipe, rng.uniform(*gain_db)))
    return _without_overflow(mixed - mixed.mean() if len(mixed) else mixed)


def impulsive(samples: Float32Array, rng: np.random.Generator, recipe: RawBoostRecipe = RELEASED) -> Float32Array:
    """Impulsive signal-dependent noise: some samples, up to `impulsive_share` of them, move by a part of themselves.

    Equation 2 of the paper: each impulse is the product of two uniform numbers in [-1, 1], the gain and the sample.
    """
    count = int(len(samples) * rng.uniform(0.0, recipe.impulsive_share))
    places = rng.permutation(len(samples))[:count]
    impulses = rng.uniform(-1.0, 1.0, count) * rng.uniform(-1.0, 1.0, count)
    boosted = samples.astype(np.float64)
    boosted[places] += recipe.impulsive_gain * impulses * boosted[places]
    return _without_overflow(boosted)


def stationary(samples: Float32Array, rng: np.random.Generator, recipe: RawBoostRecipe = RELEASED) -> Float32Array:
    """Stationary signal-independent noise: white noise through random notches, at a drawn ratio to the whole signal.

    Equation 3 of the paper. Silence stays silent. The peak may exceed 1, as in the released code.
    """
    noise = _filtered(rng.standard_normal(len(samples)), _notch_filter(rng, recipe, 0.0))
    snr_db = rng.uniform(*recipe.snr_db)
    level = float(np.linalg.norm(samples.astype(np.float64))) / max(float(np.linalg.norm(noise)), 1e-12)
    return np.asarray(samples + noise * level * 10.0 ** (-snr_db / 20.0), dtype=np.float32)


_SERIES: Mapping[int, tuple[Callable[[Float32Array, np.random.Generator, RawBoostRecipe], Float32Array], ...]] = {
    1: (convolutive,),
    2: (impulsive,),
    3: (stationary,),
    4: (convolutive, impulsive, stationary),
    5: (convolutive, impulsive),
    6: (convolutive, stationary),
    7: (impulsive, stationary),
}


def _notch_filter(rng: np.random.Generator, recipe: RawBoostRecipe, gain_db: float) -> _Float64Array:
    """A chain of band stops as one linear-phase filter of odd length, with its peak at `gain_db`."""
    taps: _Float64Array = np.ones(1)
    for _ in range(recipe.notches):
        centre_hz, width_hz = rng.uniform(*recipe.notch_centre_hz), rng.uniform(*recipe.notch_width_hz)
        length = int(rng.integers(*recipe.notch_taps)) // 2 * 2 + 1
        low_hz = max(1e-3, centre_hz - width_hz / 2)
        high_hz = min(DETECTOR_RATE_HZ / 2 - 1e-3, centre_hz + width_hz / 2)
        taps = np.convolve(taps, signal.firwin(length, [low_hz, high_hz], fs=DETECTOR_RATE_HZ))
    _, response = signal.freqz(taps, fs=DETECTOR_RATE_HZ)
    return np.asarray(taps * (10.0 ** (gain_db / 20.0) / np.max(np.abs(response))), dtype=np.float64)


def _filtered(samples: _Float64Array, taps: _Float64Array) -> _Float64Array:
    """Same length, and no delay: the filter is symmetric."""
    if not len(samples):
        return samples
    filtered: Any = signal.fftconvolve(samples, taps, mode="same")
    return np.asarray(filtered, dtype=np.float64)


def _without_overflow(samples: _Float64Array) -> Float32Array:
    peak = float(np.max(np.abs(samples), initial=0.0))
    return np.asarray(samples / max(1.0, peak), dtype=np.float32)
