"""Bark: three language models over text, semantic and codec tokens, and EnCodec (github.com/suno-ai/bark)."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.cliprecord import Settings, SpeechKind
from ...core.errors import IntegrityError
from ...core.generatorsettings import GeneratorSettings
from ...core.records import Prompt
from .checkpoint import CheckpointFolder
from .family import check_ids, check_length, text_of
from .loading import load_model, load_tokenizer
from .voice_files import read_array

if TYPE_CHECKING:
    import torch

PRESETS_NAME = "speaker_embeddings_path.json"
PRESET_DIMENSIONS = {"semantic_prompt": 1, "coarse_prompt": 2, "fine_prompt": 2}
DEFAULT_RATE_HZ = 24_000
"""EnCodec's."""
RANDOM_VOICE = "random"
"""The model makes up a voice, another one for each seed."""


class Bark:
    """Voices are the presets whose files lie in the folder, after a `random` one."""

    family = "Bark"
    kind: SpeechKind = "tts"

    def __init__(self, checkpoint: CheckpointFolder, device: "torch.device", settings: GeneratorSettings) -> None:
        """As `SpeechFamily`."""
        from transformers import BarkModel
        from transformers.models.bark import generation_configuration_bark

        self._who = f"{checkpoint.card['id']} (Bark)"
        settings.only(self._who, "device", "temperature", "max_seconds")
        self._folder = checkpoint.path
        self._presets = _presets_of(checkpoint.path)
        self._tokenizer = load_tokenizer(checkpoint.path)
        self._model = load_model(BarkModel, checkpoint.path, device)
        self._semantic = self._config_of("semantic", generation_configuration_bark.BarkSemanticGenerationConfig)
        self._coarse = self._config_of("coarse_acoustics", generation_configuration_bark.BarkCoarseGenerationConfig)
        self._chosen = self._choices(settings)
        self.rate_hz = int(getattr(self._model.generation_config, "sample_rate", DEFAULT_RATE_HZ))
        self.voices = (RANDOM_VOICE, *self._presets)

    def speak(self, prompt: Prompt, voice: str) -> "torch.Tensor":
        """Text to speech; a text of more tokens than the model hears is refused, where the library would cut it."""
        text = text_of(prompt, self._who)
        most = int(self._semantic["max_input_semantic_length"])
        said: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        check_ids(self._tokenizer, said, self._who)
        check_length(len(said), most, self._who)
        padded = self._tokenizer(
            text, padding="max_length", max_length=most, add_special_tokens=False, return_tensors="pt",
            return_attention_mask=True,
        )  # fmt: skip
        waveforms: torch.Tensor = self._model.generate(
            padded["input_ids"].to(self._model.device),
            attention_mask=padded["attention_mask"].to(self._model.device),
            history_prompt=None if voice == RANDOM_VOICE else self._history(voice),
            **self._chosen,
        )
        return waveforms[0]

    def sampling(self, voice: str) -> Settings:
        """How the first two models draw, by the checkpoint or the user, and the bound on the length."""
        longest = self._chosen.get("semantic_max_new_tokens", self._semantic["max_new_tokens"])
        pairs: list[tuple[str, float | int]] = [("semantic_max_new_tokens", int(longest))]
        for stage, own in (("semantic", self._semantic), ("coarse", self._coarse)):
            draws = self._chosen.get(f"{stage}_do_sample", own.get("do_sample", False))
            temperature = self._chosen.get(f"{stage}_temperature", own.get("temperature") or 1.0)
            pairs.append((f"{stage}_temperature", float(temperature) if draws else 0.0))
        return tuple(pairs)

    def _config_of(self, part: str, defaults: type) -> Mapping[str, Any]:
        """How one of the models is run: the checkpoint's word, or the library's where it is silent."""
        given = getattr(self._model.generation_config, f"{part}_config", None)
        if not isinstance(given, dict):
            raise IntegrityError(
                f"{self._folder / 'generation_config.json'}: does not say how to run the {part} model; "
                "get the checkpoint again"
            )
        made: dict[str, Any] = vars(defaults(**given))
        return made

    def _choices(self, settings: GeneratorSettings) -> dict[str, float | int]:
        """What the user chose, in the words of the library's `generate`."""
        chosen: dict[str, float | int] = {}
        if settings.temperature is not None:
            for stage in ("semantic", "coarse"):
                chosen |= {f"{stage}_do_sample": True, f"{stage}_temperature": settings.temperature}
        if settings.max_seconds is not None:
            asked = math.ceil(settings.max_seconds * self._semantic["semantic_rate_hz"])
            chosen["semantic_max_new_tokens"] = min(asked, int(self._semantic["max_new_tokens"]))
        return chosen

    def _history(self, voice: str) -> "dict[str, torch.Tensor]":
        import torch

        history = {}
        for name, dimensions in PRESET_DIMENSIONS.items():
            path = self._folder / self._presets[voice][name]
            ids = read_array(path)
            if ids.ndim != dimensions or ids.dtype.kind not in "iu" or not ids.size or int(ids.min()) < 0:
                raise IntegrityError(f"{path}: {ids.dtype} of shape {ids.shape}, no {name} of a voice; get it again")
            history[name] = torch.as_tensor(ids.astype("int64"), device=self._model.device)
        return history


def _presets_of(folder: Path) -> dict[str, dict[str, str]]:
    """The presets that the folder lists and has the files of. Raises `IntegrityError` for a damaged list."""
    listing = folder / PRESETS_NAME
    if not listing.is_file():
        return {}
    try:
        listed = json.loads(listing.read_bytes())
        presets = {
            str(voice): {name: str(files[name]) for name in PRESET_DIMENSIONS}
            for voice, files in listed.items()
            if isinstance(files, dict)
        }
    except (ValueError, KeyError, AttributeError, RecursionError) as error:
        raise IntegrityError(f"{listing}: no list of voice presets; get it again, or remove it") from error
    root = folder.resolve()
    return {
        voice: files
        for voice, files in presets.items()
        if all((folder / name).is_file() and _is_below(root, folder / name) for name in files.values())
    }


def _is_below(root: Path, path: Path) -> bool:
    """By name only: files of a cache are links to elsewhere."""
    return path.parent.resolve().is_relative_to(root)
