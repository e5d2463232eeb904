"""Every command's help as one page: `python -m covoguard.cli.reference > docs/commands.md`."""

from importlib.metadata import version

import click

from .main import COMMANDS, cli

WIDTH = 100
MADE_WITH = f"click {version('click')}"
"""Other versions wrap and word some of it otherwise."""
HEAD = f"""# Commands

What `covoguard COMMAND --help` prints, made by `python -m covoguard.cli.reference` with {MADE_WITH}; a test checks that
it is fresh.
"""


def command_reference() -> str:
    """The page, in Markdown, with one section per command in the order of `covoguard --help`."""
    names = cli.context_settings["help_option_names"]
    context = click.Context(
        cli, info_name="covoguard", help_option_names=names, max_content_width=WIDTH, terminal_width=WIDTH
    )
    sections = [HEAD]
    for name in COMMANDS:
        command = cli.get_command(context, name)
        if command is not None:
            sections += _sections(command, context, name)
    return "\n".join(sections)


def _sections(command: click.Command, parent: click.Context, name: str) -> list[str]:
    """One for the command, then one for each below it."""
    context = click.Context(command, info_name=name, parent=parent, max_content_width=WIDTH, terminal_width=WIDTH)
    lines = (line.rstrip() for line in command.get_help(context).splitlines())
    text = "\n".join(lines)
    own = f"## {context.command_path}\n\n```\n{text}\n```\n"
    below: list[str] = []
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            child = command.get_command(context, each)
            if child is not None:
                below += _sections(child, context, each)
    return [own, *below]


if __name__ == "__main__":
    print(command_reference(), end="")
