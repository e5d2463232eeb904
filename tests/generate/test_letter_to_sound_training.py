import pytest
from hypothesis import given
from hypothesis import strategies as st

from covoguard.generate.pocket.text.dictionary import cmu_dictionary
from covoguard.generate.pocket.text.letter_to_sound import LetterToSound
from covoguard.generate.training.edit_distance import edit_distance
from covoguard.generate.training.letter_to_sound import accuracy, align, alignment_costs, spelt_as_said, split, trained


@pytest.fixture(scope="module")
def words():
    return spelt_as_said(cmu_dictionary().entries())


def test_the_bundled_model_is_small_and_right_on_words_that_it_never_saw(words, model_content):
    assert len(model_content) <= 300_000
    _, held_out = split(words)
    figures = accuracy(LetterToSound.from_bytes(model_content), dict(list(held_out.items())[::6]))
    assert figures["word_accuracy"] >= 0.6
    assert figures["phone_error_rate"] <= 0.1


def test_the_split_keeps_one_word_in_twenty_apart(words):
    train, held_out = split(words)
    assert not train.keys() & held_out.keys()
    assert len(held_out) == pytest.approx(len(words) / 20, rel=0.05)


def test_alignments_give_every_phone_to_a_letter_in_order(words):
    some = dict(list(words.items())[::200])
    costs = alignment_costs(some)
    for word, phones in some.items():
        pieces = align(word, phones, costs)
        assert len(pieces) == len(word)
        assert tuple(phone for piece in pieces for phone in piece) == phones
    assert align("a", ("B", "AA", "K"), costs) is None


def test_the_cheapest_alignment_is_taken():
    costs = {
        "b": {("B",): 0.1},
        "o": {("AA",): 0.5, ("AA", "K"): 3.0},
        "x": {("K", "S"): 0.2, ("S",): 2.0},
    }
    assert align("box", ("B", "AA", "K", "S"), costs) == [("B",), ("AA",), ("K", "S")]


def test_training_writes_a_model_that_reads_back_and_repeats(words, monkeypatch):
    monkeypatch.setattr("covoguard.generate.training.letter_to_sound._BATCH", 64)
    monkeypatch.setattr("covoguard.generate.training.letter_to_sound._MIN_CLASS_COUNT", 5)
    some = dict(list(words.items())[::400])
    content = trained(some, seed=1)
    assert content == trained(some, seed=1)
    assert accuracy(LetterToSound.from_bytes(content), some)["phone_error_rate"] < 0.4


@given(st.text("ab", max_size=8), st.text("ab", max_size=8), st.text("ab", max_size=8))
def test_edit_distance_is_a_distance(one, two, three):
    assert edit_distance(one, two) == edit_distance(two, one)
    assert (edit_distance(one, two) == 0) == (one == two)
    assert edit_distance(one, three) <= edit_distance(one, two) + edit_distance(two, three)
    assert edit_distance(one, "") == len(one)


def test_edit_distance_counts_each_kind_of_error():
    assert edit_distance(["a", "b", "c", "d"], ["a", "x", "c"]) == 2
