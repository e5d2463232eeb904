"""Every offender is named: key, value, parts, clips."""

import pytest

from covoguard.core.errors import UsageError
from covoguard.core.records import Row
from covoguard.datasets.leaks import count_leaks, find_leaks


def clip(name, split, label="spoof", **values):
    return Row(name, f"{name}.wav", label, split=split, **values)


ROWS = [
    clip("a", "0", family="F", speaker="x", source="S", text="Good morning.", sha256="11"),
    clip("b", "1", family="F", speaker="y", source="T", text="good  MORNING", sha256="22"),
    clip("c", "1", "bonafide", speaker="x", source="T", text="Other words", sha256="11"),
    clip("d", "0", family="H", speaker="z", source="S", text="More words", sha256="33"),
    clip("e", "2", generator="H", source="U", text=" - ", sha256="44"),
]


def test_each_key_names_value_parts_and_clips():
    found = {(leak.key, leak.value): (leak.parts, leak.clips) for leak in find_leaks(ROWS)}
    assert found == {
        ("family", "F"): (("0", "1"), ("a", "b")),
        ("family", "H"): (("0", "2"), ("d", "e")),
        ("speaker", "x"): (("0", "1"), ("a", "c")),
        ("text", "good morning"): (("0", "1"), ("a", "b")),
        ("content", "11"): (("0", "1"), ("a", "c")),
    }


def test_only_asked_keys_and_no_value_that_may_be_spread():
    assert {leak.key for leak in find_leaks(ROWS, keys=["speaker"])} == {"speaker", "content"}
    assert [leak.key for leak in find_leaks(ROWS, keys=["speaker"], spread=["speaker=x"])] == ["content"]
    with pytest.raises(UsageError, match="voice"):
        find_leaks(ROWS, keys=["voice"])


def test_near_duplicates_are_joined_and_named_once_where_the_samples_are_the_same_too():
    near = [(0, 3), (3, 4), (0, 2)]
    leaks = [leak for leak in find_leaks(ROWS, near=near) if leak.key == "near_duplicate"]
    assert [(leak.value, leak.parts, leak.clips) for leak in leaks] == [("a", ("0", "1", "2"), ("a", "c", "d", "e"))]
    assert [leak.key for leak in find_leaks(ROWS, keys=["source"], near=[(0, 2)])] == ["content"]


def test_measured_contents_come_before_those_of_the_manifest():
    leaks = find_leaks(ROWS, keys=["source"], contents=[None, None, None, "same", "same"])
    assert [(leak.key, leak.clips) for leak in leaks] == [("content", ("d", "e"))]


def test_clips_without_a_part_leak_nothing():
    rows = [Row("a", "a.wav", "spoof", speaker="x"), clip("b", "0", speaker="x")]
    assert find_leaks(rows) == []


def test_counts_are_of_values_and_of_distinct_clips():
    counts = {count.key: (count.values, count.clips) for count in count_leaks(find_leaks(ROWS))}
    assert counts == {"family": (2, 4), "speaker": (1, 2), "text": (1, 2), "content": (1, 2)}
    assert count_leaks([]) == []
