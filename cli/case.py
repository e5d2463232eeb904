"""The options of `scan` and `verify` that put a run into a case file, and the run that they open."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ..core.errors import UsageError
from ..core.scanrecord import Case
from ..pipeline.case import CaseFile, open_case
from ..reports.text import printable
from .options import all_of

AUDIT_LOG_VARIABLE = "COVOGUARD_AUDIT_LOG"
_META = "covoguard.case."
_NOT_OF_THE_RESULTS = frozenset(
    ("paths", "files_from", "null_separated", "all_files", "format_name", "as_json", "output_files", "jobs", "quiet",
     "fail_on", "exit_zero")
)  # fmt: skip
"""Parameters that change nothing in what is found in a file."""


def _kept(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Put the value where `run_in_case` finds it."""
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise click.BadParameter("the text is not UTF-8, which every format needs") from error
    ctx.meta[f"{_META}{parameter.name}"] = value or None
    return value


case_options = all_of(
    click.option(
        "--case", expose_value=False, callback=_kept, help="Case that the files belong to; goes into every record."
    ),
    click.option("--item", expose_value=False, callback=_kept, help="Exhibit within the case."),
    click.option("--examiner", expose_value=False, callback=_kept, help="Who runs the command."),
    click.option(
        "--audit-log", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", expose_value=False,
        callback=_kept, envvar=AUDIT_LOG_VARIABLE, show_envvar=True,
        help="Enter the run and every file in this signed log, which is made where it is not there, and put its head "
        "into every record: see `covoguard audit`.",
    ),
)  # fmt: skip


@contextlib.contextmanager
def run_in_case() -> Iterator[CaseFile | None]:
    """The case file that the options of the current command ask for; None where they ask for none.

    Afterwards the head of the log is told on standard error. Raises as `AuditLog`, and `UsageError` when the log is
    an output too.
    """
    ctx = click.get_current_context()
    case_id, item, examiner = (ctx.meta.get(_META + name) for name in ("case", "item", "examiner"))
    audit_log: Path | None = ctx.meta.get(_META + "audit_log")
    if audit_log is not None:
        for output in ctx.params["output_files"]:
            if os.path.realpath(output) == os.path.realpath(audit_log):
                raise UsageError(f"{output}: this is the audit log; name another output")
    case = Case(case_id, item, examiner) if case_id or item or examiner else None
    chosen = {name: _plain(value) for name, value in ctx.params.items() if name not in _NOT_OF_THE_RESULTS}
    with open_case(case, audit_log, command=str(ctx.info_name), configuration=chosen) as case_file:
        yield case_file
    if case_file is not None and case_file.head is not None and not ctx.params["quiet"]:
        click.echo(printable(f"audit log: {audit_log}, head {case_file.head}; keep this head elsewhere"), err=True)


def _plain(value: Any) -> Any:
    """A parameter in the types of JSON."""
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)
