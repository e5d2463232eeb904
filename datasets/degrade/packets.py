"""Packets that get lost on the way, in bursts, and what a receiver plays in their place."""

import numpy as np

from ...core.rates import DETECTOR_RATE_HZ
from ...core.records import Float32Array

PACKET_SAMPLES = DETECTOR_RATE_HZ // 50
"""20 ms, the usual packet of internet telephony."""
_BURST_PACKETS = 2.0
_FADE = 0.5


def lose_packets(samples: Float32Array, share: float, rng: np.random.Generator) -> Float32Array:
    """Lose about `share` (0 to 0.5) of the packets, in bursts of two on average (the chain of Gilbert 1960).

    In their place the last packet that came is played again, each time at half the level, so a long gap falls silent.
    """
    begins = share / (1.0 - share) / _BURST_PACKETS
    received, is_lost, gain = samples[:0], False, 1.0
    played = samples.copy()
    for start in range(0, len(samples), PACKET_SAMPLES):
        is_lost = bool(rng.random() < (1.0 - 1.0 / _BURST_PACKETS if is_lost else begins))
        packet = played[start : start + PACKET_SAMPLES]
        if is_lost:
            gain *= _FADE
            packet[:] = gain * received[: len(packet)] if len(received) else 0.0
        else:
            received, gain = samples[start : start + PACKET_SAMPLES], 1.0
    return played
