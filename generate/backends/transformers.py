"""Any speech model that the library transformers runs, from a checkpoint folder on disk: VITS, SpeechT5, Bark, …

Its speech is for datasets and comparisons. It carries no token mark: the sampling is the library's own, and most of
these models have no speech tokens at all.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from ...core.cliprecord import SpeechKind
from ...core.errors import CovoguardError, InputError, ModelMissing, UsageError
from ...core.generatorsettings import DEFAULTS, GeneratorSettings
from ...core.modelcard import ModelFolder
from ...core.protocols import TokenMark
from ...core.records import Audio, Clip, Float32Array, Prompt, Recipe
from ..registry import GENERATORS
from ..speech_models.checkpoint import CheckpointFolder, open_checkpoint
from ..speech_models.families import family_of
from ..speech_models.loading import quiet_library
from ..speech_models.seeding import seeded
from .covo import default_device

if TYPE_CHECKING:
    import torch

    from ..speech_models.family import SpeechFamily

SILENCE_PEAK = 2.0**-16
"""Half a step of 16-bit sound: what stays below it is written as zeros only."""

log = logging.getLogger(__name__)


@GENERATORS.register("transformers")
class TransformersGenerator:
    """A `Generator` without tokens; kind, voices and rate are those of the checkpoint."""

    name = "transformers"
    has_tokens = False
    how_to_get: str | None = "name a checkpoint folder that transformers can load with --model DIR"

    def __init__(self, checkpoint: CheckpointFolder, settings: GeneratorSettings = DEFAULTS) -> None:
        """Load the model. Raises `UsageError` for settings, `ModelMissing` and `IntegrityError` for the folder."""
        from ..covo.memory import usable_device

        family = family_of(checkpoint)
        self._device = usable_device(settings.device or default_device())
        self._speaker: SpeechFamily = family(checkpoint, self._device, settings)
        self.model: ModelFolder = checkpoint.of_family(self._speaker.family)
        self.kind: SpeechKind = self._speaker.kind
        self.voices = self._speaker.voices
        self.reference_voices: tuple[str, ...] = getattr(self._speaker, "reference_voices", ())
        """Those that the user made of a recording, and put beside the checkpoint."""
        self.rate_hz = self._speaker.rate_hz
        self._config_sha256 = checkpoint.config_sha256

    @classmethod
    def load(cls, folder: Path | None = None, settings: GeneratorSettings = DEFAULTS) -> Self:
        """Open a checkpoint folder, which must be given. Raises as the constructor."""
        if folder is None:
            raise ModelMissing(f"no model of {cls.name} comes with covoguard; {cls.how_to_get}")
        return cls(open_checkpoint(folder), settings)

    def generate(self, prompt: Prompt, *, mark: TokenMark | None, seed: int) -> Clip:
        """Say `prompt` as the model does. On a CPU the same prompt and seed give the same samples.

        Raises `UsageError` for a mark, a voice that is not there, a conversation, and a prompt that the model cannot
        take, `InputError` when it makes no sound of it.
        """
        if mark is not None:
            raise UsageError(f"{self.name}: speech of {self.model.id} carries no token mark; use --no-mark")
        voice = prompt.voice or self.voices[0]
        if voice not in self.voices:
            raise UsageError(f"{self.model.id} has no voice {voice!r}; its first is {self.voices[0]}")
        if prompt.later or prompt.exchanges or prompt.two_sided:
            raise UsageError(f"{self.model.id} answers nobody; conversations are for covo")
        samples = self._checked(self._said(prompt, voice, seed))
        recipe = Recipe(
            generator=self.model.id,
            model_sha256=self.model.model_sha256,
            seed=seed,
            sampling=(
                ("voice", voice),
                *self._speaker.sampling(voice),
                ("device", self._device.type),
                ("config_sha256", self._config_sha256),
                *_heard(prompt),
            ),
        )
        return Clip(Audio(samples, self.rate_hz), None, recipe)

    def _said(self, prompt: Prompt, voice: str, seed: int) -> "torch.Tensor":
        import torch

        try:
            with quiet_library(), seeded(seed, self._device), torch.inference_mode():
                return self._speaker.speak(prompt, voice)
        except CovoguardError:
            raise
        except (RuntimeError, IndexError, ValueError) as error:
            # the library checks little: too few samples for a convolution, an id outside a table, no memory left
            log.info("the model failed: %s", error, exc_info=True)
            raise InputError(
                f"{self.model.id} failed on this prompt ({type(error).__name__}: {str(error).partition(chr(10))[0]}); "
                "try another text, voice or seed",
                code="bad_prompt",
            ) from error

    def _checked(self, said: "torch.Tensor") -> Float32Array:
        """Samples (n,). Raises `InputError` for what is not finite, empty or silent."""
        samples: Float32Array = said.float().cpu().numpy()
        problem = None
        if samples.ndim != 1 or not samples.size:
            problem = "no sound"
        elif not np.isfinite(samples).all():
            problem = "numbers that are not finite"
        elif float(np.abs(samples).max()) < SILENCE_PEAK:
            problem = "silence"
        if problem is not None:
            raise InputError(
                f"{self.model.id} made {problem} of this prompt; try another text, voice or seed", code="bad_prompt"
            )
        return samples


def _heard(prompt: Prompt) -> tuple[tuple[str, str], ...]:
    """The hash of the file that was spoken to the model."""
    return () if prompt.audio is None else (("prompt_audio_sha256", prompt.audio.sha256 or "not from a file"),)
