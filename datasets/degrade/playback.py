"""Playback at another speed (pitch moves with it) or another tempo (pitch kept)."""

from typing import Any

import numpy as np
import soxr

from ...core.rates import DETECTOR_RATE_HZ
from ...core.records import Float32Array


def change_speed(samples: Float32Array, factor: float) -> Float32Array:
    """16 kHz samples played `factor` times as fast, pitch included; length divides by `factor`."""
    changed: Float32Array = soxr.resample(samples, DETECTOR_RATE_HZ * factor, DETECTOR_RATE_HZ, quality="HQ")
    return changed.astype(np.float32)


def change_tempo(samples: Float32Array, factor: float) -> Float32Array:
    """16 kHz samples said `factor` times as fast at the same pitch (WSOLA: FFmpeg's `atempo`); 0.5 <= factor <= 2."""
    import av

    graph: Any = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=DETECTOR_RATE_HZ, format="fltp", layout="mono", time_base=None)
    tempo = graph.add("atempo", f"{factor:.6f}")
    sink = graph.add("abuffersink")
    source.link_to(tempo)
    tempo.link_to(sink)
    graph.configure()
    frame: Any = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None], dtype=np.float32), "fltp", "mono")
    frame.rate = DETECTOR_RATE_HZ
    graph.push(frame)
    graph.push(None)
    pieces = []
    while True:
        try:
            pieces.append(graph.pull().to_ndarray()[0])
        except (av.error.BlockingIOError, av.error.EOFError):
            break
    return np.concatenate(pieces).astype(np.float32) if pieces else samples[:0]
