"""`covoguard explain`."""

import difflib
import json
from dataclasses import asdict

import click

from ..core.errors import UsageError
from ..core.reason import Reason
from ..core.reasons import REASONS, STOPS
from ..detect.forensics import Kind, observation_kinds
from .options import verbose_option


@click.command()
@click.argument("code", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per code and line.")
@verbose_option
def explain(code: str | None, as_json: bool) -> None:
    """Say what a reason, an error or an observation means and what to do about it.

    CODE is as in a record. Without it, lists all of them.

    \b
    Example:
      covoguard explain between_thresholds
    """
    table: dict[str, Reason | Kind] = {**REASONS, **STOPS, **observation_kinds()}
    for entry in table.values() if code is None else [_found(code, table)]:
        click.echo(json.dumps(asdict(entry)) if as_json else _in_words(entry))


def _in_words(entry: Reason | Kind) -> str:
    if isinstance(entry, Reason):
        return f"{entry.code}\n  {entry.meaning}\n  What to do: {entry.advice}"
    return f"{entry.code} (an observation)\n  {entry.reading}\n  What else explains it: {entry.limits}"


def _found(code: str, table: dict[str, Reason | Kind]) -> Reason | Kind:
    if code in table:
        return table[code]
    close = difflib.get_close_matches(code, table, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else "`covoguard explain` lists all codes"
    raise UsageError(f"there is no code {code!r}; {hint}")
