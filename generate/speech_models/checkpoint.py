"""A checkpoint folder as transformers saves it: `config.json` and weights, without a card or checksums of ours.

Its identity is made from the weights that are there when it is opened, so that a record names what really spoke.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from ...core.errors import IntegrityError, ModelMissing
from ...core.modelcard import ModelFolder, sha256_of_file

CONFIG_NAME = "config.json"
VOCODER_NAME = "vocoder"
"""Folder inside a checkpoint where the vocoder of a model lies that makes spectrograms only."""
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
"""In the order in which transformers looks for them; it loads the first that is there."""
NOT_STATED = "not stated"
_VERSION_DIGITS = 12
_README_BYTES = 64 << 10


@dataclass(frozen=True)
class CheckpointFolder(ModelFolder):
    """A `ModelFolder` whose card and checksums were made as it was opened."""

    config: Mapping[str, Any]
    """What `config.json` says."""

    @property
    def model_sha256(self) -> str:
        """Hash of the list of all weight files with their hashes."""
        return _sha256_of_list(self.checksums)

    @property
    def model_type(self) -> str:
        """What transformers calls the architecture; empty when the configuration does not say."""
        return str(self.config.get("model_type", ""))

    @property
    def config_sha256(self) -> str:
        """Hash of the configuration, which decides the sound beside the weights."""
        return hashlib.sha256(json.dumps(self.config, sort_keys=True).encode()).hexdigest()

    def of_family(self, family: str) -> Self:
        """The same, with the family's name in its card."""
        return replace(self, card={**self.card, "family": family})

    @property
    def architecture(self) -> str:
        """The class that was saved; empty when the configuration does not say."""
        return str((self.config.get("architectures") or [""])[0])


def open_checkpoint(folder: Path) -> CheckpointFolder:
    """Read what a checkpoint folder is and hash its weights, with those of the vocoder inside it.

    Raises `ModelMissing` for a folder without a configuration or weights, `IntegrityError` for a damaged one.
    """
    try:
        config = read_config(folder)
        parts = [folder, folder / VOCODER_NAME] if (folder / VOCODER_NAME).is_dir() else [folder]
        files = [path for part in parts for path in _weight_files(part)]
        checksums = {path.relative_to(folder).as_posix(): sha256_of_file(path) for path in files}
        card = {
            "id": _name_of(folder),
            "version": _sha256_of_list(checksums)[:_VERSION_DIGITS],
            "generator": "transformers",
            "licence": _licence_of(folder / "README.md"),
        }
    except OSError as error:
        raise ModelMissing(f"{error.filename or folder}: cannot be read ({error.strerror}); check the path") from error
    return CheckpointFolder(folder, card, checksums, config)


def read_config(folder: Path) -> Mapping[str, Any]:
    """`config.json` of a checkpoint folder. Raises `ModelMissing`, `IntegrityError` and `OSError`."""
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise ModelMissing(f"{folder}: no checkpoint of transformers ({CONFIG_NAME} is missing); give its folder")
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{path}: not JSON ({error}); get the checkpoint again") from error
    if not isinstance(config, dict) or not isinstance(config.get("architectures") or [""], list):
        raise IntegrityError(f"{path}: no configuration of transformers; get the checkpoint again")
    return config


def _weight_files(folder: Path) -> list[Path]:
    """The files that transformers will load, of one format only."""
    found = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if found is None:
        raise ModelMissing(f"{folder}: no weights ({WEIGHTS[0]} or {WEIGHTS[2]}); get the checkpoint again")
    if found.suffix != ".json":
        return [found]
    try:
        names = sorted(set(json.loads(found.read_bytes())["weight_map"].values()))
        files = [folder / name for name in names if Path(name).name == name]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{found}: no index of weights; get the checkpoint again") from error
    absent = [path.name for path in files if not path.is_file()]
    if absent or len(files) != len(names) or not files:
        raise ModelMissing(f"{found}: lists {(absent or names or ['nothing'])[0]}, which is not there; get it again")
    return files


def _sha256_of_list(checksums: Mapping[str, str]) -> str:
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(checksums.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def _name_of(folder: Path) -> str:
    """The folder's name, or the repository's where the folder is a snapshot in the cache of Hugging Face."""
    folder = folder.resolve()
    repository = folder.parent.parent.name
    if folder.parent.name == "snapshots" and repository.startswith("models--"):
        return repository.rpartition("--")[2]
    return folder.name


def _licence_of(readme: Path) -> str:
    """What the head of a README says, as Hugging Face's model pages have it."""
    if not readme.is_file():
        return NOT_STATED
    with readme.open(encoding="utf-8", errors="replace") as file:
        head = re.match(r"---\s*\n(.*?)\n---", file.read(_README_BYTES), re.DOTALL)
    said = {}
    for key in ("license", "license_name"):
        line = re.search(rf"^{key}:\s*(?:-\s*)?[\"']?([^\s\"'#]+)", head[1], re.MULTILINE) if head else None
        said[key] = line[1] if line else None
    return (said["license_name"] if said["license"] == "other" else None) or said["license"] or NOT_STATED
