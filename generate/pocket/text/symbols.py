"""The symbols that the language model reads: 39 phones of the CMU dictionary, without stress, and three pauses."""

from dataclasses import dataclass

PAUSE, STOP, QUESTION = "pau", "pau.", "pau?"
"""A pause inside a sentence, the end of a statement, the end of a question."""

PHONES: tuple[str, ...] = (
    *("AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY", "JH"),
    *("K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH"),
    *(PAUSE, STOP, QUESTION),
)
"""All symbols; a symbol's id is its index."""

VOWELS = frozenset(("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"))


@dataclass(frozen=True)
class Utterance:
    """A text as it will be spoken."""

    symbols: tuple[str, ...]
    """Of `PHONES`; the last one is `STOP` or `QUESTION`."""
    word_start: tuple[bool, ...]
    """Per symbol: whether a word begins with it (never for pauses)."""
    words: tuple[str, ...]
    """The words in the order of their starts, in lower case, numbers and symbols written out; a letter that is
    spelt has a full stop (`b.`)."""
    dropped: str = ""
    """Characters that are not English text and were left out, each once, in the order of their first place."""

    @property
    def ids(self) -> tuple[int, ...]:
        """Index of each symbol in `PHONES`."""
        return tuple(_ID[symbol] for symbol in self.symbols)


_ID = {symbol: index for index, symbol in enumerate(PHONES)}
