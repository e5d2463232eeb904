"""What the waveform marks need of the user: each mark takes what concerns it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CheckpointFile:
    """Weights that the user brought, and the SHA-256 (hex) of the file that they trust."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class WaveformSettings:
    """None: not given, so a mark that needs it is not looked for."""

    audioseal_generator: CheckpointFile | None = None
    """Puts the mark on."""
    audioseal_detector: CheckpointFile | None = None
    """Finds it."""
    audiowmark_key: Path | None = None
    """A key file of `audiowmark gen-key`."""
    issued: Path | None = None
    """The register of issued messages; None: the one in the data folder (`core/datafolder.py`)."""
    speed_sweep: bool = False
    """Look for marks also at other playback speeds: much more work, and for Perth more chances of a false alarm."""


WAVEFORM_DEFAULTS = WaveformSettings()
