import re

import pytest

from covoguard.core.errors import UsageError
from covoguard.generate.pocket.text.dictionary import cmu_dictionary
from covoguard.generate.training.domain_text import SLOTS, TEMPLATES
from covoguard.generate.training.sentences import FREE_TEXT, HELD_OUT, domain_sentences, domain_split, open_sentences


def vocabulary(sentences):
    return {word for sentence in sentences for word in re.findall("[a-z']+", sentence.lower())}


@pytest.fixture(scope="module")
def open_set():
    return open_sentences(4000, seed=1)


def test_domain_words_are_few_and_all_in_the_dictionary():
    words = vocabulary([re.sub(r"\{\w+\}", " ", template) for template in TEMPLATES])
    words |= vocabulary(entry for entries in SLOTS.values() for entry in entries)
    assert 400 <= len(words) <= 600
    assert [word for word in words if cmu_dictionary().phones(word) is None] == []
    assert len(set(TEMPLATES)) >= 40


@pytest.mark.parametrize("make", [domain_sentences, open_sentences])
def test_sentences_are_distinct_repeatable_and_of_speakable_length(make):
    sentences = make(800, seed=3)
    assert len(set(sentences)) == 800
    assert sentences == make(800, seed=3)
    assert make(100, seed=3) == sentences[:100]
    assert make(100, seed=4) != sentences[:100]
    assert all(4 <= len(sentence.split()) <= 14 for sentence in sentences)
    assert all(re.fullmatch(r"[A-Z][A-Za-z',:; ]*[.?!]", sentence) for sentence in sentences)
    assert sum(sentence.endswith("?") for sentence in sentences) > 50


def test_held_out_sentences_are_never_trained_on():
    train, held_out = domain_split(5, n_train=1000)
    assert len(train) == 1000
    assert len(held_out) == HELD_OUT == 300
    assert not set(train) & set(held_out)
    assert domain_split(5, n_train=2000)[1] == held_out


def test_open_sentences_use_thousands_of_words_that_the_dictionary_lists(open_set):
    words = vocabulary(open_set)
    assert len(words) > 7000
    assert [word for word in words if cmu_dictionary().phones(word) is None] == []


def test_free_text_stands_apart_from_all_templates(open_set):
    assert len(set(FREE_TEXT)) == 50
    assert all(5 <= len(sentence.split()) <= 16 for sentence in FREE_TEXT)
    assert not set(FREE_TEXT) & (set(open_set) | set(domain_sentences(4000, seed=1)))


def test_asking_for_more_than_the_templates_hold_is_refused(monkeypatch):
    monkeypatch.setattr("covoguard.generate.training.sentences.TEMPLATES", ("It is {day} today.",))
    assert len(domain_sentences(7, seed=0)) == 7
    with pytest.raises(UsageError, match="about 7 distinct sentences, not 8"):
        domain_sentences(8, seed=0)
