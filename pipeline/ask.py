"""Puts a question about a sound to a generator that listens, and gives its answer in text."""

from pathlib import Path
from typing import Protocol, runtime_checkable

from ..core.errors import UsageError
from ..core.generatorsettings import GeneratorSettings
from ..core.records import Prompt
from ..generate.prompt_turns import PromptTurn
from ..generate.prompts import PromptEntry
from .generate import load_generator
from .speech_jobs import PromptSounds


@runtime_checkable
class Answers(Protocol):
    """A generator that can answer in text alone."""

    def answer(self, prompt: Prompt, *, seed: int = 0) -> str:
        """What it writes."""
        ...


def answer_of(
    model_folder: Path, settings: GeneratorSettings, *, question: str | None, sound: str | None, seed: int
) -> str:
    """The answer of the model in `model_folder` to a sound, a question, or a question about a sound.

    Raises `UsageError` for neither and for a model that does not listen, `InputError` for a sound that cannot be used,
    `ModelMissing` and `IntegrityError` for the model.
    """
    if question is None and sound is None:
        raise UsageError("give a question, a sound with --audio, or both")
    generator = load_generator(None, model_folder, settings)
    if not isinstance(generator, Answers):
        raise UsageError(f"{generator.model.id} only speaks; name a model that listens and writes, such as Covo-Audio")
    turn = PromptTurn(question, sound)
    with PromptSounds(Path(), None) as sounds:
        prompt = sounds.prompt_of(PromptEntry(1, str(turn), turns=(turn,)), generator.voices[0], seed)
    return generator.answer(prompt, seed=seed)
