"""`covoguard explain`."""

import difflib
import json
from dataclasses import asdict

import click

from ..core.errors import UsageError
from ..core.reason import Reason
from ..core.reasons import REASONS, STOPS
from .options import verbose_option


@click.command()
@click.argument("code", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per code and line.")
@verbose_option
def explain(code: str | None, as_json: bool) -> None:
    """Say what a reason or error code means and what to do about it.

    Without CODE, lists all of them.

    \b
    Example:
      covoguard explain between_thresholds
    """
    table = {**REASONS, **STOPS}
    for reason in table.values() if code is None else [_found(code, table)]:
        if as_json:
            click.echo(json.dumps(asdict(reason)))
        else:
            click.echo(f"{reason.code}\n  {reason.meaning}\n  What to do: {reason.advice}")


def _found(code: str, table: dict[str, Reason]) -> Reason:
    if code in table:
        return table[code]
    close = difflib.get_close_matches(code, table, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else "`covoguard explain` lists all codes"
    raise UsageError(f"there is no code {code!r}; {hint}")
