"""Options for what the waveform marks need of the user, shared by the commands that put them on or look for them."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..core.errors import UsageError
from ..core.waveformsettings import CheckpointFile, WaveformSettings

_FILE = click.Path(path_type=Path, dir_okay=False)
_OPTIONS = (
    click.option(
        "--audioseal-generator", type=_FILE, metavar="FILE", envvar="COVOGUARD_AUDIOSEAL_GENERATOR",
        help="Your AudioSeal checkpoint that puts marks on.",
    ),
    click.option(
        "--audioseal-generator-sha256", metavar="HEX", envvar="COVOGUARD_AUDIOSEAL_GENERATOR_SHA256",
        help="SHA-256 that this file must have.",
    ),
    click.option(
        "--audioseal-detector", type=_FILE, metavar="FILE", envvar="COVOGUARD_AUDIOSEAL_DETECTOR",
        help="Your AudioSeal checkpoint that finds marks.",
    ),
    click.option(
        "--audioseal-detector-sha256", metavar="HEX", envvar="COVOGUARD_AUDIOSEAL_DETECTOR_SHA256",
        help="SHA-256 that this file must have.",
    ),
    click.option(
        "--audiowmark-key", type=_FILE, metavar="FILE", envvar="COVOGUARD_AUDIOWMARK_KEY",
        help="Key file of `audiowmark gen-key`.",
    ),
    click.option(
        "--issued", type=_FILE, metavar="FILE",
        help="Register of the messages in marks. Default: issued_marks.sqlite in $COVOGUARD_DATA.",
    ),
    click.option(
        "--speed-sweep", is_flag=True,
        help="Look for waveform marks at other playback speeds too: ten times the work where there is none.",
    ),
)  # fmt: skip


def waveform_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets them as one `waveform`, a `WaveformSettings`."""

    @functools.wraps(function)
    def command(
        *args: Any, audioseal_generator: Path | None, audioseal_generator_sha256: str | None,
        audioseal_detector: Path | None, audioseal_detector_sha256: str | None, audiowmark_key: Path | None,
        issued: Path | None, speed_sweep: bool, **others: Any,
    ) -> Any:  # fmt: skip
        settings = WaveformSettings(
            audioseal_generator=_checkpoint("generator", audioseal_generator, audioseal_generator_sha256),
            audioseal_detector=_checkpoint("detector", audioseal_detector, audioseal_detector_sha256),
            audiowmark_key=audiowmark_key,
            issued=issued,
            speed_sweep=speed_sweep,
        )
        return function(*args, waveform=settings, **others)

    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _checkpoint(part: str, path: Path | None, sha256: str | None) -> CheckpointFile | None:
    """Raises `UsageError` when only one of the two is given."""
    if path is None and sha256 is None:
        return None
    if path is None or sha256 is None:
        raise UsageError(f"--audioseal-{part} and --audioseal-{part}-sha256 go together; give both or neither")
    return CheckpointFile(path, sha256)
