"""Written English to words and pauses: numbers, dates, money, abbreviations, symbols, punctuation."""

import re
import unicodedata
from collections.abc import Callable, Iterator

from ....core.errors import UsageError
from . import numbers
from .symbols import PAUSE, QUESTION, STOP

MAX_TEXT_CHARS = 2000

_FOLDED = str.maketrans(
    {
        # quotes, accents and primes that stand for an apostrophe
        **dict.fromkeys("\u2018\u2019\u02bc\u201b`\u00b4\u2032", "'"),
        # hyphens and the minus sign; figure, en and em dash, bar
        **dict.fromkeys("\u2010\u2011\u2212", "-"),
        **dict.fromkeys("\u2012\u2013\u2014\u2015", " -- "),
        **{"½": " a half ", "¼": " a quarter ", "¾": " three quarters ", "№": " number ", "™": "", "®": "", "©": ""},
        **{"ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L"},
        **{"đ": "d", "Đ": "D", "þ": "th", "Þ": "Th", "ð": "th", "Ð": "Th", "\u0131": "i", "\u2044": "/"},
    }
)
_RANGE_DASH = re.compile(r"(?<=\d)\s?[\u2012-\u2015]\s?(?=\d)")
_KEPT_SYMBOLS = frozenset("°\u00d7€£¥")
_SYMBOL_WORDS = {
    **{
        "&": "and",
        "%": "percent",
        "@": "at",
        "+": "plus",
        "=": "equals",
        "°": "degrees",
        "\u00d7": "times",
        "#": "number",
    },
    **{symbol: names[0] + "s" for symbol, names in numbers.CURRENCIES.items() if symbol != "¥"},
    "¥": "yen",
}
_ABBREVIATIONS = {
    **{"mr": "mister", "mrs": "missus", "ms": "miz", "dr": "doctor", "prof": "professor", "st": "saint"},
    **{"jr": "junior", "sr": "senior", "gen": "general", "capt": "captain", "sgt": "sergeant", "lt": "lieutenant"},
    **{"rev": "reverend", "gov": "governor", "sen": "senator"},
    **{"ave": "avenue", "blvd": "boulevard", "rd": "road", "mt": "mount", "ft": "fort", "dept": "department"},
    **{"inc": "incorporated", "ltd": "limited", "corp": "corporation", "co": "company", "bros": "brothers"},
    **{"etc": "et cetera", "vs": "versus", "approx": "approximately"},
    **{"jan": "january", "feb": "february", "aug": "august", "sept": "september", "oct": "october"},
    **{"nov": "november", "dec": "december", "mon": "monday", "tues": "tuesday", "thurs": "thursday"},
}
_NO_STOP_NEEDED = frozenset(("mr", "mrs", "ms", "dr", "prof", "vs", "etc", "ltd", "dept", "approx"))
"""Abbreviations that are no words of their own, and are read out without a full stop too."""
_UNITS = {
    **{"km": "kilometers", "m": "meters", "cm": "centimeters", "mm": "millimeters", "ft": "feet", "mi": "miles"},
    **{"kg": "kilograms", "g": "grams", "mg": "milligrams", "lb": "pounds", "lbs": "pounds", "oz": "ounces"},
    **{"l": "liters", "ml": "milliliters", "mph": "miles per hour", "km/h": "kilometers per hour"},
    **{"s": "seconds", "sec": "seconds", "ms": "milliseconds", "min": "minutes", "h": "hours", "hrs": "hours"},
    **{"hz": "hertz", "khz": "kilohertz", "mhz": "megahertz", "ghz": "gigahertz", "w": "watts", "kw": "kilowatts"},
    **{"kb": "kilobytes", "mb": "megabytes", "gb": "gigabytes", "tb": "terabytes", "v": "volts", "db": "decibels"},
    **{"°c": "degrees celsius", "°f": "degrees fahrenheit"},
}
_LATIN_PHRASES = {"e.g.": "for example", "i.e.": "that is", "a.m.": "a. m.", "p.m.": "p. m.", "ph.d.": "p. h. d."}
_SPELT_CAPITALS = frozenset({"us", "it", "id", "pm", "am", "ai", "un"})
"""Words that, in capitals among small letters, stand for their letters."""
_MAX_ACRONYM = 5

_NUMBER = r"\d{1,3}(?:,\d{3})+(?!\d)|\d+"
_TOKEN = re.compile(
    rf"""
    (?P<money>[{"".join(numbers.CURRENCIES)}])\s?(?P<amount>{_NUMBER})(?:\.(?P<cents>\d+))?
        (?:\s(?P<scale>thousand|million|billion|trillion)\b)?
  | (?P<hours>[01]?\d|2[0-4]):(?P<minutes>[0-5]\d)(?![\d:])
  | (?P<ordinal>{_NUMBER})(?:st|nd|rd|th)\b
  | (?P<decade>(?:\d\d)?[2-9]0)'?s\b
  | (?P<low>\d{{1,4}})-(?P<high>\d{{1,4}})(?![\d-])
  | (?P<minus>(?<![\w)])-)?(?:(?P<number>{_NUMBER})(?:\.(?P<fraction>\d+))?|\.(?P<bare_fraction>\d+))
        (?:\s?(?P<unit>{"|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))})(?![\w/]))?
  | (?P<dotted>(?:[a-z]\.){{2,}}|ph\.d\.)
  | (?P<number_sign>\#(?=\d)|no\.(?=\s?\d))
  | (?P<initial>(?-i:[A-Z]))\.(?=\s*(?-i:[A-Z]))
  | (?P<abbreviation>{"|".join(_ABBREVIATIONS)})\.(?=\s*(?P<follow>\S?))
  | (?P<word>[a-z]+(?:'[a-z]+)*)
  | (?P<dot>(?<=\w)\.(?=(?-i:[a-z])))
  | (?P<slash>(?<=\d)/(?=\d))
  | (?P<end>[.!?]+|\n\s*\n)
  | (?P<pause>[,;:()\[\]{{}}]|\s-+\s|--+)
  | (?P<symbol>[{"".join(map(re.escape, _SYMBOL_WORDS))}])
  """,
    re.VERBOSE | re.IGNORECASE,
)


def checked_text(text: object) -> str:
    """The text, when it can be a prompt.

    Raises `UsageError` for what is not text (bytes, control characters, broken Unicode), for an empty text and
    for more than `MAX_TEXT_CHARS` characters.
    """
    if not isinstance(text, str):
        raise UsageError(f"the text to speak must be a string, not {type(text).__name__}; decode it first")
    if len(text) > MAX_TEXT_CHARS:
        raise UsageError(f"the text has {len(text)} characters, more than {MAX_TEXT_CHARS}; split it into prompts")
    for place, character in enumerate(text):
        if unicodedata.category(character) in ("Cc", "Cs") and character not in "\t\n\r":
            raise UsageError(
                f"the text holds a control character (U+{ord(character):04X}, place {place + 1}); give plain text"
            )
    if not text.strip():
        raise UsageError("the text to speak is empty; give at least one word")
    return text


def folded(text: str) -> tuple[str, str]:
    """The text in ASCII letters, digits and the marks that are read, and what had to be dropped.

    Accents go (`café` -> cafe), typographic quotes and dashes become plain, invisible characters vanish. Letters of
    other scripts and pictures are dropped, each reported once.
    """
    plain = unicodedata.normalize("NFKC", _RANGE_DASH.sub("-", text).translate(_FOLDED)).translate(_FOLDED)
    plain = "".join(c for c in unicodedata.normalize("NFD", plain) if unicodedata.category(c) not in ("Mn", "Cf"))
    kept: list[str] = []
    dropped: dict[str, None] = {}
    for character in unicodedata.normalize("NFC", plain):
        known = character.isascii() or character in _KEPT_SYMBOLS
        kept.append(character if known else " ")
        if not known and unicodedata.category(character)[0] not in "PZ":
            dropped[character] = None
    return "".join(kept), "".join(dropped)


def normalized(text: str, known: Callable[[str], bool]) -> list[str]:
    """Words and pauses of a folded text; `known` tells whether the dictionary lists a word.

    Words are in lower case; a letter that is to be spelt has a full stop. The pauses are `PAUSE`, `STOP` and
    `QUESTION`; two never follow each other, none comes first, and the last item is a `STOP` or `QUESTION`.

    Raises `UsageError` when nothing in the text can be spoken.
    """
    has_small_letters = any(character.islower() for character in text)
    items: list[str] = []
    for match in _TOKEN.finditer(text):
        for item in _read(match, known, has_small_letters):
            if item not in (PAUSE, STOP, QUESTION):
                items.append(item)
            elif items and items[-1] in (PAUSE, STOP, QUESTION):
                items[-1] = item if items[-1] == PAUSE else items[-1]
            elif items:
                items.append(item)
    if not items:
        raise UsageError("the text holds no Latin letter and no digit; this generator speaks English only")
    if items[-1] == PAUSE:
        items.pop()
    return items if items[-1] in (STOP, QUESTION) else [*items, STOP]


def _read(match: re.Match[str], known: Callable[[str], bool], has_small_letters: bool) -> Iterator[str]:
    """The words and pauses of one token."""
    if match["pause"]:
        yield PAUSE
    elif match["end"]:
        yield QUESTION if "?" in match["end"] else STOP
    elif match["dot"]:
        yield "dot"
    elif match["slash"]:
        yield "slash"
    elif match["number_sign"]:
        yield "number"
    elif match["symbol"]:
        yield _SYMBOL_WORDS[match["symbol"]]
    elif match["dotted"]:
        letters = match["dotted"].lower()
        yield from _LATIN_PHRASES.get(letters, letters.replace(".", ". ")).split()
    elif match["initial"]:
        yield f"{match['initial'].lower()}."
    elif match["abbreviation"]:
        # `St.` is a saint before a name, else a street
        short = match["abbreviation"].lower()
        is_street = short == "st" and not match["follow"].isupper()
        yield from ["street"] if is_street else _ABBREVIATIONS[short].split()
    elif match["word"]:
        yield from _word(match["word"], known, has_small_letters)
    else:
        yield from _number(match)


def _word(written: str, known: Callable[[str], bool], has_small_letters: bool) -> list[str]:
    word = written.lower()
    if word in _NO_STOP_NEEDED:
        return _ABBREVIATIONS[word].split()
    short_capitals = written.isupper() and has_small_letters and 2 <= len(word) <= _MAX_ACRONYM
    if word.isalpha() and not known(word):
        if short_capitals or (len(word) <= _MAX_ACRONYM and not set(word) & set("aeiouy")):
            return [f"{letter}." for letter in word]
    elif short_capitals and word in _SPELT_CAPITALS:
        return [f"{letter}." for letter in word]
    return [word]


def _number(match: re.Match[str]) -> Iterator[str]:
    if match["money"]:
        amount = match["amount"].replace(",", "")
        yield from numbers.money(match["money"], amount, match["cents"] or "", (match["scale"] or "").lower())
    elif match["hours"]:
        yield from numbers.clock(match["hours"], match["minutes"])
    elif match["ordinal"]:
        yield from numbers.ordinal(match["ordinal"].replace(",", ""))
    elif match["decade"]:
        yield from numbers.decade(match["decade"])
    elif match["low"]:
        yield from (*_plain(match["low"]), "to", *_plain(match["high"]))
    else:
        yield from _measure(match)


def _measure(match: re.Match[str]) -> Iterator[str]:
    """A number with its sign, fraction and unit."""
    written, unit = match["number"] or "0", (match["unit"] or "").lower()
    digits, fraction = written.replace(",", ""), match["fraction"] or match["bare_fraction"]
    if match["minus"]:
        yield "minus"
    if fraction:
        yield from numbers.decimal(digits, fraction)
    else:
        yield from numbers.cardinal(digits) if unit or "," in written else _plain(digits)
    if unit:
        name = _UNITS[unit]
        one = digits == "1" and not fraction and not name.startswith("hertz")
        yield from (name.removesuffix("s") if one and " " not in name and unit != "ft" else name).split()


def _plain(digits: str) -> list[str]:
    return numbers.year(digits) if numbers.is_year(digits) else numbers.cardinal(digits)
