"""What the pocket codec speaks in: per 10 ms the spectral envelope, the pitch, voicing and breathiness.

The envelope is WORLD's (Morise et al. 2016, CheapTrick), so it holds no harmonics and pitch can be moved
without it. `generate/pocket/vocoder.py` turns these features back into sound.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...core.errors import UsageError
from ...core.records import Float32Array
from ..pocket.acoustics import HOP_S, RATE_HZ, mel_filters

F0_FLOOR_HZ = 60.0
F0_CEILING_HZ = 400.0


@dataclass(frozen=True)
class Features:
    """One utterance: `envelope` (n, MEL_BANDS) log amplitude, `log_f0` (n,), `voiced` (n,), `breath` (n,) in dB."""

    envelope: Float32Array
    log_f0: Float32Array
    voiced: Float32Array
    breath: Float32Array


@lru_cache(maxsize=1)
def _filters() -> Float32Array:
    return mel_filters(513)


def analyse(samples: Float32Array) -> Features | None:
    """Features of 16 kHz speech; None when nothing in it is voiced.

    Raises `UsageError` without `pyworld`, which only training needs.
    """
    try:
        import pyworld
    except ImportError:
        raise UsageError("pyworld is not installed; pip install 'covoguard[pocket-training]'") from None

    sound = samples.astype(np.float64)
    period_ms = HOP_S * 1000
    f0_hz, times_s = pyworld.dio(sound, RATE_HZ, f0_floor=F0_FLOOR_HZ, f0_ceil=F0_CEILING_HZ, frame_period=period_ms)
    f0_hz = pyworld.stonemask(sound, f0_hz, times_s, RATE_HZ)
    voiced = f0_hz > 0
    if voiced.sum() < 10:
        return None
    power = pyworld.cheaptrick(sound, f0_hz, times_s, RATE_HZ, fft_size=1024)
    breath_db = pyworld.code_aperiodicity(pyworld.d4c(sound, f0_hz, times_s, RATE_HZ, fft_size=1024), RATE_HZ)[:, 0]
    envelope = 0.5 * np.log(power @ _filters().T + 1e-12)
    frames = np.arange(len(f0_hz))
    log_f0 = np.interp(frames, frames[voiced], np.log(f0_hz[voiced]))
    return Features(
        envelope.astype(np.float32),
        log_f0.astype(np.float32),
        voiced.astype(np.float32),
        np.clip(breath_db, -30, 0).astype(np.float32),
    )
