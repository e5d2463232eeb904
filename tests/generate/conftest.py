from pathlib import Path

import pytest
from pocket_model import build_pocket_model

import covoguard


@pytest.fixture(scope="session")
def model_content():
    """The bundled letter-to-sound model."""
    return Path(covoguard.__file__).parent.joinpath("generate/pocket/model/letter_to_sound.safetensors").read_bytes()


@pytest.fixture(scope="session")
def pocket_folder(tmp_path_factory):
    """A whole pocket model folder with random weights; not to be changed."""
    folder = tmp_path_factory.mktemp("pocket") / "model"
    build_pocket_model(folder)
    return folder
