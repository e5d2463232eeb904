"""FastSpeech2Conformer: text to spectrogram without attention between them, and a HiFi-GAN (arXiv:2010.13956)."""

from typing import TYPE_CHECKING, Any

from ...core.cliprecord import Settings, SpeechKind
from ...core.errors import ModelMissing
from ...core.generatorsettings import GeneratorSettings
from ...core.records import Prompt
from .checkpoint import VOCODER_NAME, CheckpointFolder
from .family import MAX_TOKENS, check_ids, check_length, check_range, numbered, text_of
from .loading import load_model, load_tokenizer

if TYPE_CHECKING:
    import torch

WITH_VOCODER = "fastspeech2_conformer_with_hifigan"
RATE_HZ = 22_050
"""Of the published checkpoints, whose configuration need not state it."""


class FastSpeech2:
    """With its HiFi-GAN in one checkpoint or in the folder `vocoder`. The same prompt always sounds the same."""

    family = "FastSpeech2Conformer"
    kind: SpeechKind = "tts"

    def __init__(self, checkpoint: CheckpointFolder, device: "torch.device", settings: GeneratorSettings) -> None:
        """As `SpeechFamily`."""
        import transformers

        self._who = f"{checkpoint.card['id']} (FastSpeech2Conformer)"
        settings.only(self._who, "device")
        vocoder_folder = checkpoint.path / VOCODER_NAME
        is_whole = checkpoint.model_type == WITH_VOCODER
        if not is_whole and not vocoder_folder.is_dir():
            raise ModelMissing(
                f"{checkpoint.path}: makes spectrograms, and there is no {VOCODER_NAME}; put the folder of its "
                "HiFi-GAN there under that name, or give a checkpoint that has both"
            )
        self._tokenizer = load_tokenizer(checkpoint.path)
        if is_whole:
            whole = load_model(transformers.FastSpeech2ConformerWithHifiGan, checkpoint.path, device)
            self._model, self._vocoder = whole.model, whole.vocoder
        else:
            self._model = load_model(transformers.FastSpeech2ConformerModel, checkpoint.path, device)
            self._vocoder = load_model(transformers.FastSpeech2ConformerHifiGan, vocoder_folder, device)
        self._config: Any = self._model.config
        self._device = device
        self.rate_hz = int(getattr(self._vocoder.config, "sampling_rate", RATE_HZ))
        self.voices = numbered(self._config.num_speakers or 1)

    def speak(self, prompt: Prompt, voice: str) -> "torch.Tensor":
        """Text to speech."""
        import torch

        text = text_of(prompt, self._who)
        ids: list[int] = self._tokenizer(text)["input_ids"]
        check_ids(self._tokenizer, self._tokenizer(text, add_special_tokens=False)["input_ids"], self._who)
        check_range(ids, self._config.vocab_size, self._who)
        check_length(len(ids), MAX_TOKENS, self._who)
        speaker = torch.tensor([[int(voice)]], device=self._device) if len(self.voices) > 1 else None
        made = self._model(torch.tensor([ids], device=self._device), speaker_ids=speaker, return_dict=True)
        waveforms: torch.Tensor = self._vocoder(made.spectrogram)
        return waveforms.reshape(-1)

    def sampling(self, voice: str) -> Settings:
        """The speed; nothing is drawn."""
        return (("speaking_speed", float(self._config.speaking_speed)),)
