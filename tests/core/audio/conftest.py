"""Fixtures for the tests of audio input."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from covoguard.core.audio import AudioReader, DecodedAudio, VoiceActivity, open_input

ReadBytes = Callable[[bytes], DecodedAudio]


@pytest.fixture(scope="session")
def reader() -> Iterator[AudioReader]:
    with AudioReader() as shared:
        yield shared


@pytest.fixture
def read_bytes(reader: AudioReader, tmp_path: Path) -> ReadBytes:
    """Decode bytes through the real reader, from a file whose name says nothing."""

    def read(data: bytes) -> DecodedAudio:
        path = tmp_path / "input"
        path.write_bytes(data)
        with open_input(path) as opened:
            return reader.read(opened)

    return read


@pytest.fixture(scope="session")
def vad() -> VoiceActivity:
    return VoiceActivity()


@pytest.fixture(scope="session")
def corpus() -> list[Path]:
    """Real clips of 16 kHz speech, genuine and generated."""
    root = next(p for p in Path(__file__).parents if (p / "pyproject.toml").is_file())
    clips = sorted((root.parent / "shared/corpus/audio").glob("*.flac"))
    if not clips:
        pytest.skip("needs ../shared/corpus beside the repository")
    return clips
