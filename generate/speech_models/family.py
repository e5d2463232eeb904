"""What an adapter does for its family of models, and the checks of prompts that they share."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ...core.audio import resample
from ...core.cliprecord import Settings, SpeechKind
from ...core.errors import UsageError
from ...core.generatorsettings import GeneratorSettings
from ...core.records import Float32Array, Prompt
from .checkpoint import CheckpointFolder

if TYPE_CHECKING:
    import torch

MAX_TOKENS = 4096
"""Of one prompt, for models that set no bound themselves: their attention grows with the square."""
MIN_SOUND_S = 0.1


class SpeechFamily(Protocol):
    """One family of models, opened from a checkpoint."""

    family: str
    """As the manifests of datasets write it."""
    kind: SpeechKind
    voices: tuple[str, ...]
    rate_hz: int

    def __init__(self, checkpoint: CheckpointFolder, device: "torch.device", settings: GeneratorSettings) -> None:
        """Load the model. Raises `UsageError` for a setting that it has not, `ModelMissing` and `IntegrityError`."""
        ...

    def speak(self, prompt: Prompt, voice: str) -> "torch.Tensor":
        """Float samples (n,) at `rate_hz`, drawn from torch's global generators. `voice` is one of `voices`.

        Raises `UsageError` for a prompt that the model cannot take.
        """
        ...

    def sampling(self, voice: str) -> Settings:
        """All that decides the sound beside weights, prompt and seed."""
        ...


def text_of(prompt: Prompt, who: str) -> str:
    """The text of a prompt for a model that reads aloud. Raises `UsageError` for sound and for nothing."""
    if prompt.audio is not None:
        raise UsageError(f"{who} reads text aloud and takes no sound; give the prompt as text alone")
    if prompt.text is None or not prompt.text.strip():
        raise UsageError("the text is empty; write what is to be said")
    return prompt.text


def sound_of(prompt: Prompt, who: str, rate_hz: int, max_s: float) -> Float32Array:
    """The sound of a prompt at `rate_hz`. Raises `UsageError` for text, and for sound that is too short or too long."""
    if prompt.audio is None or prompt.text is not None:
        raise UsageError(f"{who} takes speech and no text; give a sound alone, with --audio-prompt or in a .jsonl file")
    if not MIN_SOUND_S <= prompt.audio.duration_s <= max_s:
        raise UsageError(
            f"the sound lasts {prompt.audio.duration_s:.2f} s, and {who} takes {MIN_SOUND_S} to {max_s:.0f} s; "
            "give another, or cut it"
        )
    return resample(prompt.audio.samples, prompt.audio.rate_hz, rate_hz)


def check_ids(tokenizer: Any, said: Sequence[int], who: str) -> None:
    """Raise `UsageError` when none of the ids `said`, those without special tokens, is of a letter or digit."""
    tokens = tokenizer.convert_ids_to_tokens([each for each in said if each != tokenizer.unk_token_id])
    if not any(letter.isalnum() for token in tokens for letter in token or ""):
        raise UsageError(f"{who} knows no letter of this text; write it in the script and language of the model")


def check_length(n_tokens: int, most: int, who: str) -> None:
    """Raise `UsageError` for a text of more tokens than the model has places for."""
    if n_tokens > most:
        raise UsageError(
            f"the text has {n_tokens} tokens and {who} takes at most {most}; split it into several prompts"
        )


def check_range(ids: Sequence[int], vocabulary: int, who: str) -> None:
    """Raise `UsageError` for ids that the model has no row for: tokenizer and model do not agree on these letters."""
    if ids and max(ids) >= vocabulary:
        raise UsageError(f"the text has letters that {who} was never trained on; leave them out or spell them")


def numbered(count: int) -> tuple[str, ...]:
    """Voices that have only a number; `default` where there is but one."""
    return tuple(map(str, range(count))) if count > 1 else ("default",)
