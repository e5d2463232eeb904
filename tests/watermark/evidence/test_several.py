import pytest

from covoguard.watermark.evidence.reading import MarkReading
from covoguard.watermark.evidence.several import combine_keys


def reading(log10_e):
    return MarkReading("absent", log10_p=min(0.0, -log10_e), log10_e=log10_e)


def test_the_mean_over_keys_decides_and_ascribes():
    both = combine_keys({"a": reading(9.0), "b": reading(-2.0)}, 1e-6)
    assert (both.status, both.keys) == ("present", ("a",))
    assert both.log10_p == pytest.approx(-9 + 0.30103)


def test_a_key_is_named_only_when_certain_among_all_that_were_tried():
    many = {f"k{index}": reading(-3.0) for index in range(99)} | {"best": reading(7.9)}
    assert combine_keys(many, 1e-6).status == "absent"
    assert combine_keys(many | {"best": reading(8.1)}, 1e-6).keys == ("best",)


def test_two_keys_in_one_sound_are_both_named_the_surer_first():
    assert combine_keys({"a": reading(8.0), "b": reading(300.0)}, 1e-6).keys == ("b", "a")


def test_keys_that_could_not_be_tried_do_not_count():
    missing = MarkReading("not_checked", "too_short")
    assert combine_keys({"a": missing}, 1e-6).status == "not_checked"
    assert combine_keys({}, 1e-6).log10_p is None
    assert combine_keys({"a": missing, "b": reading(6.1)}, 1e-6).keys == ("b",)
