import string
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covoguard.core.errors import IntegrityError, UsageError
from covoguard.generate.pocket.text import numbers
from covoguard.generate.pocket.text.dictionary import Dictionary, cmu_dictionary
from covoguard.generate.pocket.text.front_end import MAX_PHONES, TextFrontEnd
from covoguard.generate.pocket.text.letter_to_sound import LetterToSound
from covoguard.generate.pocket.text.normalize import MAX_TEXT_CHARS
from covoguard.generate.pocket.text.symbols import PAUSE, PHONES, QUESTION, STOP

PAUSES = {PAUSE, STOP, QUESTION}
MODEL = "letter_to_sound.safetensors"


@pytest.fixture(scope="module")
def front_end(model_content):
    return TextFrontEnd(LetterToSound.from_bytes(model_content))


def words_of(front_end, text):
    return " ".join(front_end.phones_of(text).words)


# --- numbers -----------------------------------------------------------------------------------------------

VALUES = {word: value for value, word in enumerate(numbers._ONES)} | {
    word: 10 * value for value, word in enumerate(numbers._TENS) if word
}
SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}


def value_of(words):
    """The number that English number words name; written apart from the code under test."""
    total, group = 0, 0
    for word in words:
        if word in SCALES:
            total, group = total + group * SCALES[word], 0
        elif word == "hundred":
            group *= 100
        else:
            group += VALUES[word]
    return total + group


@given(st.integers(0, 10**numbers.MAX_DIGITS - 1))
def test_the_words_of_a_number_name_it(number):
    assert value_of(numbers.cardinal(str(number))) == number


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("1987 and 1905", "nineteen eighty seven and nineteen oh five"),
        ("2007, 2019, 1900, 2000", "two thousand seven twenty nineteen nineteen hundred two thousand"),
        ("the 1990s and 80s", "the nineteen nineties and eighties"),
        ("1st 2nd 3rd 12th 20th 21st 100th", "first second third twelfth twentieth twenty first one hundredth"),
        ("1,200 or 2.5% or .5", "one thousand two hundred or two point five percent or zero point five"),
        ("agent 007", "agent zero zero seven"),
        ("$85, $1.50, $0.99", "eighty five dollars one dollar and fifty cents ninety nine cents"),
        ("£3 million, €2.00, ¥500", "three million pounds two euros five hundred yen"),
        ("10:30, 10:05 and 9:00", "ten thirty ten oh five and nine o'clock"),
        ("2007\u20132012, 10 \u2013 20", "two thousand seven to twenty twelve ten to twenty"),
        ("-5°C", "minus five degrees celsius"),
        ("5 km, 1 kg, 5 mph", "five kilometers one kilogram five miles per hour"),
        ("No. 5, #6 and ½", "number five number six and a half"),
    ],
)
def test_numbers_are_written_out(front_end, written, said):
    assert words_of(front_end, written) == said


# --- words and pauses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Dr. Smith of 5 St. James St., etc.", "doctor smith of five saint james street et cetera"),
        ("e.g. at 10 a.m.", "for example at ten a. m."),
        ("J. K. Rowling", "j. k. rowling"),
        ("NASA and the XQZ", "nasa and the x. q. z."),
        ("The US said IT is", "the u. s. said i. t. is"),
        ("EVERYTHING IN CAPITALS IS IT", "everything in capitals is it"),
        ("O\u2019Neill\u2019s “dog”", "o'neill's dog"),
        ("Café naïve Straße", "cafe naive strasse"),
        ("well-known 4K & B2B", "well known four k and b two b"),
        ("mail a@example.org", "mail a at example dot org"),
        ("soft\u00adhyphen zero\u200bwidth", "softhyphen zerowidth"),
    ],
)
def test_words_are_written_as_they_are_said(front_end, written, said):
    assert words_of(front_end, written) == said


@pytest.mark.parametrize(
    ("written", "pauses"),
    [
        ("Hello", [STOP]),
        ("Hello!", [STOP]),
        ("Hello?!", [QUESTION]),
        ("Yes, hello: one; two (three) four.", [PAUSE, PAUSE, PAUSE, PAUSE, PAUSE, STOP]),
        ("Yes—hello \u2013 well - so", [PAUSE, PAUSE, PAUSE, STOP]),
        ("Who knows? I do.", [QUESTION, STOP]),
        ("... , hello,", [STOP]),
        ("one\n\ntwo", [STOP, STOP]),
        ("one\ntwo", [STOP]),
    ],
)
def test_pauses_follow_the_punctuation(front_end, written, pauses):
    assert [symbol for symbol in front_end.phones_of(written).symbols if symbol in PAUSES] == pauses


def test_the_sounds_of_a_sentence(front_end):
    utterance = front_end.phones_of("The apple, the dog?")
    assert " ".join(utterance.symbols) == "DH IY AE P AH L pau DH AH D AO G pau?"
    starts = [symbol for symbol, start in zip(utterance.symbols, utterance.word_start, strict=True) if start]
    assert starts == ["DH", "AE", "DH", "D"]
    assert [PHONES[index] for index in utterance.ids] == list(utterance.symbols)


def test_a_plural_or_possessive_of_a_known_word_follows_the_rule():
    dictionary = Dictionary(b"zorp Z AO R P\nzob Z AA B\nzish Z IH SH\n")
    said = TextFrontEnd(lambda word: pytest.fail(f"{word} was guessed"), dictionary)
    assert said.pronounce("zorp's")[-1:] == ("S",)
    assert said.pronounce("zobs")[-1:] == ("Z",)
    assert said.pronounce("zish's")[-2:] == ("IH", "Z")


def test_other_scripts_are_left_out_and_named(front_end):
    utterance = front_end.phones_of("Hello 你好 world ☃ 你")
    assert utterance.words == ("hello", "world")
    assert utterance.dropped == "你好☃"
    assert front_end.phones_of("Hello “world”…").dropped == ""


# --- bad and odd input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "clue"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ("...?!", "no Latin letter"),
        ("你好", "no Latin letter"),
        ("☃", "no Latin letter"),
        ("\u200b", "no Latin letter"),
        ("a\0b", r"U\+0000, place 2"),
        ("a\x1b[0m", r"U\+001B"),
        ("\ud800", r"U\+D800"),
        ("a" * (MAX_TEXT_CHARS + 1), "split it"),
        ("9" * MAX_TEXT_CHARS, "split it"),
        (b"hello", "bytes"),
        (None, "NoneType"),
    ],
)
def test_what_cannot_be_spoken_is_refused_with_advice(front_end, text, clue):
    with pytest.raises(UsageError, match=clue) as refused:
        front_end.phones_of(text)
    refused.value.message.encode()


@given(
    text=st.one_of(st.text(max_size=60), st.text(string.printable, max_size=60), st.text("a1.,'-$:/ I\n", max_size=60))
)
def test_any_text_is_refused_or_becomes_a_well_formed_utterance(front_end, text):
    try:
        utterance = front_end.phones_of(text)
    except UsageError:
        return
    assert set(utterance.symbols) <= set(PHONES)
    assert utterance.symbols[-1] in {STOP, QUESTION}
    assert utterance.symbols[0] not in PAUSES
    assert sum(utterance.word_start) == len(utterance.words) > 0
    at_pause = [symbol in PAUSES for symbol in utterance.symbols]
    assert not any(one and other for one, other in pairwise(at_pause))
    assert not any(pause and start for pause, start in zip(at_pause, utterance.word_start, strict=True))
    assert utterance == front_end.phones_of(text)


def test_composed_and_decomposed_accents_are_the_same(front_end):
    text = "Café Zoë déjà vu"
    assert front_end.phones_of(unicodedata.normalize("NFD", text)) == front_end.phones_of(text)


def test_the_longest_plain_text_is_spoken(front_end):
    assert 1000 < len(front_end.phones_of("It is a long day. " * 111).symbols) < MAX_PHONES
    assert front_end.phones_of("a" * MAX_TEXT_CHARS).words == ("a" * MAX_TEXT_CHARS,)


# --- letter to sound ---------------------------------------------------------------------------------------


def test_unknown_words_are_guessed_by_the_model(front_end):
    assert cmu_dictionary().phones("glimber") is None
    assert front_end.pronounce("glimber") == ("G", "L", "IH", "M", "B", "ER")


def test_a_damaged_model_is_refused(model_content):
    for content in (b"", b"\0" * 100, model_content[:-1000], model_content.replace(b"class_phones", b"class_phonem")):
        with pytest.raises(IntegrityError, match="install the model again"):
            LetterToSound.from_bytes(content)
