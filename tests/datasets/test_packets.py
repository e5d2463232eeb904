"""Lost packets: as many as asked for, in bursts, and what comes through is as it was."""

import numpy as np
import pytest

from covoguard.datasets.degrade.packets import PACKET_SAMPLES, lose_packets


def lost(samples, share, seed=0):
    """Which whole packets differ."""
    played = lose_packets(samples, share, np.random.default_rng(seed))
    assert (played.dtype, played.shape) == (np.float32, samples.shape)
    whole = len(samples) // PACKET_SAMPLES * PACKET_SAMPLES
    return (played[:whole] != samples[:whole]).reshape(-1, PACKET_SAMPLES).any(axis=1), played


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.5])
def test_the_share_is_lost_in_bursts_of_two_on_average(share):
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, 20_000 * PACKET_SAMPLES).astype(np.float32)
    gone, _ = lost(samples, share)
    assert gone.mean() == pytest.approx(share, rel=0.15)
    bursts = np.sum(np.diff(gone.astype(int)) == 1)
    assert gone.sum() / bursts == pytest.approx(2.0, rel=0.15)


def test_a_gap_repeats_the_last_packet_and_fades():
    samples = np.repeat(np.arange(1, 401, dtype=np.float32) / 400, PACKET_SAMPLES)
    gone, played = lost(samples, 0.3)
    levels = played[::PACKET_SAMPLES]
    inside = np.flatnonzero(gone[1:]) + 1
    assert len(inside) > 50
    assert levels[inside] == pytest.approx(levels[inside - 1] / 2)


@pytest.mark.parametrize("count", [0, 1, PACKET_SAMPLES, PACKET_SAMPLES + 1])
def test_short_sound_nothing_lost_and_the_recording_is_left_alone(count):
    samples = np.full(count, 0.5, np.float32)
    assert np.array_equal(lost(samples, 0.0)[1], samples)
    for seed in range(20):
        lost(samples, 0.5, seed)
    assert np.all(samples == 0.5)
