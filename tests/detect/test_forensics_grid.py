"""The grid of an earlier MP3 or AAC encoding is found in the samples, at its offset, and where it jumps."""

import io

import av
import numpy as np
import pytest
import sound_files as sounds
from forensic_sound import RATE_HZ, facts, plain, rounded

from covoguard.core.audio import resample
from covoguard.detect.forensics.checks.codec_grid import CodecGrid, observations_of
from covoguard.detect.forensics.grid import EXCERPT_SAMPLES, GridCounts, Peak, same_grid
from covoguard.detect.forensics.lapped import lapped_transforms


def through(container, codec, sound, bit_rate):
    """Encoded and decoded, float32 (n,)."""
    with av.open(io.BytesIO(sounds.encode(container, codec, sound, RATE_HZ, bit_rate=bit_rate))) as file:
        return np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])


def peak_of(sound):
    counts = GridCounts()
    counts.add(sound)
    return counts.peak()


@pytest.fixture(scope="module")
def sound():
    return plain(4.0)


@pytest.fixture(scope="module")
def mp3(sound):
    return rounded(through("mp3", "libmp3lame", sound, 48_000))


def seen_in(sound, **changes):
    check = CodecGrid()
    check.hear(sound[None], RATE_HZ)
    return {each.code: each for each in observations_of(check.counts(), facts(**changes), RATE_HZ)}


def test_the_transforms_keep_what_they_transform():
    """Orthonormal columns: the bases are the codecs' own, up to the tiny error of the MP3 filterbank."""
    for transform in lapped_transforms():
        columns = transform.basis[:, : transform.basis.shape[1] // transform.shapes]
        gram = columns.T @ columns
        assert np.abs(gram - np.eye(len(gram))).max() < 1e-4


def test_an_untouched_sound_has_no_grid(sound):
    assert seen_in(sound) == {}


def test_a_sound_that_was_mp3_moves_its_grid_along(mp3):
    first, second = (peak_of(mp3[start : start + EXCERPT_SAMPLES]) for start in (2_000, 2_100))
    assert first.codec == second.codec == "mp3"
    assert (first.offset_samples - second.offset_samples) % 576 == 100
    assert min(first.z, second.z) > 20


def test_a_sound_that_was_aac(sound):
    aac = rounded(through("adts", "aac", sound, 32_000))[1_500:]
    lossy = seen_in(aac)["once_lossy"]
    assert "AAC" in lossy.seen
    assert lossy.strength == "notable"


def test_its_own_grid_is_no_observation(mp3):
    assert "once_lossy" in seen_in(mp3)
    assert seen_in(mp3, codec="mp3", bits_per_sample=None) == {}
    assert "second_grid" in seen_in(mp3, codec="opus", bits_per_sample=None)


def test_a_cut_makes_the_grid_jump(mp3):
    cut = np.concatenate([mp3[:30_000], mp3[30_333:]])
    change = seen_in(cut)["grid_change"]
    assert any(segment.start_s <= 30_000 / RATE_HZ <= segment.end_s for segment in change.segments)
    assert "grid_change" not in seen_in(mp3)


def test_resampling_erases_the_grid(mp3):
    assert seen_in(rounded(resample(mp3, 16_000, 15_000))) == {}


def test_offsets_are_compared_around_the_hop():
    assert same_grid(Peak("mp3", 575, 20, 0.1), Peak("mp3", 1, 20, 0.1))
    assert not same_grid(Peak("mp3", 100, 20, 0.1), Peak("mp3", 110, 20, 0.1))
    assert not same_grid(Peak("mp3", 100, 20, 0.1), Peak("aac", 100, 20, 0.1))


def test_long_files_are_thinned_evenly():
    check = CodecGrid()
    noise = np.zeros((1, 100 * EXCERPT_SAMPLES), np.float32)
    check.hear(noise, RATE_HZ)
    numbers = sorted(check._excerpts)
    assert len(numbers) <= 48
    assert len(set(np.diff(numbers).tolist())) == 1
    assert check.counts() == {}, "silence has no grid, and is not looked at"
