"""Windows: cover the speech, keep to the clip, skip the silence."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covoguard.core.records import Segment
from covoguard.detect.windows import (
    CROP_HOP_S,
    CROP_S,
    CROP_SAMPLES,
    HOP_S,
    MARGIN_S,
    MIN_WINDOW_S,
    WINDOW_S,
    crop_windows,
    fill_crop,
    pool,
    speech_windows,
)


@st.composite
def clips(draw):
    """Sorted, separate speech regions in a clip."""
    edges = sorted(draw(st.lists(st.floats(0, 60), min_size=2, max_size=16, unique=True)))
    regions = [Segment(a, b) for a, b in zip(edges[::2], edges[1::2], strict=False)]
    return regions, edges[-1] + draw(st.floats(0, 5))


def test_short_speech_is_one_window_with_margins():
    assert speech_windows([Segment(1.0, 3.0)], 10.0) == [Segment(1.0 - MARGIN_S, 3.0 + MARGIN_S)]


def test_long_speech_is_covered_every_hop_to_the_end():
    windows = speech_windows([Segment(0.0, 11.0)], 11.0)
    assert [window.start_s for window in windows] == [0.0, HOP_S, 2 * HOP_S, 3 * HOP_S, 11.0 - WINDOW_S]
    assert all(window.duration_s == WINDOW_S for window in windows)


def test_windows_without_enough_speech_are_left_out():
    windows = speech_windows([Segment(0.0, 4.0), Segment(30.0, 34.0)], 40.0)
    assert all(window.end_s <= 5.0 or window.start_s >= 29.0 for window in windows)
    assert {window.start_s < 10 for window in windows} == {True, False}


def test_scattered_words_still_give_the_richest_window():
    windows = speech_windows([Segment(0.0, 0.4), Segment(20.0, 20.7)], 30.0)
    assert windows == [Segment(20.0 - MARGIN_S, 20.7 + MARGIN_S)]


def test_nothing_to_score_gives_no_window():
    assert speech_windows([], 5.0) == []
    assert speech_windows([Segment(0.0, 0.01)], 0.01) == []


@given(clips())
def test_windows_stay_inside_and_touch_speech(clip):
    regions, duration_s = clip
    for window in speech_windows(regions, duration_s):
        assert 0.0 <= window.start_s < window.end_s <= duration_s
        assert MIN_WINDOW_S <= window.duration_s <= WINDOW_S + 1e-9
        assert any(region.start_s < window.end_s and region.end_s > window.start_s for region in regions)


@given(st.lists(st.floats(-50, 50), min_size=1))
def test_pooling_stays_within_its_windows(scores):
    assert min(scores) - 1e-9 <= pool(scores) <= max(scores) + 1e-9
    assert pool(scores) == pool(scores[::-1])


# --- crops of the length that networks were trained on --------------------------------------------------------


def test_crops_cover_the_stretch_every_half_crop_and_are_not_trimmed():
    windows = crop_windows([Segment(1.0, 3.0), Segment(7.0, 9.0)], 20.0)
    start_s, end_s = 1.0 - MARGIN_S, 9.0 + MARGIN_S
    starts = [start_s, start_s + CROP_HOP_S, start_s + 2 * CROP_HOP_S, end_s - CROP_S]
    # the second holds 0.1 s of the first region and nothing of the other
    assert windows == [Segment(starts[k], starts[k] + CROP_S) for k in (0, 2, 3)]


def test_a_short_stretch_is_one_crop_and_too_short_a_one_none():
    assert crop_windows([Segment(1.0, 2.0)], 20.0) == [Segment(1.0 - MARGIN_S, 2.0 + MARGIN_S)]
    assert crop_windows([Segment(0.0, 0.3)], 0.3) == []
    assert crop_windows([], 20.0) == []


@given(clips())
def test_crops_stay_inside_and_touch_speech(clip):
    regions, duration_s = clip
    for window in crop_windows(regions, duration_s):
        assert 0 <= window.start_s < window.end_s <= duration_s
        assert window.duration_s + 1e-9 >= MIN_WINDOW_S
        assert window.duration_s <= CROP_S + 1e-9
        assert any(region.start_s < window.end_s and region.end_s > window.start_s for region in regions)


@pytest.mark.parametrize("length", [1, 20_000, CROP_SAMPLES - 1, CROP_SAMPLES, CROP_SAMPLES + 1, 3 * CROP_SAMPLES])
def test_a_crop_is_filled_by_repetition_or_cut(length):
    samples = np.arange(length, dtype=np.float32)
    np.testing.assert_array_equal(fill_crop(samples), samples[np.arange(CROP_SAMPLES) % length])
