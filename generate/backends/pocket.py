"""The bundled generator: a small speech language model of our own that runs on any CPU.

It has the shape of Covo-Audio (text, a causal language model, one codebook at 25 tokens per second, a decoder) and
none of its weights: a stand-in with which everything can be tried and tested.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ...core.cliprecord import SpeechKind
from ...core.errors import IntegrityError, UsageError
from ...core.generatorsettings import DEFAULTS, GeneratorSettings
from ...core.modelcard import ModelFolder
from ...core.protocols import TokenMark
from ...core.rates import TOKEN_RATE_HZ
from ...core.records import Clip, Prompt, Recipe, Tokens
from ..pocket.acoustics import CODEBOOK_SIZE, RATE_HZ, VOICES
from ..pocket.model import LETTERS, open_pocket
from ..pocket.text.normalize import checked_text, folded
from ..registry import GENERATORS

if TYPE_CHECKING:
    from ..pocket.model import PocketWeights
    from ..pocket.sampling import Line, SampledTokens, Sampling

MAX_WORDS_PER_LINE = 16
"""The language model has learned sentences of up to this many words; longer ones are said in parts."""


@GENERATORS.register("pocket")
class PocketGenerator:
    """A `Generator`: English text in, marked speech of voice slt or rms out."""

    name = "pocket"
    kind: SpeechKind = "speech-lm"
    has_tokens = True
    voices: tuple[str, ...] = VOICES
    rate_hz = RATE_HZ
    codebook_size = CODEBOOK_SIZE
    how_to_get: str | None = None

    def __init__(self, weights: "PocketWeights") -> None:
        """Build the networks from an opened model folder; raises `IntegrityError`."""
        from ..pocket.language_model import PocketLanguageModel, Shape
        from ..pocket.speech import PocketDecoder
        from ..pocket.text.front_end import TextFrontEnd
        from ..pocket.text.letter_to_sound import LetterToSound
        from ..pocket.text.symbols import PHONES

        self.model = weights.folder
        try:
            letters = LetterToSound.from_bytes(weights.folder.read_bytes(LETTERS))
        except IntegrityError as error:
            raise IntegrityError(f"{weights.folder.path / LETTERS}: {error.message}") from error
        self._front = TextFrontEnd(letters)
        self._language = PocketLanguageModel(Shape(len(PHONES)))
        weights.fill(self._language, "language")
        self.decoder = PocketDecoder.load(weights)
        self.sampling = _sampling_of(weights.folder)

    @classmethod
    def load(cls, folder: Path | None = None, settings: GeneratorSettings = DEFAULTS) -> Self:
        """Read a pocket model folder (None: the bundled one). It has no settings but those of its card.

        Raises `ModelMissing`, `IntegrityError`, and `UsageError` for any setting.
        """
        settings.only(cls.name)
        import torch

        # for more threads than one the networks are too small: 7 x the CPU time was seen, and no gain
        torch.set_num_threads(1)
        return cls(open_pocket(folder))

    def generate(self, prompt: Prompt, *, mark: TokenMark | None, seed: int) -> Clip:
        """Say `prompt.text`. Same prompt, mark and seed give the same tokens.

        Raises `UsageError` for a voice that is not there, for sound as a prompt, and for text that cannot be said.
        """
        voice = prompt.voice or VOICES[0]
        if voice not in VOICES:
            raise UsageError(f"the pocket model has no voice {voice!r}; its voices are {', '.join(VOICES)}")
        if prompt.audio is not None or prompt.text is None:
            raise UsageError("the pocket model speaks text only; give the prompt as text")
        if prompt.later or prompt.exchanges:
            raise UsageError("the pocket model reads a text aloud and answers nobody; conversations are for covo")
        said = self._say(prompt.text, VOICES.index(voice), mark, seed)
        tokens = Tokens(np.concatenate([part.ids for part in said]), TOKEN_RATE_HZ, CODEBOOK_SIZE)
        audio = self.decoder.decode(tokens, voice=voice, seed=seed)
        recipe = Recipe(
            generator=self.model.id,
            model_sha256=self.model.model_sha256,
            seed=seed,
            sampling=(
                ("temperature", self.sampling.temperature),
                ("top_p", self.sampling.top_p),
                ("voice", voice),
                ("entropy_bits_per_token", round(float(np.mean(np.concatenate([p.entropy_bits for p in said]))), 3)),
            ),
            mark_scheme=mark.scheme if mark is not None else None,
        )
        return Clip(audio, tokens, recipe)

    def sample(self, lines: "Sequence[Line]") -> "list[SampledTokens]":
        """Say many lines at once, with the model's own sampling settings: for measuring and training."""
        from ..pocket.sampling import sample_tokens

        return sample_tokens(self._language, lines, self.sampling)

    def _say(self, text: str, voice: int, mark: TokenMark | None, seed: int) -> "list[SampledTokens]":
        from ..pocket.sampling import sample_tokens

        parts = split_lines(checked_text(text))
        # all phones before any sampling: a prompt that cannot be said is refused at once
        lines = [self.line(part, voice, line_seed(seed, index), mark) for index, part in enumerate(parts)]
        said: list[SampledTokens] = []
        for line in lines:
            continued = replace(line, first_slot=sum(len(part.ids) for part in said))
            said += sample_tokens(self._language, [continued], self.sampling)
        return said

    def line(self, text: str, voice: int, seed: int, mark: TokenMark | None = None, first_slot: int = 0) -> "Line":
        """One sentence as the sampler takes it: a pause, then its phones. Raises `UsageError`."""
        from ..pocket.language_model import phone_windows
        from ..pocket.sampling import Line
        from ..pocket.text.symbols import PAUSE, PHONES

        phones = self._front.phones_of(text)
        windows = phone_windows([PHONES.index(PAUSE), *phones.ids], [True, *phones.word_start])
        return Line(windows, voice, seed, mark, first_slot)


def _sampling_of(folder: ModelFolder) -> "Sampling":
    """The card's settings. Raises `IntegrityError` for none, or for some that cannot be."""
    from ..pocket.sampling import Sampling

    settings: Any = folder.card.get("sampling")
    problem = f"{folder.path}: the card does not say how to sample; install the model again"
    try:
        temperature, top_p = float(settings["temperature"]), float(settings["top_p"])
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(problem) from error
    if not (0 < temperature < 100 and 0 < top_p <= 1):
        raise IntegrityError(problem)
    return Sampling(temperature, top_p)


def line_seed(seed: int, index: int) -> int:
    """A seed of its own for each sentence of a prompt."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{index}".encode()).digest()[:8], "big")


def split_lines(text: str) -> list[str]:
    """Text in parts of at most `MAX_WORDS_PER_LINE` words: at sentence ends, then at commas, then between words.

    Parts in which nothing can be read aloud are left out, unless there is no other.
    """
    lines = []
    for sentence in re.split(r"(?<=[.!?;:])\s+|\n+", text):
        rest = sentence.split()
        while len(rest) > MAX_WORDS_PER_LINE:
            commas = [n for n in range(4, MAX_WORDS_PER_LINE) if rest[n - 1].endswith(",")]
            cut = commas[-1] if commas else MAX_WORDS_PER_LINE
            lines.append(" ".join(rest[:cut]))
            rest = rest[cut:]
        if rest:
            lines.append(" ".join(rest))
    return [line for line in lines if any(letter.isalnum() for letter in folded(line)[0])] or [text]
