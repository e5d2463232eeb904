"""Recorded noises and room responses from folders, to damage clips with."""

from pathlib import Path

from ..core.audio import AudioReader, open_input
from ..core.errors import UsageError
from ..core.records import Float32Array
from ..datasets.degrade.chain import Sounds


def load_sounds(noise_folder: Path | None, rooms_folder: Path | None) -> Sounds:
    """Every sound file in the two folders, in order of name, as a scan would hear it.

    Raises `UsageError` for a folder without any, `InputError` for the first file that cannot be read.
    """
    return Sounds(noises=_load_folder(noise_folder), rooms=_load_folder(rooms_folder))


def _load_folder(folder: Path | None) -> list[Float32Array]:
    if folder is None:
        return []
    paths = sorted(path for path in folder.glob("*") if path.is_file() and not path.name.startswith("."))
    if not paths:
        raise UsageError(f"{folder}: no sound files here")
    sounds = []
    with AudioReader() as reader:
        for path in paths:
            with open_input(path) as opened:
                sounds.append(reader.read(opened).audio.samples)
    return sounds
