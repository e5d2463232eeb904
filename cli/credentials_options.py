"""Options for Content Credentials, shared by the commands that write or read them."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..watermark.credentials.registry import Registry, default_registry

if TYPE_CHECKING:
    from ..pipeline.credentials import CredentialsReader

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


_FILE = click.Path(path_type=Path, dir_okay=False)
_READING = (
    click.option(
        "--trust", "trust_files", type=_FILE, multiple=True, metavar="FILE",
        help="PEM file of authorities whose signers you trust. May be repeated; the answer says which one vouches.",
    ),
    registry_option,
    click.option("--online", is_flag=True, help="Fetch remote credentials and revocations; their servers learn of it."),
)  # fmt: skip


def reading_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what a reader of credentials needs; the command gets it as `open_reader`, which makes the reader."""

    @functools.wraps(function)
    def command(
        *args: Any, trust_files: tuple[Path, ...], registry_file: Path | None, online: bool, **others: Any
    ) -> Any:
        def open_reader() -> "CredentialsReader":
            from ..pipeline.credentials import CredentialsReader, configured_trust
            from ..watermark.credentials.trust import TrustList

            trust = [*configured_trust(), *map(TrustList.from_file, trust_files)]
            return CredentialsReader(trust, online, registry_of(registry_file))

        return function(*args, open_reader=open_reader, **others)

    for option in reversed(_READING):
        command = option(command)
    return command
