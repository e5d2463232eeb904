from pathlib import Path

import pytest

import covoguard


@pytest.fixture(scope="session")
def model_content():
    """The bundled letter-to-sound model."""
    return Path(covoguard.__file__).parent.joinpath("generate/pocket/model/letter_to_sound.safetensors").read_bytes()
