"""`covoguard redecide`."""

import time
from pathlib import Path

import click

from ..detect.policy import load_policy
from ..pipeline.redecide import redecide as redecide_records
from ..reports.formats import FORMATS
from ..reports.outputs import Outputs
from ..reports.read import read_records
from ..reports.summary import Tally
from .options import (
    FailOn,
    exit_code,
    exit_options,
    output_options,
    policy_option,
    print_summary,
    prior_option,
    standard_output_format,
    verbosity_options,
)


@click.command()
@click.argument("results", type=click.Path(path_type=Path), metavar="RUN")
@output_options
@policy_option
@prior_option
@exit_options
@verbosity_options
def redecide(
    results: Path, format_name: str | None, output_files: tuple[Path, ...], policy_file: Path | None,
    prior: float | None, fail_on: FailOn, exit_zero: bool, quiet: bool,
) -> None:  # fmt: skip
    """Put another policy on stored results, without scanning again.

    RUN is a results file of `covoguard scan` (JSON Lines or Parquet), or - for JSON Lines on standard
    input. Scores and quality facts stay as they were measured; verdicts, reasons and quality flags are
    derived again. With the policy of the scan, the output equals the input. Exit codes are those of
    `covoguard scan`.

    \b
    Example:
      covoguard redecide results.jsonl --policy strict.toml -o results-strict.jsonl
    """
    policy = load_policy(policy_file, prior=prior)
    started = time.monotonic()
    tally = Tally()
    with Outputs(output_files, standard_output_format(format_name, output_files), FORMATS) as outputs:
        outputs.write_all(tally.counting(redecide_records(read_records(results), policy)))
    if not quiet:
        print_summary(tally, time.monotonic() - started, output_files)
    click.get_current_context().exit(exit_code(tally, fail_on=fail_on, exit_zero=exit_zero))
