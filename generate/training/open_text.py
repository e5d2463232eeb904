"""Templates and the vocabulary of the open sentences: thousands of common English words, sorted by part of speech.

The words are those that the dictionary and the generic language model of pocketsphinx both know. A word's part of
speech is read off that model: the class after whose typical neighbours ("the", "many", "to", "very", "he") it gains
the most probability over its own frequency. That is rough, and good enough for sentences to be read aloud.
"""

import re
from typing import Any

import numpy as np

from ..pocket.text.dictionary import cmu_dictionary

VOCABULARY_WORDS = 12_000
_CLOSED_CLASS_WORDS = 150
"""The most frequent words are mostly function words, which the templates hold already."""
_MIN_MARGIN = 0.3
"""Standard scores by which a word must favour its class; below, its class is a guess."""

_NEIGHBOURS: dict[str, tuple[str, ...]] = {
    "noun": ("the", "his", "this"),
    "plural": ("many", "these", "those"),
    "verb": ("to", "will", "can"),
    "adjective": ("very", "so", "too"),
    "past": ("he", "she", "they"),
}
_UNSUITED = re.compile(
    r"fuck|shit|cunt|cock|bitch|rape|nigg|fag|slut|whore|porn|penis|vagin|dick|piss|bastard|jackass|nazi|^cum|^sex|hitler"
)

OPEN_TEMPLATES: tuple[str, ...] = (
    "The {noun} of the {noun} was {adjective}.",
    "{name} {past} the {adjective} {noun} {tail}.",
    "We will {verb} the {plural} and the {plural} {tail}.",
    "Why did the {plural} {verb} the {noun}?",
    "A {adjective} {noun} {past} near the {noun}.",
    "{name} wants to {verb}, but the {noun} is too {adjective}.",
    "These {plural} are {adjective}, and those {plural} are not.",
    "They {past} many {plural} {preposition} the {noun}.",
    "Is the {noun} {adjective} or {adjective}?",
    "Every {noun} needs a {adjective} {noun}.",
    "I never {past} so many {adjective} {plural} {tail}.",
    "{preposition_first} the {noun}, {name} {past} a {noun}.",
    "You can {verb} your {plural} without the {noun}.",
    "She said the {plural} were very {adjective}: {noun}, {noun} and {noun}.",
    "If you {verb} the {noun}, the {plural} will {verb}.",
    "There were no {plural} {preposition} the {adjective} {noun}.",
    "Who {past} the {noun} {preposition} our {plural}?",
    "{name} and {name} {past} their {adjective} {plural}.",
    "It is {adjective} to {verb} and {verb} {tail}.",
    "Some {plural} {verb}; other {plural} never {verb}.",
    "Could you {verb} this {adjective} {noun} for me?",
    "What a {adjective} {noun}!",
    "How {adjective} is the {noun} {preposition} the {noun}?",
    "His {noun} was {adjective}, {adjective} and {adjective}.",
    "{plural_first} and {plural} rarely {verb} {preposition} {plural}.",
    "Nobody {past} that the {noun} was {adjective}.",
)

_CLOSED: dict[str, str] = {
    "name": "Adam Agnes Albert Amanda Andrew Angela Anthony Audrey Barbara Benjamin Bernard Beth Brandon Brenda Carl "
    "Caroline Catherine Charles Charlotte Chloe Christina Claire Craig Cynthia Deborah Derek Diana Donald Dorothy "
    "Douglas Edgar Edith Edward Elizabeth Eric Ethan Eugene Felix Fiona Frances Frank Gabriel Gerald Gilbert Gloria "
    "Gordon Grace Gregory Hannah Harold Harriet Henry Howard Hugh Ian Irene Isabel Ivan Jacob Janet Jasper Jeffrey "
    "Jennifer Jeremy Jessica Jonathan Joseph Joyce Judith Justin Karen Keith Kenneth Kimberly Lawrence Leonard Leslie "
    "Lewis Linda Lloyd Louise Lucy Luke Margaret Marcus Marjorie Matthew Megan Michael Miriam Monica Murray Nathan "
    "Naomi Nicholas Nora Norman Olga Oscar Owen Pamela Patricia Patrick Paula Philip Priscilla Ralph Raymond Rebecca "
    "Richard Rita Roger Rosemary Russell Ruth Samuel Sandra Scott Sharon Shirley Sophia Stanley Stephanie Stewart "
    "Suzanne Sylvia Teresa Theodore Timothy Tracy Ursula Valerie Vanessa Vernon Veronica Vincent Virginia Vivian "
    "Walter Warren Wendy Wesley William Yvonne Zachary Zoe",
    "preposition": "above across after against along among around before behind below beneath beside between beyond "
    "by during for from in inside into near of off on outside over past through toward under until upon with within "
    "without",
    "tail": "yesterday today again already soon anyway twice there together carefully quickly quietly sometimes "
    "outside_the_house on_the_way_home in_the_end at_the_time by_mistake for_a_while of_course just_in_time "
    "at_short_notice as_usual after_all before_noon",
}


def open_slots() -> dict[str, tuple[str, ...]]:
    """Words of every slot of `OPEN_TEMPLATES`, sorted; the same for the same version of pocketsphinx."""
    slots = {slot: tuple(entry.replace("_", " ") for entry in words.split()) for slot, words in _CLOSED.items()}
    slots |= _words_by_class()
    slots["preposition_first"] = tuple(word.capitalize() for word in slots["preposition"])
    slots["plural_first"] = tuple(word.capitalize() for word in slots["plural"])
    return slots


def _words_by_class() -> dict[str, tuple[str, ...]]:
    """The common words of the dictionary, by the class whose neighbours predict them best."""
    from pocketsphinx import NGramModel, get_model_path

    model = NGramModel.readfile(get_model_path("en-us/en-us.lm.bin"))
    words = _common_words(model)
    gain = np.empty((len(words), len(_NEIGHBOURS)))
    for row, word in enumerate(words):
        own = model.prob([word])
        for column, neighbours in enumerate(_NEIGHBOURS.values()):
            # the model takes the predicted word first, then its history
            gain[row, column] = np.mean([model.prob([word, neighbour]) for neighbour in neighbours]) - own
    score = (gain - gain.mean(axis=0)) / gain.std(axis=0)
    best, clear = score.argmax(axis=1), score.max(axis=1) > _MIN_MARGIN
    return {
        name: tuple(sorted(words[row] for row in np.flatnonzero((best == column) & clear)))
        for column, name in enumerate(_NEIGHBOURS)
    }


def _common_words(model: Any) -> list[str]:
    """The most frequent words of three letters or more, but for the very first."""
    frequency = {word: model.prob([word]) for word in cmu_dictionary().entries() if re.fullmatch("[a-z]{3,}", word)}
    ranked = sorted(frequency, key=lambda word: (-frequency[word], word))
    return [word for word in ranked[_CLOSED_CLASS_WORDS:VOCABULARY_WORDS] if not _UNSUITED.search(word)]
