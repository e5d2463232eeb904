"""Options that several commands share, and what they mean for the exit code."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from ..core.audio import DecodeLimits
from ..core.scanrecord import ScanRecord
from ..reports.formats import FORMATS, Format
from ..reports.summary import Tally, summary_lines
from ..reports.text import printable
from .terminal import set_up_logging

Command = TypeVar("Command", bound=Callable[..., Any])
FailOn = Literal["never", "synthetic", "inconclusive"]

MAX_JOBS = 256
MAX_SECONDS = 86_400.0
_LIMITS = DecodeLimits()

EXIT_NOT_ANALYSABLE = 3
EXIT_SYNTHETIC = 10
EXIT_INCONCLUSIVE = 11


def all_of(*decorators: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator, in the order of the help."""

    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def _start_logging(ctx: click.Context, _parameter: click.Parameter, verbosity: int) -> int:
    set_up_logging(verbosity=verbosity, quiet=bool(ctx.params.get("quiet")))
    return verbosity


verbose_option = click.option(
    "-v", "--verbose", count=True, expose_value=False, callback=_start_logging,
    help="Details of failures on standard error; twice for everything.",
)  # fmt: skip

verbosity_options = all_of(
    click.option("-q", "--quiet", is_flag=True, is_eager=True, help="No progress, summary or warnings."),
    verbose_option,
)

output_options = all_of(
    click.option(
        "-f", "--format", "format_name", type=click.Choice(list(FORMATS)),
        help="Write to standard output in this format. Without -f and -o: table.",
    ),
    click.option(
        "-o", "--output", "output_files", type=click.Path(path_type=Path, dir_okay=False), multiple=True,
        metavar="FILE",
        help="Write to FILE (.jsonl, .csv, .parquet, .txt), whole or not at all. May be repeated.",
    ),
)  # fmt: skip

policy_option = click.option(
    "--policy", "policy_file", type=click.Path(path_type=Path), metavar="FILE",
    help="Policy file that makes the verdicts (TOML). Default: the bundled one.",
)  # fmt: skip


def _prior(_ctx: click.Context, _parameter: click.Parameter, prior: float | None) -> float | None:
    if prior is not None and math.isnan(prior):  # which click's ranges let pass
        raise click.BadParameter("NaN is no probability")
    return prior


prior_option = click.option(
    "--prior", type=click.FloatRange(0, 1, min_open=True, max_open=True), callback=_prior, metavar="P",
    help="How common generated speech is where the files come from: states the posterior too. Changes no verdict. "
    "Default: the policy's, if it has one.",
)  # fmt: skip

key_options = all_of(
    click.option(
        "--key", "key_names", multiple=True, metavar="KEY",
        help="Key to look for, by id or label, in all its epochs. May be repeated. Default: the default key.",
    ),
    click.option("--all-keys", is_flag=True, help="Look for every key of the key folder."),
)  # fmt: skip

jobs_option = click.option(
    "--jobs", type=click.IntRange(1, MAX_JOBS), help="Files analysed at a time. Default: one per CPU."
)


def _number(_ctx: click.Context, _parameter: click.Parameter, number: float) -> float:
    if math.isnan(number):  # which click's ranges let pass
        raise click.BadParameter("NaN is no number")
    return number


limit_options = all_of(
    click.option(
        "--timeout-per-file", "timeout_s", type=click.FloatRange(0, MAX_SECONDS, min_open=True),
        callback=_number, metavar="SECONDS", default=_LIMITS.timeout_s, show_default=True,
        help="Stop decoding a file after this time.",
    ),
    click.option(
        "--max-duration", "max_duration_s", type=click.FloatRange(0.1, MAX_SECONDS),
        callback=_number, metavar="SECONDS", default=_LIMITS.max_duration_s, show_default=True,
        help="Analyse at most this much of a file.",
    ),
)  # fmt: skip

exit_options = all_of(
    click.option(
        "--fail-on", type=click.Choice(["never", "synthetic", "inconclusive"]), default="never",
        show_default=True,
        help="Exit with 10 when a file is synthetic; with `inconclusive`, also with 11 when one is inconclusive.",
    ),
    click.option("--exit-zero", is_flag=True, help="Exit with 0 whatever was found in the files."),
)  # fmt: skip


def standard_output_format(format_name: str | None, output_files: tuple[Path, ...]) -> Format[ScanRecord] | None:
    """What goes to standard output: the format asked for, or the table when nothing else was asked for."""
    if format_name is None and output_files:
        return None
    return FORMATS[format_name or "table"]


def print_summary(tally: Tally, elapsed_s: float, output_files: tuple[Path, ...], skipped_files: int = 0) -> None:
    """The counts of a whole run, on standard error."""
    lines = summary_lines(tally, elapsed_s)
    if skipped_files:
        lines.append(f"left out of folders: {skipped_files} hidden or without a media suffix (see --all-files)")
    lines.extend(f"written: {path}" for path in output_files)
    for line in lines:
        click.echo(printable(line), err=True)


def exit_code(tally: Tally, *, fail_on: FailOn, exit_zero: bool) -> int:
    """The exit code after a whole run.

    Files that could not be analysed (3) win over findings (10, 11): where some were not looked at, the
    absence of a finding says nothing.
    """
    if exit_zero:
        return 0
    if tally.verdicts["not_analysable"]:
        return EXIT_NOT_ANALYSABLE
    if fail_on != "never" and tally.verdicts["synthetic"]:
        return EXIT_SYNTHETIC
    if fail_on == "inconclusive" and tally.verdicts["inconclusive"]:
        return EXIT_INCONCLUSIVE
    return 0
