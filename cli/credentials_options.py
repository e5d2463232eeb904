"""Options that `sign` and `credentials` share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ..watermark.credentials.registry import Registry, default_registry

Command = TypeVar("Command", bound=Callable[..., Any])

EXIT_NOT_ALL = 3
EXIT_INVALID = 20

registry_option = click.option(
    "--registry", "registry_file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Registry of what was signed here, by mark. Default: $COVOGUARD_REGISTRY, else in your data folder.",
)  # fmt: skip


def mark_option(text: str) -> Callable[[Command], Command]:
    """`--mark`, with the help that says what it does here."""
    return click.option("--mark", metavar="MARK", help=text)


def registry_of(file: Path | None) -> Registry:
    """The registry that was named, or the default one."""
    return Registry(file or default_registry())
