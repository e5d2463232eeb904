"""Sentences for the teacher voices to read: a closed domain, open text, and a hand-written set only for measuring.

The domain serves where a small language model should speak well (and be measured with a domain language model);
the open sentences bring in thousands of words, so that sounds are learned in all their contexts.
"""

import re
from collections.abc import Callable, Iterator

import numpy as np

from ...core.errors import UsageError
from .domain_text import SLOTS, TEMPLATES
from .free_text import FREE_TEXT
from .open_text import OPEN_TEMPLATES, open_slots

__all__ = ["FREE_TEXT", "HELD_OUT", "domain_sentences", "domain_split", "open_sentences"]

HELD_OUT = 300
"""Domain sentences that are never trained on."""
_MAX_TRIES_PER_SENTENCE = 50
_SLOT = re.compile(r"\{(\w+)\}")


def domain_sentences(n: int, seed: int) -> list[str]:
    """`n` distinct sentences of 4 to 16 words over the closed vocabulary; a shorter list is a prefix of a longer one.

    Raises `UsageError` when the templates do not give that many.
    """
    rng = np.random.default_rng(seed)

    def draw(slot: str) -> str:
        return SLOTS[slot][rng.integers(len(SLOTS[slot]))]

    return _distinct(n, TEMPLATES, draw, rng)


def domain_split(seed: int, n_train: int = 4000) -> tuple[list[str], list[str]]:
    """Training sentences and `HELD_OUT` others of the domain; the held-out ones do not depend on `n_train`."""
    sentences = domain_sentences(HELD_OUT + n_train, seed)
    return sentences[HELD_OUT:], sentences[:HELD_OUT]


def open_sentences(n: int, seed: int) -> list[str]:
    """`n` distinct sentences over some ten thousand words; every word of a class is used before one comes again.

    Raises `UsageError` when the templates do not give that many.
    """
    rng = np.random.default_rng(seed)
    decks = {slot: _deck(words, rng) for slot, words in open_slots().items()}
    return _distinct(n, OPEN_TEMPLATES, lambda slot: next(decks[slot]), rng)


def _distinct(n: int, templates: tuple[str, ...], draw: Callable[[str], str], rng: np.random.Generator) -> list[str]:
    found: dict[str, None] = {}
    for _ in range(n * _MAX_TRIES_PER_SENTENCE):
        if len(found) == n:
            break
        found[_filled(templates[rng.integers(len(templates))], draw)] = None
    if len(found) < n:
        raise UsageError(f"the templates give only about {len(found)} distinct sentences, not {n}; ask for fewer")
    return list(found)


def _filled(template: str, draw: Callable[[str], str]) -> str:
    """The template with each slot drawn anew; no entry twice in a sentence, except digits of a number."""
    taken: set[str] = set()

    def fill(match: re.Match[str]) -> str:
        word = draw(match[1])
        while word in taken and match[1] != "digit":
            word = draw(match[1])
        taken.add(word)
        return word

    sentence = _SLOT.sub(fill, template)
    return _with_articles(sentence[0].upper() + sentence[1:])


def _with_articles(sentence: str) -> str:
    """`a` becomes `an` before a vowel letter."""
    return re.sub(r"\b([Aa]) (?=[aeioAEIO])", r"\1n ", sentence)


def _deck(words: tuple[str, ...], rng: np.random.Generator) -> Iterator[str]:
    """The words shuffled, again and again, without end."""
    while True:
        for index in rng.permutation(len(words)):
            yield words[index]
