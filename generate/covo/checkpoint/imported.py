"""An imported Covo-Audio checkpoint: checked as a whole when it is opened, its parts loaded when they are asked for.

`covoguard models import covo` makes such a folder of a downloaded one (`pipeline/import_covo.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ....core.errors import ModelMissing
from ....core.modelcard import CHECKSUMS_NAME, ModelFolder, open_model
from ..config import CovoConfig, DecoderConfig
from ..json_fields import read_json
from ..language.prompt import load_tokenizer
from ..memory import require_room, usable_device, weight_bytes
from .card import GENERATOR
from .decoder_weights import LATENT_MEAN, LATENT_VARIANCE, kept_keys
from .expected_keys import language_model_keys
from .hub_folder import CONFIG_NAME
from .licence import check_accepted
from .shards import check_tensor_files, find_shards, load_tensors, open_tensors
from .voices import load_voices

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from ..language.language_model import CovoLanguageModel
    from ..token2wav.decoder import CovoDecoder, VoicePrompt

DECODER_CONFIG_NAME = "decoder_config.json"
DECODER_NAME = "decoder.safetensors"
VOICES_NAME = "voices.safetensors"
"""Not there when no voice was imported."""


def open_checkpoint(folder: Path) -> "CovoCheckpoint":
    """Check and open an imported folder: checksums, licence, both configurations.

    Raises `ModelMissing`, `IntegrityError`, and `UsageError` when the licence was not accepted.
    """
    if (folder / CONFIG_NAME).is_file() and not (folder / CHECKSUMS_NAME).is_file():
        raise ModelMissing(
            f"{folder}: a checkpoint that is not imported yet, or not to the end; "
            f"run `covoguard models import covo {folder}`"
        )
    model = open_model(folder)
    model.check_part("generator", GENERATOR)
    check_accepted(model.card, folder)
    for name in (CONFIG_NAME, DECODER_CONFIG_NAME, DECODER_NAME):
        if name not in model.checksums:
            raise ModelMissing(f"{folder}: {CHECKSUMS_NAME} does not list {name}; import the checkpoint again")
    config = CovoConfig.from_json(read_json(folder / CONFIG_NAME), str(folder / CONFIG_NAME))
    decoder = folder / DECODER_CONFIG_NAME
    return CovoCheckpoint(model, config, DecoderConfig.from_json(read_json(decoder), str(decoder)))


@dataclass(frozen=True)
class CovoCheckpoint:
    """A checked folder and what its configurations say."""

    folder: ModelFolder
    config: CovoConfig
    decoder_config: DecoderConfig

    def language_model_bytes(self, dtype: torch.dtype) -> int:
        """Memory that the language model's weights take in `dtype`."""
        return weight_bytes(language_model_keys(self.config), dtype)

    def language_model(
        self, device: str | torch.device, dtype: torch.dtype, *, further_bytes: int = 0
    ) -> "CovoLanguageModel":
        """Load the language model, one file of weights at a time and without a random one first.

        `further_bytes` is what else must find room on the device: caches and the decoder. Raises `UsageError` for too
        little GPU memory, `IntegrityError` for files that do not hold this model.
        """
        from ..language.language_model import CovoLanguageModel

        device = usable_device(device)
        shards = find_shards(self.folder.path)
        check_tensor_files(shards, language_model_keys(self.config), str(self.folder.path))
        require_room(device, self.language_model_bytes(dtype) + further_bytes, "the model with its caches")
        with torch.device("meta"):
            model = CovoLanguageModel(self.config)
        load_tensors(model, shards, device, dtype)
        model.reset_buffers()
        return model.requires_grad_(False).eval()

    @property
    def decoder_bytes(self) -> int:
        """Memory that the decoder's weights take, whatever its layers calculate in."""
        return weight_bytes(kept_keys(self.decoder_config), torch.float32)

    def decoder(
        self,
        device: str | torch.device,
        dtype: torch.dtype,
        *,
        vocoder_dtype: torch.dtype = torch.float32,
        tf32: bool = False,
    ) -> "CovoDecoder":
        """Load the decoder with the voices of the folder; the settings are those of `CovoDecoder`.

        Raises as `language_model`.
        """
        from ..token2wav.decoder import CovoDecoder
        from ..token2wav.flow import FlowTransformer
        from ..token2wav.vocoder import Vocoder

        device = usable_device(device)
        path = self.folder.path / DECODER_NAME
        check_tensor_files([path], kept_keys(self.decoder_config), str(path))
        require_room(device, self.decoder_bytes, "the decoder")
        with torch.device("meta"):
            flow, vocoder = FlowTransformer(self.decoder_config.flow), Vocoder(self.decoder_config.vocoder)
        for module, prefix in ((flow, "token2latent."), (vocoder, "wavegan.")):
            load_tensors(module, [path], device, torch.float32, prefix)
        with open_tensors(path) as file:
            mean, variance = file.get_tensor(LATENT_MEAN), file.get_tensor(LATENT_VARIANCE)
        return CovoDecoder(
            self.decoder_config, flow, vocoder, mean, variance, self.voices,
            device=device, dtype=dtype, vocoder_dtype=vocoder_dtype, tf32=tf32,
        )  # fmt: skip

    def tokenizer(self) -> "PreTrainedTokenizerFast":
        """The checkpoint's tokenizer. Raises `IntegrityError` for files that cannot be read."""
        return load_tokenizer(self.folder.path)

    @cached_property
    def voices(self) -> "Mapping[str, VoicePrompt]":
        """The imported voice prompts, by name."""
        from ..token2wav.decoder import VoicePrompt

        if VOICES_NAME not in self.folder.checksums:
            return {}
        voices = load_voices(self.folder.path / VOICES_NAME, self.decoder_config.flow)
        return {
            name: VoicePrompt(voice.get("tokens"), voice.get("latents"), voice.get("speaker"))
            for name, voice in voices.items()
        }
