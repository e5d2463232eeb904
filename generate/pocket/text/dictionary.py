"""The CMU pronouncing dictionary, as the pocketsphinx package carries it (135 000 words, American English)."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from ....core.errors import ModelMissing

_PREFERRED: dict[str, str] = {
    # the dictionary lists a rarer reading first
    "lead": "L IY D",
    "live": "L IH V",
    "read": "R IY D",
    "close": "K L OW Z",
    "use": "Y UW Z",
    "wind": "W IH N D",
    "tear": "T IH R",
    "record": "R EH K ER D",
    # function words as the teacher voices say them
    "and": "AE N D",
    "to": "T AH",
}


class Dictionary:
    """Pronunciations by spelling; phones are split as they are asked for, so that opening it stays quick."""

    def __init__(self, content: bytes) -> None:
        """Take the text of a dictionary: lines of a word and its phones, spaces between them."""
        lines = (line.partition(" ") for line in content.decode().splitlines())
        self._phones = {word: phones for word, _, phones in lines}

    def phones(self, word: str) -> tuple[str, ...] | None:
        """The preferred pronunciation of a word in lower case, or None when it is not listed."""
        phones = _PREFERRED.get(word) or self._phones.get(word)
        return tuple(phones.split()) if phones else None

    def entries(self) -> dict[str, tuple[str, ...]]:
        """Every word with its first pronunciation, in the order of the file."""
        return {word: tuple(phones.split()) for word, phones in self._phones.items() if "(" not in word}


@cache
def cmu_dictionary() -> Dictionary:
    """The dictionary of the installed pocketsphinx.

    Raises `ModelMissing` when the package, or the dictionary in it, is not there.
    """
    spec = find_spec("pocketsphinx")
    folders = (spec.submodule_search_locations if spec else None) or []
    for folder in folders:
        path = Path(folder, "model", "en-us", "cmudict-en-us.dict")
        if path.is_file():
            return Dictionary(path.read_bytes())
    raise ModelMissing("the pronouncing dictionary is missing; install it with: pip install 'pocketsphinx>=5'")
