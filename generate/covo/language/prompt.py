"""Prompts as ids: ChatML turns around text and around placeholders that sound takes the place of.

Round 0 is a system turn, a user turn and the opening of the model's turn; every later round is a line break, a user
turn and the opening (Tencent/Covo-Audio, commit 710384c). Only this module writes special ids: what a user types is
always plain text, also where it spells a special token.
"""

import json
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tokenizers import Tokenizer

from ....core.errors import IntegrityError, ModelMissing, UsageError
from ..config import CovoConfig

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_TOKENIZER_FILE = "tokenizer.json"
_TOKENIZER_PARTS = ("vocab.json", "merges.txt")
_SPECIAL_TOKENS = ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|begofcAUDIO|>", "<|cAUDIO|>", "<|endofcAUDIO|>")
"""In the order of `SpecialIds`."""


@dataclass(frozen=True)
class SpecialIds:
    """Ids that stand for structure, as the checkpoint's tokenizer has them."""

    turn_start: int
    turn_end: int
    end_of_text: int
    sound_start: int
    placeholder: int
    """Stands where a row of sound goes."""
    sound_end: int

    @classmethod
    def of(cls, tokenizer: "PreTrainedTokenizerFast", source: str) -> Self:
        """Look them up. Raises `IntegrityError` that names those that are missing."""
        # not `convert_tokens_to_ids`, which gives the id of another token for one that it lacks
        vocabulary = tokenizer.get_vocab()
        missing = [token for token in _SPECIAL_TOKENS if token not in vocabulary]
        if missing:
            raise IntegrityError(
                f"{source}: the tokenizer lacks {', '.join(missing)}; use the tokenizer of a Covo-Audio checkpoint"
            )
        return cls(*(vocabulary[token] for token in _SPECIAL_TOKENS))


class PromptWriter:
    """Writes the prompts of one checkpoint, and reads the text out of replies."""

    def __init__(self, tokenizer: "PreTrainedTokenizerFast", config: CovoConfig, source: str = "tokenizer") -> None:
        """`source` names the tokenizer in messages. Raises `IntegrityError` for one that does not fit `config`."""
        self.special = SpecialIds.of(tokenizer, source)
        advice = "use the tokenizer and the config.json of one checkpoint"
        if len(tokenizer) > config.first_audio_id:
            raise IntegrityError(
                f"{source}: the tokenizer has {len(tokenizer)} ids, but those of audio begin at "
                f"{config.first_audio_id}; {advice}"
            )
        if config.placeholder_id not in (None, self.special.placeholder):
            raise IntegrityError(
                f"{source}: sound has the placeholder {self.special.placeholder} in the tokenizer, but "
                f"{config.placeholder_id} in the configuration; {advice}"
            )
        self._structure = frozenset(astuple(self.special))
        self._tokenizer = tokenizer
        self._plain = _without_added_tokens(tokenizer)
        self._first_audio_id = config.first_audio_id

    def prompt(self, text: str | None, rows: int, system_text: str | None) -> list[int]:
        """Ids of one round: `rows` placeholders for sound (0: no sound), then `text`, up to the model's first word.

        `system_text` None leaves the system turn out, as every round but the first does. Raises `UsageError` for a
        round or a system text in which nothing is said, and for text that is not Unicode.
        """
        said = _checked(text, "the user's text") if text is not None else ""
        if not said.strip() and not rows:
            raise UsageError("the turn is empty; give text, sound or both")
        special = self.special
        ids = [] if system_text is None else self._turn(f"system\n{_checked_system(system_text)}")
        ids += self._encoded("\n")
        if rows:
            sound = [special.sound_start, *[special.placeholder] * rows, special.sound_end]
            ids += [special.turn_start, *self._encoded("user\n"), *sound, *self._encoded(said), special.turn_end]
        else:
            ids += self._turn(f"user\n{said}")
        return [*ids, *self._encoded("\n"), special.turn_start, *self._encoded("assistant\n")]

    def text(self, ids: Iterable[int]) -> str:
        """The text of a reply: its text ids in their order, without audio tokens and structure."""
        written = [int(each) for each in ids if each < self._first_audio_id and each not in self._structure]
        return str(self._tokenizer.decode(written, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _turn(self, content: str) -> list[int]:
        return [self.special.turn_start, *self._encoded(content), self.special.turn_end]

    def _encoded(self, text: str) -> list[int]:
        ids: list[int] = self._plain.encode(text, add_special_tokens=False).ids
        return ids


def load_tokenizer(folder: Path) -> "PreTrainedTokenizerFast":
    """The tokenizer of a checkpoint folder: `tokenizer.json`, or `vocab.json` and `merges.txt` of Qwen2.

    Raises `ModelMissing` when neither is there and `IntegrityError` for files that are none.
    """
    from transformers import PreTrainedTokenizerFast, Qwen2Tokenizer

    if (folder / _TOKENIZER_FILE).is_file():
        kind: Any = PreTrainedTokenizerFast
    elif all((folder / name).is_file() for name in _TOKENIZER_PARTS):
        kind = Qwen2Tokenizer
    else:
        raise ModelMissing(
            f"{folder}: no {_TOKENIZER_FILE}, nor {' and '.join(_TOKENIZER_PARTS)}; copy the tokenizer files of the "
            "checkpoint there"
        )
    try:
        tokenizer: PreTrainedTokenizerFast = kind.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # what a damaged file raises depends on where it is damaged
        reason = " ".join(str(error).split())[:200]
        raise IntegrityError(f"{folder}: the tokenizer files cannot be read ({reason}); download them again") from error
    return tokenizer


def _without_added_tokens(tokenizer: "PreTrainedTokenizerFast") -> Tokenizer:
    """The same tokenizer, to which the spelling of an added token is text like any other."""
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    content.update(added_tokens=[], post_processor=None, truncation=None, padding=None)
    return Tokenizer.from_str(json.dumps(content))


def _checked(text: str, what: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{what}: not Unicode text (place {error.start + 1}); give plain text in UTF-8") from error
    return text


def _checked_system(text: str) -> str:
    if not text.strip():
        raise UsageError("the system text is empty; write one, or leave it out to use the default")
    return _checked(text, "the system text")
