"""What a prompt of a JSON Lines file says, turn by turn: text, a sound file, or a whole conversation."""

import re
from dataclasses import dataclass
from typing import Any

MAX_TURNS = 64
MAX_TEXT_CHARACTERS = 64 << 10
_BLANKS = re.compile(r"[ \t\r\n]+")
_KEYS = frozenset({"text", "audio"})


PARTNERS = ("pocket", "self")
"""Who may talk with the generator: the bundled model speaks the written turns, or it talks with itself."""
MAX_EXCHANGES = 64


@dataclass(frozen=True)
class PromptTurn:
    """What is said to the generator at one time. `audio` names a sound file; with a text, the text follows it."""

    text: str | None = None
    audio: str | None = None

    def __str__(self) -> str:
        """As a person would note it down: `[question.wav] and then?`."""
        sound = None if self.audio is None else f"[{self.audio}]"
        return " ".join(part for part in (sound, self.text) if part is not None)


def turns_of(value: dict[str, Any]) -> tuple[PromptTurn, ...]:
    """The turns of one prompt: `{"text": …}`, `{"audio": FILE}`, both, or `{"turns": [such objects]}`.

    Raises `ValueError` that says what is wrong, in words that follow "line N: ".
    """
    if "turns" not in value:
        return (_turn(value),)
    if _KEYS & value.keys():
        raise ValueError('has "turns" beside "text" or "audio"; put all into "turns"')
    turns = value["turns"]
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise ValueError('"turns" is not a list of objects')
    if not 1 <= len(turns) <= MAX_TURNS:
        raise ValueError(f"{len(turns)} turns; a conversation has 1 to {MAX_TURNS}")
    return tuple(_turn(turn) for turn in turns)


def partner_of(value: dict[str, Any], turns: int) -> tuple[str | None, int]:
    """The partner of a two-sided call, and of a talk with itself the replies that it is to have, else 0.

    Raises `ValueError` as `turns_of`.
    """
    partner, exchanges = value.get("partner"), value.get("exchanges")
    if partner is not None and partner not in PARTNERS:
        raise ValueError(f'"partner" is not one of {", ".join(PARTNERS)}')
    if partner != "self":
        if exchanges is not None:
            raise ValueError('"exchanges" goes with "partner": "self"')
        return partner, 0
    if type(exchanges) is not int or not 2 <= exchanges <= MAX_EXCHANGES:
        raise ValueError(
            f'"exchanges", the replies of a talk with itself, is not a whole number from 2 to {MAX_EXCHANGES}'
        )
    if turns != 1:
        raise ValueError("a talk with itself begins with one turn")
    return partner, exchanges


def _turn(value: dict[str, Any]) -> PromptTurn:
    text, audio = value.get("text"), value.get("audio")
    if text is None and audio is None:
        raise ValueError('not an object with "text"' if not value.keys() & _KEYS else "empty")
    if not isinstance(text, str | None) or not isinstance(audio, str | None):
        raise ValueError('"text" or "audio" is not text')
    if audio == "":
        raise ValueError('"audio" names no file')
    return PromptTurn(checked_text(text) if text is not None else None, audio)


def checked_text(text: str) -> str:
    """`text` on one line. Raises `ValueError` for what no generator could say."""
    text = _BLANKS.sub(" ", text).strip(" ")
    if not is_clean(text):
        raise ValueError("holds a NUL or what is not Unicode")
    if not text:
        raise ValueError("empty")
    if len(text) > MAX_TEXT_CHARACTERS:
        raise ValueError(f"longer than {MAX_TEXT_CHARACTERS} characters")
    return text


def is_clean(text: str) -> bool:
    """Whether `text` is Unicode without a NUL."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\0" not in text
