"""VITS and MMS-TTS: text to waveform in one network (arXiv:2106.06103, arXiv:2305.13516)."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from ...core.cliprecord import Settings, SpeechKind
from ...core.errors import UsageError
from ...core.generatorsettings import GeneratorSettings
from ...core.records import Prompt
from .checkpoint import CheckpointFolder
from .family import MAX_TOKENS, check_ids, check_length, check_range, numbered, text_of
from .loading import load_model, load_tokenizer

if TYPE_CHECKING:
    import torch


class Vits:
    """Voices are the checkpoint's speakers by number. `temperature` is the paper's noise scale of the prior."""

    family = "VITS"
    kind: SpeechKind = "tts"

    def __init__(self, checkpoint: CheckpointFolder, device: "torch.device", settings: GeneratorSettings) -> None:
        """As `SpeechFamily`; `UsageError` too when the tokenizer needs a phonemizer that is not installed."""
        from transformers import VitsModel

        self._who = f"{checkpoint.card['id']} (VITS)"
        settings.only(self._who, "device", "temperature")
        self._tokenizer = load_tokenizer(checkpoint.path)
        if getattr(self._tokenizer, "phonemize", False) and find_spec("phonemizer") is None:
            raise UsageError(f"{self._who} reads phonemes: install the package phonemizer, and espeak-ng for it")
        self._model = load_model(VitsModel, checkpoint.path, device)
        if settings.temperature is not None:
            self._model.noise_scale = settings.temperature
        self.rate_hz = int(self._model.config.sampling_rate)
        self.voices = numbered(self._model.config.num_speakers)

    def speak(self, prompt: Prompt, voice: str) -> "torch.Tensor":
        """Text to speech."""
        import torch

        ids = torch.tensor([self._ids(text_of(prompt, self._who))], device=self._model.device)
        speaker = int(voice) if len(self.voices) > 1 else None
        waveforms: torch.Tensor = self._model(ids, attention_mask=torch.ones_like(ids), speaker_id=speaker).waveform
        return waveforms[0]

    def sampling(self, voice: str) -> Settings:
        """The scales of the noise, and the speed."""
        return (
            ("noise_scale", float(self._model.noise_scale)),
            ("noise_scale_duration", float(self._model.noise_scale_duration)),
            ("speaking_rate", float(self._model.speaking_rate)),
        )

    def _ids(self, text: str) -> list[int]:
        if getattr(self._tokenizer, "is_uroman", False) and not text.isascii() and find_spec("uroman") is None:
            raise UsageError(f"{self._who} reads Latin letters: install the package uroman, or romanise the text")
        ids: list[int] = self._tokenizer(text)["input_ids"]
        # a blank, which may share its id with a letter, stands before, between and after the letters
        check_ids(self._tokenizer, ids[1::2] if getattr(self._tokenizer, "add_blank", False) else ids, self._who)
        check_range(ids, self._model.config.vocab_size, self._who)
        check_length(len(ids), MAX_TOKENS, self._who)
        return ids
