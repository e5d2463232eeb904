"""Pronunciation of words that no dictionary lists: a small network reads a window of letters, left to right.

Each letter gives no phone, one, or a pair of phones; the network sees the letters around it and what the letters
before it gave (the alignment of letters and phones follows Black, Lenzo and Pagel, "Issues in building general
letter to sound rules", 1998; the network is in the spirit of Sejnowski and Rosenberg's NETtalk, 1987).
`generate/training/letter_to_sound.py` trains it.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from ....core.errors import IntegrityError
from ....core.records import Float32Array
from .symbols import PHONES, VOWELS

LETTERS = "abcdefghijklmnopqrstuvwxyz'"
EDGE = len(LETTERS)
"""Index of what stands before the first and after the last letter."""
CONTEXT_LETTERS = 4
"""Letters seen on each side."""
CONTEXT_CLASSES = 3
"""Outputs seen of the letters before."""
NO_PHONE = 255
_MAX_WORD_LETTERS = 60
_FALLBACK = ("AH",)
"""What a word becomes for which the network gives no phone at all."""


@dataclass(frozen=True, eq=False)
class LetterToSound:
    """Weights of the network: embeddings, two hidden layers (ReLU), one class per letter."""

    class_phones: npt.NDArray[np.uint8]
    """(classes, 2): the phones of each class, as indices into `PHONES`; `NO_PHONE` where there is none."""
    letter_embedding: Float32Array
    class_embedding: Float32Array
    """One row more than classes: the last stands for the place before the word."""
    weight_1: Float32Array
    bias_1: Float32Array
    weight_2: Float32Array
    bias_2: Float32Array
    weight_3: Float32Array
    bias_3: Float32Array

    @classmethod
    def from_bytes(cls, content: bytes) -> "LetterToSound":
        """Read the content of a `letter_to_sound.safetensors`.

        Raises `IntegrityError` when it is not such a file, or its arrays do not fit together.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        weights = [field.name for field in fields(cls) if field.name != "class_phones"]
        try:
            arrays = load(content)
            classes = arrays["class_phones"].astype(np.uint8)
            if classes.ndim != 2 or np.any((classes >= len(PHONES)) & (classes != NO_PHONE)):
                raise ValueError("classes that are no phones")
            model = cls(classes, *(arrays[name].astype(np.float32) for name in weights))
            model("covoguard")
        except (SafetensorError, KeyError, ValueError, IndexError) as error:
            raise IntegrityError(f"the letter-to-sound model is damaged ({error}); install the model again") from error
        return model

    def __call__(self, word: str) -> tuple[str, ...]:
        """Phones of a word in lower case; at least one, and `_MAX_WORD_LETTERS` letters at a time."""
        pieces = [word[start : start + _MAX_WORD_LETTERS] for start in range(0, len(word), _MAX_WORD_LETTERS)]
        phones = [phone for piece in pieces for phone in self._piece(piece)]
        return tuple(phones) if VOWELS & set(phones) else (*phones, *_FALLBACK)

    def _piece(self, letters: str) -> list[str]:
        edges = [EDGE] * CONTEXT_LETTERS
        window = np.array([*edges, *(LETTERS.index(letter) for letter in letters if letter in LETTERS), *edges])
        classes = [len(self.class_phones)] * CONTEXT_CLASSES
        for first in range(len(window) - 2 * CONTEXT_LETTERS):
            seen = self.letter_embedding[window[first : first + 2 * CONTEXT_LETTERS + 1]].ravel()
            said = self.class_embedding[classes[-CONTEXT_CLASSES:]].ravel()
            hidden = np.maximum(self.weight_1 @ np.concatenate([seen, said]) + self.bias_1, 0)
            hidden = np.maximum(self.weight_2 @ hidden + self.bias_2, 0)
            classes.append(int(np.argmax(self.weight_3 @ hidden + self.bias_3)))
        given = self.class_phones[classes[CONTEXT_CLASSES:]].ravel()
        return [PHONES[index] for index in given if index != NO_PHONE]
