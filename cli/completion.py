"""`covoguard completion`."""

import click
from click.shell_completion import get_completion_class

from ..core.errors import UsageError

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_COVOGUARD_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print what makes your shell complete commands and options.

    \b
    Examples:
      covoguard completion bash >> ~/.bashrc
      covoguard completion zsh >> ~/.zshrc
      covoguard completion fish > ~/.config/fish/completions/covoguard.fish
    """
    root = click.get_current_context().find_root().command
    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"click cannot complete in {shell}; update it: pip install -U click")
    try:
        source = kind(root, {}, "covoguard", VARIABLE).source()
    except RuntimeError as error:  # of bash that is not there, or too old
        raise UsageError(f"{error}") from error
    click.echo(source)
