"""Numbers in English words: cardinals, ordinals, years, decimals, clock times, amounts of money."""

_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"))
_IRREGULAR_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
MAX_DIGITS = 15
"""Longer strings of digits are read digit by digit, like codes that begin with zero."""

CURRENCIES = {
    "$": ("dollar", "cent"),
    "€": ("euro", "cent"),
    "£": ("pound", "penny"),
    "¥": ("yen", "sen"),
}
_PLURALS = {"penny": "pence", "yen": "yen", "sen": "sen"}


def cardinal(digits: str) -> list[str]:
    """Words of an unsigned whole number, given as its digits: `21` -> twenty one, `007` -> zero zero seven."""
    if len(digits) > MAX_DIGITS or (digits[0] == "0" and len(digits) > 1):
        return spelt_digits(digits)
    number = int(digits)
    return _whole(number) if number else ["zero"]


def spelt_digits(digits: str) -> list[str]:
    """Each digit as a word."""
    return [_ONES[int(digit)] for digit in digits]


def decimal(digits: str, fraction: str) -> list[str]:
    """`2`, `5` -> two point five; the fraction is read digit by digit."""
    return [*cardinal(digits or "0"), "point", *spelt_digits(fraction)]


def ordinal(digits: str) -> list[str]:
    """`3` -> third, `21` -> twenty first."""
    *head, last = cardinal(digits)
    return [*head, _ordinal_of(last)]


def is_year(digits: str) -> bool:
    """Whether four digits, standing alone, are read in pairs: 1100 to 2099, but not a full thousand."""
    return len(digits) == 4 and 1100 <= int(digits) <= 2099


def year(digits: str) -> list[str]:
    """`1987` -> nineteen eighty seven, `1905` -> nineteen oh five, `2007` -> two thousand seven."""
    century, rest = int(digits[:2]), int(digits[2:])
    if century == 20 and rest < 10:
        return cardinal(digits)
    if not rest:
        return [*_whole(century), "hundred"]
    return [*_whole(century), *(["oh"] if rest < 10 else []), *_whole(rest)]


def decade(digits: str) -> list[str]:
    """`1990` -> nineteen nineties, `80` -> eighties."""
    *head, last = year(digits) if is_year(digits) else cardinal(digits)
    return [*head, last[:-1] + "ies" if last.endswith("y") else last + "s"]


def clock(hours: str, minutes: str) -> list[str]:
    """`10`, `05` -> ten oh five; `9`, `00` -> nine o'clock."""
    if int(minutes) == 0:
        return [*cardinal(str(int(hours))), "o'clock"]
    return [*cardinal(str(int(hours))), *(["oh"] if int(minutes) < 10 else []), *cardinal(str(int(minutes)))]


def money(symbol: str, digits: str, fraction: str, scale: str) -> list[str]:
    """Words of an amount of money; `scale` is empty, or thousand to trillion.

    `$`, `1`, `50` -> one dollar and fifty cents; `$`, `0`, `99` -> ninety nine cents; `€`, `3`, `2`, `million` ->
    three point two million euros.
    """
    unit, subunit = CURRENCIES[symbol]
    if scale:
        return [*(decimal(digits, fraction) if fraction else cardinal(digits)), scale, _plural(unit)]
    if fraction and len(fraction) != 2:
        return [*decimal(digits, fraction), _plural(unit)]
    whole = [*cardinal(digits), unit if digits == "1" else _plural(unit)]
    if not fraction or fraction == "00":
        return whole
    part = [*cardinal(str(int(fraction))), subunit if fraction == "01" else _plural(subunit)]
    return part if digits == "0" else [*whole, "and", *part]


def _whole(number: int) -> list[str]:
    """Words of a positive number; none for zero."""
    for size, name in _SCALES:
        if number >= size:
            return [*_whole(number // size), name, *_whole(number % size)]
    if number >= 100:
        return [_ONES[number // 100], "hundred", *_whole(number % 100)]
    if number >= 20:
        return [_TENS[number // 10], *_whole(number % 10)]
    return [_ONES[number]] if number else []


def _ordinal_of(word: str) -> str:
    if word in _IRREGULAR_ORDINALS:
        return _IRREGULAR_ORDINALS[word]
    return word[:-1] + "ieth" if word.endswith("y") else word + "th"


def _plural(unit: str) -> str:
    return _PLURALS.get(unit, unit + "s")
