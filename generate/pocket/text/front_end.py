"""Text to phones: normalise, look up in the dictionary, else spell out by rule or by the letter-to-sound model."""

from ....core.errors import UsageError
from .dictionary import Dictionary, cmu_dictionary
from .letter_to_sound import LetterToSound
from .normalize import checked_text, folded, normalized
from .symbols import PAUSE, QUESTION, STOP, VOWELS, Utterance

_PAUSES = frozenset({PAUSE, STOP, QUESTION})
_SIBILANTS = frozenset(("S", "Z", "SH", "ZH", "CH", "JH"))
_VOICELESS = frozenset(("P", "T", "K", "F", "TH"))
MAX_PHONES = 6000
"""A text of the longest size that is allowed stays below this, unless it is made of digits."""


class TextFrontEnd:
    """Reads English text aloud on paper: the phones and pauses that a speaker would say."""

    def __init__(self, letter_to_sound: LetterToSound, dictionary: Dictionary | None = None) -> None:
        """Use a letter-to-sound model for what the dictionary (by default the installed one) does not list."""
        self._letter_to_sound = letter_to_sound
        self._dictionary = dictionary or cmu_dictionary()
        self._said: dict[str, tuple[str, ...]] = {}

    def phones_of(self, text: str) -> Utterance:
        """The utterance for a text of 1 to 2000 characters.

        Pauses: `pau` at , ; : dashes and brackets, `pau.` and `pau?` where a sentence ends; always one at the very end,
        never one at the start. Letters of other scripts are left out and listed in `Utterance.dropped`.

        Raises `UsageError` for a text that is empty, too long, holds control characters or no Latin letter or
        digit, and for what is not a string.
        """
        plain, dropped = folded(checked_text(text))
        items = normalized(plain, self._is_known)
        symbols: list[str] = []
        starts: list[bool] = []
        following: tuple[str, ...] = ()
        for item in reversed(items):
            following = (item,) if item in _PAUSES else self._in_context(item, following)
            symbols[:0] = following
            starts[:0] = [item not in _PAUSES, *([False] * (len(following) - 1))]
        if len(symbols) > MAX_PHONES:
            raise UsageError(
                f"the text has {len(symbols)} phones when spelt out, more than {MAX_PHONES}; split it into prompts"
            )
        words = tuple(item for item in items if item not in _PAUSES)
        return Utterance(tuple(symbols), tuple(starts), words, dropped)

    def pronounce(self, word: str) -> tuple[str, ...]:
        """Phones of one word in lower case, standing alone."""
        if word not in self._said:
            self._said[word] = self._look_up(word) or self._letter_to_sound(word)
        return self._said[word]

    def _is_known(self, word: str) -> bool:
        return self._look_up(word) is not None

    def _in_context(self, word: str, following: tuple[str, ...]) -> tuple[str, ...]:
        """The word as it is said before the phones that follow: `the` rhymes with `be` before a vowel."""
        return ("DH", "IY") if word == "the" and following[0] in VOWELS else self.pronounce(word)

    def _look_up(self, word: str) -> tuple[str, ...] | None:
        """From the dictionary: the word itself, or its stem when it ends in a possessive or plural s."""
        phones = self._dictionary.phones(word)
        if phones is None and word.endswith("s") and len(word) > 3:
            stem = self._dictionary.phones(word.removesuffix("s").removesuffix("'"))
            return stem and (*stem, *_final_s(stem[-1]))
        return phones


def _final_s(last: str) -> tuple[str, ...]:
    """How a plural or possessive s sounds after a phone."""
    if last in _SIBILANTS:
        return ("IH", "Z")
    return ("S",) if last in _VOICELESS else ("Z",)
