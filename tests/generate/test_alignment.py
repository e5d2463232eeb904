"""Front-end phones get flite's times, whatever the two lists do not agree on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covoguard.generate.training.alignment import phone_ends_s


def times(n):
    return [0.1 * (k + 1) for k in range(n)]


def test_the_same_phones_take_the_same_times():
    spoken = ["pau", "hh", "ax", "l", "ow", "pau"]
    assert phone_ends_s(["pau", "HH", "AH", "L", "OW", "pau."], spoken, times(6)) == pytest.approx(times(6))


def test_a_phone_that_was_not_spoken_takes_no_time():
    ends = phone_ends_s(["pau", "K", "AE", "T", "S"], ["pau", "k", "ae", "s"], times(4))
    assert ends == pytest.approx([0.1, 0.2, 0.3, 0.3, 0.4])


def test_a_phone_too_many_is_added_to_the_one_before():
    ends = phone_ends_s(["pau", "AE", "S"], ["pau", "ae", "t", "s"], times(4))
    assert ends == pytest.approx([0.1, 0.3, 0.4])


def test_a_pause_is_never_taken_for_a_phone():
    silent = phone_ends_s(["pau", "M", "IY", "pau", "T", "UW"], ["pau", "m", "iy", "t", "uw"], times(5))
    assert silent == pytest.approx([0.1, 0.2, 0.3, 0.3, 0.4, 0.5])
    paused = phone_ends_s(["pau", "M", "IY", "T", "UW"], ["pau", "m", "iy", "pau", "t", "uw"], times(6))
    assert paused == pytest.approx([0.1, 0.2, 0.4, 0.5, 0.6])


def test_a_vowel_stands_for_another_vowel_sooner_than_for_a_consonant():
    ends = phone_ends_s(["pau", "B", "IH", "N"], ["pau", "b", "eh", "n"], times(4))
    assert ends == pytest.approx(times(4))


@given(
    symbols=st.lists(st.sampled_from(["pau", "pau.", "AH", "T", "S", "IY", "M"]), min_size=1, max_size=12),
    spoken=st.lists(st.sampled_from(["pau", "ax", "t", "s", "iy", "m", "dx"]), max_size=12),
)
@settings(max_examples=60)
def test_times_never_run_backwards_and_end_with_the_sound(symbols, spoken):
    ends = phone_ends_s(symbols, spoken, times(len(spoken)))
    assert ends.shape == (len(symbols),)
    assert (np.diff(ends) >= 0).all()
    assert ends[-1] == pytest.approx(0.1 * len(spoken))
