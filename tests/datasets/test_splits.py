"""Splits keep apart what was asked, are even where they can be, and tell where they cannot."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covoguard.core.errors import UsageError
from covoguard.core.records import Row
from covoguard.datasets.groupkeys import GROUP_KEYS, key_values, normalised_text
from covoguard.datasets.leaks import find_leaks
from covoguard.datasets.splits import (
    fold_shares,
    groups_of,
    leave_one_family_out,
    leave_one_source_out,
    split_rows,
)


def clip(number, label="spoof", **values):
    return Row(f"c{number}", f"{number}.wav", label, **values)


def with_parts(rows, split):
    return [Row(**{**row.__dict__, "split": part}) for row, part in zip(rows, split.parts, strict=True)]


def values_of(rows, places, key):
    return {getattr(rows[i], key) for i in places} - {None}


VALUES = st.one_of(st.none(), st.sampled_from("abcdefgh"))
ROWS = st.lists(st.tuples(st.booleans(), VALUES, VALUES, VALUES, VALUES), min_size=6, max_size=40)


@settings(max_examples=40)
@given(ROWS, st.sets(st.sampled_from(GROUP_KEYS), min_size=1), st.integers(0, 5))
def test_no_asked_value_stands_in_two_parts_whatever_the_rows_are(drawn, keys, seed):
    rows = [
        clip(n, "spoof" if spoof else "bonafide", family=a, speaker=b, source=c, text=d)
        for n, (spoof, a, b, c, d) in enumerate(drawn)
    ]
    keys = sorted(keys)
    groups = groups_of(rows, keys)
    if groups.max() + 1 < 3:
        with pytest.raises(UsageError, match="groups"):
            split_rows(rows, keys, fold_shares(3), seed=seed)
        return
    split = split_rows(rows, keys, fold_shares(3), seed=seed)
    assert [leak for leak in find_leaks(with_parts(rows, split), keys=keys) if leak.key != "content"] == []
    assert split == split_rows(rows, keys, fold_shares(3), seed=seed)
    assert sum(part.bonafide + part.spoof for part in split.report.parts) == len(rows)


def test_groups_join_through_other_clips():
    rows = [
        clip(0, family="A", speaker="x"),
        clip(1, family="B", speaker="x"),
        clip(2, family="B", speaker="y"),
        clip(3, "bonafide", speaker="y"),
        clip(4, family="C"),
        clip(5, "bonafide"),
        clip(6, "bonafide"),
    ]
    assert groups_of(rows, ("family", "speaker")).tolist() == [0, 0, 0, 0, 1, 2, 3]
    assert groups_of(rows, ("family",)).tolist() == [0, 1, 1, 2, 3, 4, 5]
    assert groups_of(rows, ("family", "speaker"), ["speaker=x"]).tolist() == [0, 1, 1, 1, 2, 3, 4]


def test_both_labels_are_even_by_clips_and_by_time():
    rng = np.random.default_rng(3)
    rows = [
        clip(n, "spoof" if n % 3 else "bonafide", speaker=str(rng.integers(150)), duration_s=float(rng.uniform(1, 9)))
        for n in range(3000)
    ]
    report = split_rows(rows, ("speaker",), {"train": 8, "dev": 1, "test": 1}, seed=1).report
    assert (report.balanced_by, report.oversized, report.lacking) == ("clips and seconds", (), ())
    for name in ("bonafide", "spoof", "bonafide_s", "spoof_s"):
        shares = np.array([getattr(part, name) for part in report.parts])
        assert shares / shares.sum() == pytest.approx([0.8, 0.1, 0.1], abs=0.012)


def test_the_seed_chooses_among_equal_splits():
    rows = [clip(n, "spoof" if n % 2 else "bonafide", speaker=str(n // 2)) for n in range(60)]
    splits = {split_rows(rows, ("speaker",), fold_shares(3), seed=seed).parts for seed in range(4)}
    assert len(splits) > 1


def test_a_group_too_large_is_kept_whole_and_told_with_what_glues_it():
    glued = [clip(n, family=f"F{n // 4}", speaker="LJ" if n % 4 == 0 else f"s{n}") for n in range(60)]
    others = [clip(100 + n, "bonafide", speaker=f"p{n}") for n in range(40)]
    apart = [clip(200 + n, family="G", speaker="z") for n in range(4)]
    split = split_rows([*glued, *others, *apart], ("family", "speaker"), fold_shares(4), seed=0)
    assert len({*split.parts[:60]}) == 1
    (group,) = split.report.oversized
    assert (group.part, group.clips, group.share) == (split.parts[0], 60, round(60 / 64, 4))
    assert (group.glue[0].key, group.glue[0].value, group.glue[0].joins) == ("speaker", "LJ", 15)
    assert dict(group.share_without) == {"family": round(15 / 64, 4), "speaker": round(4 / 64, 4)}
    assert split.report.lacking
    even = split_rows([*glued, *others, *apart], ("family", "speaker"), fold_shares(4), seed=0, spread=["speaker=LJ"])
    assert even.report.oversized == ()
    assert even.report.lacking == ()


@pytest.mark.parametrize(
    ("keys", "shares", "spread", "word"),
    [
        (("voice",), {"0": 1, "1": 1}, (), "voice"),
        ((), {"0": 1, "1": 1}, (), "at least one key"),
        (("speaker",), {"0": 1}, (), "two parts"),
        (("speaker",), {"0": 1, "1": 0}, (), "above 0"),
        (("speaker",), {"0": 1, "1": 1}, ("LJ",), "KEY=VALUE"),
        (("speaker",), {"0": 1, "1": 1}, (), "too few"),
    ],
)
def test_what_cannot_be_split_is_refused(keys, shares, spread, word):
    rows = [clip(n, speaker="one") for n in range(9)]
    with pytest.raises(UsageError, match=word):
        split_rows(rows, keys, shares, seed=0, spread=spread)


def test_no_clips_are_too_few():
    with pytest.raises(UsageError, match="0 groups"):
        split_rows([], ("speaker",), fold_shares(2), seed=0)


def test_texts_compare_as_words_and_a_fake_without_family_by_its_generator():
    assert normalised_text("“Hello,  WORLD!”\n") == normalised_text("hello world") == "hello world"
    assert normalised_text("Straße…") == normalised_text("STRASSE")
    rows = [clip(0, generator="G"), clip(1, family="F", generator="G"), clip(2, "bonafide", generator="G")]
    assert key_values(rows, "family") == ["G", "F", None]


POOLS = [
    clip(0, "bonafide", speaker="p1", source="VCTK"),
    clip(1, "bonafide", speaker="p2", source="VCTK"),
    clip(2, family="A", speaker="p1", source="VCTK"),
    clip(3, family="B", speaker="p2", source="VCTK"),
    clip(4, family="B", speaker="LJ", source="LJSpeech"),
    clip(5, "bonafide", speaker="LJ", source="LJSpeech"),
    clip(6, "bonafide", speaker="p1", source="somewhere else"),
    clip(7, family="C", source="other"),
    clip(8, "bonafide", source="other"),
    clip(9, family="D"),
]


def test_leaving_a_family_out_leaves_its_voices_out_of_training():
    rounds = {held.name: held for held in leave_one_family_out(POOLS)}
    assert list(rounds) == ["A", "B", "C", "D"]
    assert rounds["A"].test == (0, 1, 2, 6)
    assert rounds["A"].dropped == (3,)
    assert rounds["A"].train == (4, 5, 7, 8, 9)
    assert (rounds["D"].test, rounds["D"].dropped) == ((9,), ())


def test_leaving_a_source_out_leaves_its_voices_and_families_out_of_training():
    rounds = {held.name: held for held in leave_one_source_out(POOLS)}
    assert list(rounds) == ["LJSpeech", "VCTK", "other", "somewhere else"]
    assert rounds["VCTK"].test == (0, 1, 2, 3)
    assert rounds["VCTK"].dropped == (4, 6), "family B was heard in VCTK, and p1 speaks elsewhere too"
    assert rounds["VCTK"].train == (5, 7, 8, 9)


@settings(max_examples=40)
@given(ROWS)
def test_leave_one_out_rounds_divide_all_rows_and_share_no_voice(drawn):
    rows = [
        clip(n, "spoof" if spoof else "bonafide", family=a if spoof else None, speaker=b, source=c)
        for n, (spoof, a, b, c, _) in enumerate(drawn)
    ]
    for held in leave_one_family_out(rows):
        assert sorted(held.train + held.test + held.dropped) == list(range(len(rows)))
        fakes = [rows[i] for i in held.test if rows[i].family == held.name]
        assert fakes
        assert all(rows[i].family != held.name for i in held.train + held.dropped)
        assert values_of(rows, held.train, "speaker").isdisjoint({row.speaker for row in fakes})
        assert values_of(rows, held.train, "source").isdisjoint({row.source for row in fakes})
    for held in leave_one_source_out(rows):
        assert sorted(held.train + held.test + held.dropped) == list(range(len(rows)))
        assert {rows[i].source for i in held.test} == {held.name}
        for key in ("family", "speaker", "source"):
            assert values_of(rows, held.train, key).isdisjoint(values_of(rows, held.test, key))
