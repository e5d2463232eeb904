"""A checkpoint as it is downloaded: which of its files we need, where they lie, and whether they are what they say.

config.json, tokenizer files, model-0000k-of-0000N.safetensors, model.safetensors.index.json
token2wav/config.json, token2wav/model.pt, token2wav/global_mean_var.npy (or beside config.json)
voices/NAME/*.npy, if the user has put voice prompts there
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ....core.errors import IntegrityError, ModelMissing
from ..config import CovoConfig, DecoderConfig
from ..json_fields import read_json
from ..language.prompt import PromptWriter, load_tokenizer
from .expected_keys import language_model_keys
from .shards import INDEX_NAME, check_numbers, check_tensor_files, find_shards

CONFIG_NAME = "config.json"
DECODER_FOLDER = "token2wav"
STATISTICS_NAME = "global_mean_var.npy"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
)
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class HubFolder:
    """The files of a downloaded checkpoint; `check` looks into them."""

    path: Path
    config: CovoConfig
    decoder_config: DecoderConfig
    shards: tuple[Path, ...]
    small_files: tuple[Path, ...]
    """Configuration, tokenizer and index: what is copied where the checkpoint must stay untouched."""

    @property
    def decoder_config_file(self) -> Path:
        """Of the token-to-audio decoder."""
        return self.path / DECODER_FOLDER / CONFIG_NAME

    @property
    def decoder_weights(self) -> Path:
        """`model.pt`."""
        return self.path / DECODER_FOLDER / "model.pt"

    @property
    def statistics(self) -> Path:
        """Mean and variance of the latents: beside `model.pt`, or else at the top."""
        inside = self.path / DECODER_FOLDER / STATISTICS_NAME
        return inside if inside.is_file() else self.path / STATISTICS_NAME

    def sources(self) -> Iterator[Path]:
        """Every file that an import reads, voices left aside."""
        yield from (*self.small_files, *self.shards, self.decoder_config_file, self.decoder_weights, self.statistics)

    def check(self) -> None:
        """Compare tokenizer and language model with the configuration, down to every number of the weights.

        Raises `ModelMissing` or `IntegrityError` that names the file.
        """
        for path in self.sources():
            if not path.is_file():
                raise ModelMissing(f"{path}: missing; give the whole folder of a Covo-Audio checkpoint")
        codes, codebook = len(self.config.audio_ids), self.decoder_config.flow.token_vocab_size
        if codes != codebook:
            raise IntegrityError(
                f"{self.decoder_config_file}: model.token2latent.token_vocab_size is {codebook}, but the language "
                f"model has {codes} audio ids; use language model and decoder of one checkpoint"
            )
        PromptWriter(load_tokenizer(self.path), self.config, str(self.path))
        check_tensor_files(self.shards, language_model_keys(self.config), str(self.path))
        for shard in self.shards:
            check_numbers(shard)


def open_hub_folder(path: Path) -> HubFolder:
    """Read the configurations and find the files. Raises `ModelMissing` or `IntegrityError` that names the file."""
    if not path.is_dir():
        raise ModelMissing(f"{path}: no such folder; give the folder of a Covo-Audio checkpoint, or its id on the hub")
    config, decoder_config = path / CONFIG_NAME, path / DECODER_FOLDER / CONFIG_NAME
    names = (CONFIG_NAME, *TOKENIZER_FILES, INDEX_NAME)
    return HubFolder(
        path,
        CovoConfig.from_json(read_json(config), str(config)),
        DecoderConfig.from_json(read_json(decoder_config), str(decoder_config)),
        find_shards(path),
        tuple(path / name for name in names if (path / name).is_file()),
    )


def resolve_checkpoint(source: str, *, download: bool) -> Path:
    """The folder that is meant: `source` itself, or the snapshot of the model with that id on the hub.

    A snapshot is taken from the local cache of the hub; only with `download` is it fetched. Raises `ModelMissing`.
    """
    if Path(source).is_dir() or not _HUB_ID.fullmatch(source):
        return Path(source)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(source, local_files_only=not download))
    except Exception as error:  # network, proxy, access, disk: each its own family of errors
        if download:
            reason = " ".join(str(error).split())[:200]
            raise ModelMissing(
                f"{source}: no such folder, and it could not be downloaded ({type(error).__name__}: {reason}); "
                "check the id, your access to it and the network, or give a folder"
            ) from error
        raise ModelMissing(
            f"{source}: no such folder, and no model of that id in the local cache of the hub; "
            "give a folder, or --download to fetch it"
        ) from error
