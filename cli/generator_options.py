"""Options of `covoguard generate` that set up the generator; a generator refuses those that it has not."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..core.errors import InputError, UsageError
from ..core.generatorsettings import GeneratorSettings

MAX_SYSTEM_BYTES = 64 << 10

_OPTIONS = (
    click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1 … Default: a GPU when the generator can use one."),
    click.option("--batch", type=click.IntRange(1, 4096), metavar="N", help="Clips made at the same time."),
    click.option(
        "--system",
        "system_file",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Instruction that stands before a conversation, UTF-8 text.",
    ),
    click.option("--temperature", type=click.FloatRange(0, 100, min_open=True), help="Sampling temperature."),
    click.option("--top-k", type=click.IntRange(0), help="Sample among the best K tokens; 0: among all."),
    click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), help="Sample among this share of the mass."),
    click.option("--max-seconds", type=click.FloatRange(0.04, 3600), help="Longest reply."),
    click.option("--url", metavar="URL", help="Server that runs the model, for the backend server."),
)


def generator_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets them as one `settings`."""

    @functools.wraps(function)
    def command(
        *args: Any, device: str | None, batch: int | None, system_file: Path | None, temperature: float | None,
        top_k: int | None, top_p: float | None, max_seconds: float | None, url: str | None, **others: Any,
    ) -> Any:  # fmt: skip
        system_text = _system_text(system_file) if system_file is not None else None
        settings = GeneratorSettings(device, batch, system_text, temperature, top_k, top_p, max_seconds, url)
        return function(*args, settings=settings, **others)

    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _system_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SYSTEM_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read: {reason}; check the path", code="read_error") from error
    if len(content) > MAX_SYSTEM_BYTES:
        raise UsageError(f"{path}: longer than {MAX_SYSTEM_BYTES >> 10} KiB; shorten the instruction")
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text; save it as UTF-8") from error
    if not text or "\0" in text:
        raise UsageError(f"{path}: holds no instruction; write one, or leave --system out")
    return text
