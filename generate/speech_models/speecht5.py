"""SpeechT5: text to speech, or speech in another voice, in the voice of a speaker embedding (arXiv:2110.07205)."""

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ...core.cliprecord import Settings, SpeechKind
from ...core.errors import ModelMissing, UsageError
from ...core.generatorsettings import GeneratorSettings
from ...core.records import Prompt
from .character_tokenizer import FILE_NAME, load_character_tokenizer, spells_numbers
from .checkpoint import VOCODER_NAME, CheckpointFolder
from .family import check_ids, check_length, check_range, sound_of, text_of
from .loading import load_feature_extractor, load_model, load_tokenizer
from .voice_files import read_speakers

if TYPE_CHECKING:
    import torch

MAX_SOUND_S = 30.0
FRAMES_PER_INPUT = 20.0
"""Frames of spectrogram per place of the encoder after which the official code gives up waiting for an end."""


class SpeechT5:
    """Voices are `voices/NAME.npy`; the HiFi-GAN is the folder `vocoder`. Kind `tts` or `vc`, by the class saved."""

    family = "SpeechT5"

    def __init__(self, checkpoint: CheckpointFolder, device: "torch.device", settings: GeneratorSettings) -> None:
        """As `SpeechFamily`."""
        import transformers

        self._who = f"{checkpoint.card['id']} (SpeechT5)"
        settings.only(self._who, "device", "max_seconds")
        classes = {
            "SpeechT5ForTextToSpeech": transformers.SpeechT5ForTextToSpeech,
            "SpeechT5ForSpeechToSpeech": transformers.SpeechT5ForSpeechToSpeech,
        }
        if checkpoint.architecture not in classes:
            raise UsageError(
                f"{checkpoint.path}: {checkpoint.architecture or 'a SpeechT5 of unknown kind'} makes no speech; "
                f"give one of {', '.join(classes)}"
            )
        self.kind: SpeechKind = "tts" if checkpoint.architecture == "SpeechT5ForTextToSpeech" else "vc"
        self._folder = checkpoint.path
        if not (checkpoint.path / VOCODER_NAME).is_dir():
            raise ModelMissing(
                f"{checkpoint.path}: makes spectrograms, and there is no {VOCODER_NAME}; put the folder of its "
                f"HiFi-GAN, such as speecht5_hifigan, there under that name"
            )
        self._speakers = read_speakers(checkpoint.path, int(checkpoint.config.get("speaker_embedding_dim", 512)))
        self.voices = tuple(self._speakers)
        self.reference_voices = self.voices
        self._input = load_feature_extractor(checkpoint.path) if self.kind == "vc" else self._text_tokenizer()
        self._model = load_model(classes[checkpoint.architecture], checkpoint.path, device)
        self._vocoder = load_model(transformers.SpeechT5HifiGan, checkpoint.path / VOCODER_NAME, device)
        self.rate_hz = int(self._vocoder.config.sampling_rate)
        self._max_s = settings.max_seconds

    def speak(self, prompt: Prompt, voice: str) -> "torch.Tensor":
        """Text to speech, or the prompt's speech in `voice`; longer than `max_seconds` it is cut."""
        import torch

        values = self._heard(prompt) if self.kind == "vc" else self._read(prompt)
        places = self._places(values.shape[1])
        speaker = torch.from_numpy(self._speakers[voice].values)[None].to(self._model.device)
        waveform: torch.Tensor = self._model.generate_speech(
            values,
            speaker,
            attention_mask=torch.ones_like(values, dtype=torch.long),
            maxlenratio=self._most_steps(places) * self._model.config.reduction_factor / places + 1e-6,
            vocoder=self._vocoder,
        )
        return waveform

    def sampling(self, voice: str) -> Settings:
        """The dropout that stays on while it speaks, and whose embedding it was."""
        config = self._model.config
        bound = () if self._max_s is None else (("max_seconds", self._max_s),)
        return (
            ("prenet_dropout", float(config.speech_decoder_prenet_dropout)),
            ("speaker_embedding_sha256", self._speakers[voice].sha256),
            *bound,
        )

    def _text_tokenizer(self) -> Any:
        has_characters = (self._folder / FILE_NAME).is_file()
        return load_character_tokenizer(self._folder) if has_characters else load_tokenizer(self._folder)

    def _read(self, prompt: Prompt) -> "torch.Tensor":
        """Ids (1, n), the end among them."""
        import torch

        text = text_of(prompt, self._who)
        if self._spells_numbers:
            from transformers.models.speecht5.number_normalizer import EnglishNumberNormalizer

            normalizer: Any = EnglishNumberNormalizer  # has no types
            text = normalizer()(text)
        config = self._model.config
        said: list[int] = self._input(text, add_special_tokens=False)["input_ids"]
        check_ids(self._input, said, self._who)
        check_range(said, config.vocab_size, self._who)
        check_length(len(said) + 1, config.max_text_positions, self._who)
        return torch.tensor([[*said, config.eos_token_id]], device=self._model.device)

    def _heard(self, prompt: Prompt) -> "torch.Tensor":
        """Samples (1, n) as the model takes them."""
        rate_hz = int(self._input.sampling_rate)
        samples = sound_of(prompt, self._who, rate_hz, MAX_SOUND_S)
        made = self._input(audio=samples, sampling_rate=rate_hz, return_tensors="pt")
        values: torch.Tensor = made["input_values"].to(self._model.device)
        return values

    def _places(self, length: int) -> int:
        """Of the encoder: as many as ids, or as the convolutions leave of samples."""
        config = self._model.config
        for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True) if self.kind == "vc" else ():
            length = (length - kernel) // stride + 1
        return length

    def _most_steps(self, places: int) -> int:
        """Steps of the decoder, at most as many as it has places for."""
        config = self._model.config
        most: int = min(int(places * FRAMES_PER_INPUT / config.reduction_factor), config.max_speech_positions - 1)
        if self._max_s is not None:
            most = min(most, math.ceil(self._max_s / self._frame_s / config.reduction_factor))
        return max(1, most)

    @cached_property
    def _frame_s(self) -> float:
        return math.prod(map(int, self._vocoder.config.upsample_rates)) / self.rate_hz

    @cached_property
    def _spells_numbers(self) -> bool:
        return spells_numbers(self._folder)
