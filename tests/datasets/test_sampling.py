"""Batches: the asked shares of classes, families, pools, matches and pairs, and the same ones again."""

from collections import Counter

import numpy as np
import pytest

from covoguard.core.errors import UsageError
from covoguard.datasets.sampling import Sampler, SamplingRecipe, Traits

SIZE = 32
GENUINE = [Traits(False, source=source) for source, count in (("A", 64), ("B", 16), ("C", 4)) for _ in range(count)]
SPOOFS = [
    Traits(True, family=family, source=source)
    for family, source, count in (("X", "A", 100), ("Y", "A", 25), ("Z", "B", 4))
    for _ in range(count)
]
COPIES = [Traits(True, f"method {place % 2}", GENUINE[place].source, place, True) for place in range(0, 84, 2)]
TRAITS = [*GENUINE, *SPOOFS, *COPIES]


def drawn(recipe, count=200, **numbers):
    numbers = {"seed": 1, "epoch": 0, "rank": 0} | numbers
    return list(Sampler(TRAITS, recipe).batches(count, SIZE, **numbers))


def rates(values):
    counts = Counter(values)
    return {key: count / sum(counts.values()) for key, count in counts.items()}


def test_classes_are_even_in_every_batch_and_an_odd_one_goes_to_either():
    for draw in drawn(SamplingRecipe()):
        assert sum(TRAITS[row].is_spoof for row in draw.rows) == SIZE // 2
    sampler = Sampler(TRAITS, SamplingRecipe())
    draws = [sampler.batch(7, seed=0, epoch=0, rank=0, step=step) for step in range(60)]
    odd = [sum(TRAITS[row].is_spoof for row in draw.rows) for draw in draws]
    assert set(odd) == {3, 4}


@pytest.mark.parametrize(
    ("exponent", "expected"),
    [
        (0.0, {"X": 100 / 129, "Y": 25 / 129, "Z": 4 / 129}),
        (0.5, {"X": 10 / 17, "Y": 5 / 17, "Z": 2 / 17}),
        (1.0, {"X": 1 / 3, "Y": 1 / 3, "Z": 1 / 3}),
    ],
)
def test_families_are_evened_out_by_the_exponent(exponent, expected):
    draws = drawn(SamplingRecipe(family_exponent=exponent, source_exponent=0.0))
    families = rates(TRAITS[row].family for draw in draws for row in draw.rows if TRAITS[row].is_spoof)
    assert families == pytest.approx(expected, abs=0.03)


def pools_of(draws, is_spoof):
    return rates(TRAITS[row].source for draw in draws for row in draw.rows if TRAITS[row].is_spoof == is_spoof)


def test_voice_pools_of_genuine_clips_are_evened_out():
    draws = drawn(SamplingRecipe(family_exponent=0.0, source_exponent=1.0))
    assert pools_of(draws, False) == pytest.approx({"A": 1 / 3, "B": 1 / 3, "C": 1 / 3}, abs=0.03)
    assert pools_of(draws, True) == pytest.approx({"A": 125 / 129, "B": 4 / 129}, abs=0.03)


@pytest.mark.parametrize(
    ("degree", "expected"),
    [
        (0.0, {"A": 8 / 14, "B": 4 / 14, "C": 2 / 14}),
        (0.5, {"A": 0.5 * (8 / 14 + 15 / 17), "B": 4 / 14, "C": 0.0}),
        (1.0, {"A": 15 / 17, "B": 4 / 14, "C": 0.0}),
    ],
)
def test_genuine_speech_of_a_pool_is_drawn_as_often_as_its_fakes(degree, expected):
    draws = drawn(SamplingRecipe(source_matched=degree))
    total = sum(expected.values())
    found = pools_of(draws, False)
    assert [found.get(pool, 0.0) for pool in "ABC"] == pytest.approx([expected[p] / total for p in "ABC"], abs=0.03)
    assert pools_of(draws, True) == pytest.approx({"A": 15 / 17, "B": 2 / 17}, abs=0.03)


def test_pools_without_fakes_give_way_and_keep_their_proportions():
    traits = [Traits(False, source=s) for s in "A" * 10 + "B" * 20 + "C" * 60 + "D" * 30]
    traits += [Traits(True, source=s) for s in "A" * 40 + "E" * 60]
    sampler = Sampler(traits, SamplingRecipe(source_exponent=0.0, source_matched=1.0))
    found = rates(
        traits[row].source
        for draw in sampler.batches(300, SIZE, seed=2, epoch=0, rank=0)
        for row in draw.rows
        if not traits[row].is_spoof
    )
    left = 0.6 / 110
    assert found == pytest.approx({"A": 0.4, "B": 20 * left, "C": 60 * left, "D": 30 * left}, abs=0.03)


def test_copies_come_only_beside_their_recordings_in_the_asked_share():
    for draw in drawn(SamplingRecipe(paired=0.5), 50):
        inside = draw.pair >= 0
        assert inside.sum() == SIZE // 2
        assert (np.bincount(draw.pair[inside]) == 2).all()
        for number in range(SIZE // 4):
            genuine, copy = draw.rows[draw.pair == number]
            assert TRAITS[copy].copy_of == genuine
        assert not [row for row in draw.rows[~inside] if TRAITS[row].copy_of is not None]
    assert not [row for draw in drawn(SamplingRecipe(), 20) for row in draw.rows if TRAITS[row].copy_of is not None]


def test_the_same_numbers_give_the_same_batches_in_any_order_and_others_give_others():
    recipe = SamplingRecipe(source_matched=0.25, paired=0.25)
    sampler = Sampler(TRAITS, recipe)
    first = drawn(recipe, 5)
    for step in (3, 0, 4):
        again = sampler.batch(SIZE, seed=1, epoch=0, rank=0, step=step)
        assert np.array_equal(again.rows, first[step].rows)
        assert np.array_equal(again.pair, first[step].pair)
    for other in ({"seed": 2}, {"epoch": 1}, {"rank": 1}):
        assert not np.array_equal(drawn(recipe, 1, **other)[0].rows, first[0].rows)


@pytest.mark.parametrize(
    ("traits", "recipe", "message"),
    [
        (GENUINE, SamplingRecipe(), "no spoof clip"),
        ([*GENUINE, *COPIES], SamplingRecipe(), "no spoof clip"),
        (SPOOFS, SamplingRecipe(), "no bona fide clip"),
        ([*GENUINE, *SPOOFS], SamplingRecipe(paired=0.1), "no clip is a copy"),
        ([Traits(False), Traits(True)], SamplingRecipe(source_matched=0.1), "no source has"),
    ],
)
def test_what_cannot_be_drawn_is_refused(traits, recipe, message):
    with pytest.raises(UsageError, match=message):
        Sampler(traits, recipe)
