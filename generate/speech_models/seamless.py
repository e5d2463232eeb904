"""SeamlessM4T, both versions: text or speech in, speech out, by way of text and units (arXiv:2308.11596)."""

from typing import TYPE_CHECKING, Any

from ...core.cliprecord import Settings, SpeechKind
from ...core.errors import IntegrityError, UsageError
from ...core.generatorsettings import GeneratorSettings
from ...core.records import Prompt
from .checkpoint import CheckpointFolder
from .family import check_ids, check_length, sound_of, text_of
from .loading import load_feature_extractor, load_model, load_tokenizer

if TYPE_CHECKING:
    import torch

ROLES = {"Model": (True, True), "ForTextToSpeech": (True, False), "ForSpeechToSpeech": (False, True)}
"""Whether a class takes text, and whether it takes speech, by the end of its name."""
PREFIXES = {"seamless_m4t": "SeamlessM4T", "seamless_m4t_v2": "SeamlessM4Tv2"}
SPEAKER_ARGUMENTS = {"seamless_m4t": "spkr_id", "seamless_m4t_v2": "speaker_id"}
LANGUAGE_TABLES = ("text_decoder_lang_to_code_id", "t2u_lang_code_to_id", "vocoder_lang_code_to_id")
FIRST_LANGUAGE = "eng"
MAX_SOUND_S = 60.0


class SeamlessM4T:
    """Voices are `LANGUAGE/SPEAKER`: what is said, translated into the language if need be, by that speaker.

    Written prompts are in the tokenizer's source language (`src_lang` in tokenizer_config.json, English by itself).
    """

    family = "SeamlessM4T"
    kind: SpeechKind = "tts"
    """Also of what it says again: the words go through text, and nothing of the voice that was heard is kept."""

    def __init__(self, checkpoint: CheckpointFolder, device: "torch.device", settings: GeneratorSettings) -> None:
        """As `SpeechFamily`."""
        import transformers

        self._who = f"{checkpoint.card['id']} (SeamlessM4T)"
        settings.only(self._who, "device", "temperature")
        classes = {f"{PREFIXES[checkpoint.model_type]}{role}": takes for role, takes in ROLES.items()}
        if checkpoint.architecture not in classes:
            raise UsageError(
                f"{checkpoint.path}: {checkpoint.architecture or 'a SeamlessM4T of unknown kind'} makes no speech; "
                f"give one of {', '.join(classes)}"
            )
        takes_text, takes_speech = classes[checkpoint.architecture]
        self._tokenizer = load_tokenizer(checkpoint.path) if takes_text else None
        self._features = load_feature_extractor(checkpoint.path) if takes_speech else None
        self._model = load_model(getattr(transformers, checkpoint.architecture), checkpoint.path, device)
        self._speaker_argument = SPEAKER_ARGUMENTS[checkpoint.model_type]
        self._temperature = settings.temperature
        self.rate_hz = int(self._model.config.sampling_rate)
        languages = self._languages(checkpoint)
        self.voices = tuple(
            f"{language}/{speaker}" for language in languages for speaker in range(self._model.config.vocoder_num_spkrs)
        )

    def speak(self, prompt: Prompt, voice: str) -> "torch.Tensor":
        """What the prompt says, in the voice's language."""
        language, speaker = voice.split("/")
        drawing: dict[str, Any] = {}
        if self._temperature is not None:
            drawing = {"text_do_sample": True, "text_temperature": self._temperature}
        waveforms: torch.Tensor
        waveforms, _ = self._model.generate(
            **self._inputs(prompt), tgt_lang=language, **{self._speaker_argument: int(speaker)}, **drawing
        )
        return waveforms.reshape(-1)

    def sampling(self, voice: str) -> Settings:
        """The temperature of the text; 0 where it is the most likely one."""
        own = self._model.generation_config
        temperature = self._temperature or (float(own.temperature or 1.0) if own.do_sample else 0.0)
        source = () if self._tokenizer is None else (("source_language", self._tokenizer.src_lang.strip("_")),)
        return (("text_temperature", temperature), *source)

    def _inputs(self, prompt: Prompt) -> dict[str, "torch.Tensor"]:
        if self._tokenizer is None or (prompt.audio is not None and self._features is not None):
            made = self._heard(prompt)
        else:
            made = self._read(prompt)
        return {name: values.to(self._model.device) for name, values in made.items()}

    def _read(self, prompt: Prompt) -> dict[str, "torch.Tensor"]:
        tokenizer: Any = self._tokenizer
        text = text_of(prompt, self._who)
        check_ids(tokenizer, tokenizer(text, add_special_tokens=False)["input_ids"], self._who)
        made = tokenizer(text, return_tensors="pt")
        check_length(made["input_ids"].shape[1], self._model.config.max_position_embeddings, self._who)
        return {name: made[name] for name in ("input_ids", "attention_mask")}

    def _heard(self, prompt: Prompt) -> dict[str, "torch.Tensor"]:
        features: Any = self._features
        rate_hz = int(features.sampling_rate)
        made = features(sound_of(prompt, self._who, rate_hz, MAX_SOUND_S), sampling_rate=rate_hz, return_tensors="pt")
        return {name: made[name] for name in ("input_features", "attention_mask")}

    def _languages(self, checkpoint: CheckpointFolder) -> list[str]:
        """Those that it can say, English first."""
        tables = [getattr(self._model.generation_config, name, None) for name in LANGUAGE_TABLES]
        if not all(isinstance(table, dict) and table for table in tables):
            raise IntegrityError(
                f"{checkpoint.path / 'generation_config.json'}: does not list the languages "
                f"({', '.join(LANGUAGE_TABLES)}); get the checkpoint again"
            )
        shared = set.intersection(*(set(table) for table in tables if table))
        return sorted(shared, key=lambda language: (language != FIRST_LANGUAGE, language))
