"""A plain recording, and the facts of one, for the tests of file forensics."""

import numpy as np
import sound_files as sounds

from covoguard.core.audio.facts import SourceFacts

RATE_HZ = 16_000


def plain(seconds=4.0, rate_hz=RATE_HZ, *, seed=0):
    """A voice with noise of its own under syllables, and a steady background: 16-bit samples (n,)."""
    rng = np.random.default_rng(seed)
    count = round(seconds * rate_hz)
    voice = sounds.speech_like(seconds, rate_hz, seed=seed, peak=0.3)
    syllables = np.maximum(np.sin(2 * np.pi * 3 * np.arange(count) / rate_hz), 0)
    sound = voice * syllables + 0.02 * syllables * rng.standard_normal(count) + 0.002 * rng.standard_normal(count)
    return rounded(sound)


def rounded(sound, bits=16):
    steps = 1 << (bits - 1)
    return (np.rint(np.clip(sound, -1, 1 - 1 / steps) * steps) / steps).astype(np.float32)


def facts(**changes):
    given = {
        "container": "wav", "codec": "pcm_s16le", "rate_hz": RATE_HZ, "channels": 1, "bits_per_sample": 16,
        "bit_rate_bps": None, "duration_s": 4.0, "declared_duration_s": 4.0, "bad_packets": 0, "partial": False,
        "too_long": False, "mix": "mono", "channel_levels_dbfs": (-20.0,), "peak": 0.3, "dc_offset": 0.0,
        "clipping_share": 0.0, "bandwidth_hz": 8000.0,
    }  # fmt: skip
    return SourceFacts(**(given | changes))
