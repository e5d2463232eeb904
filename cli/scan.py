"""`covoguard scan`."""

import math
import os
import sys
import time
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import click

from ..core.audio import DecodeLimits
from ..core.errors import UsageError
from ..core.scanrecord import Case
from ..detect.policy import load_policy
from ..pipeline.inputs import STANDARD_INPUT, InputWalk, listed_paths
from ..pipeline.models import DEFAULT_DETECTOR, load_scorer
from ..pipeline.scan import default_jobs
from ..pipeline.scan import scan as scan_sources
from ..reports.outputs import Outputs
from .options import (
    FailOn,
    exit_code,
    exit_options,
    output_options,
    policy_option,
    print_summary,
    standard_output_format,
    verbosity_options,
)
from .terminal import shows_progress, with_progress

_LIMITS = DecodeLimits()
_MAX_JOBS = 256
_MAX_SECONDS = 86_400.0


def _number(_ctx: click.Context, _parameter: click.Parameter, seconds: float) -> float:
    if math.isnan(seconds):  # which click's ranges let pass
        raise click.BadParameter("NaN is no number of seconds")
    return seconds


def _unicode(_ctx: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    try:
        (text or "").encode("utf-8")
    except UnicodeEncodeError as error:
        raise click.BadParameter("the text is not UTF-8, which every format needs") from error
    return text


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--files-from", metavar="FILE", help="Read more paths from FILE, one per line; - is standard input.")
@click.option("-0", "--null", "null_separated", is_flag=True, help="Paths in --files-from end with NUL bytes.")
@click.option("--all-files", is_flag=True, help="Take all files of a folder, not only known audio and video suffixes.")
@output_options
@click.option("--detector", help=f"Detector to use (see `covoguard models list`). Default: {DEFAULT_DETECTOR}.")
@click.option(
    "--model",
    "model_folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Model folder to use instead of a bundled one.",
)
@policy_option
@click.option("--jobs", type=click.IntRange(1, _MAX_JOBS), help="Files analysed at a time. Default: one per CPU.")
@click.option(
    "--timeout-per-file",
    "timeout_s",
    type=click.FloatRange(0, _MAX_SECONDS, min_open=True),
    callback=_number,
    metavar="SECONDS",
    default=_LIMITS.timeout_s,
    show_default=True,
    help="Stop decoding a file after this time.",
)
@click.option(
    "--max-duration",
    "max_duration_s",
    type=click.FloatRange(0.1, _MAX_SECONDS),
    callback=_number,
    metavar="SECONDS",
    default=_LIMITS.max_duration_s,
    show_default=True,
    help="Analyse at most this much of a file.",
)
@exit_options
@click.option("--case", "case_id", callback=_unicode, help="Case that the files belong to; goes into every record.")
@click.option("--item", callback=_unicode, help="Exhibit within the case.")
@click.option("--examiner", callback=_unicode, help="Who runs the scan.")
@verbosity_options
def scan(
    paths: tuple[str, ...], files_from: str | None, null_separated: bool, all_files: bool,
    format_name: str | None, output_files: tuple[Path, ...], detector: str | None, model_folder: Path | None,
    policy_file: Path | None, jobs: int | None, timeout_s: float, max_duration_s: float, fail_on: FailOn,
    exit_zero: bool, case_id: str | None, item: str | None, examiner: str | None, quiet: bool,
) -> None:  # fmt: skip
    """Give audio files a verdict with its evidence.

    PATH is a file, a folder (searched to any depth), a glob, or - for the bytes of one file on standard
    input. The content decides what a file is, not its name. Nothing is changed and nothing leaves this
    machine.

    Verdicts: synthetic, inconclusive, no_evidence (which is not proof of a human voice), not_analysable.
    Each comes with reason codes: `covoguard explain CODE`.

    \b
    Exit codes:
      0  finished          3  some files were not analysable (wins over 10 and 11)
      2  wrong usage       4  model missing or damaged
      1  internal error   10  --fail-on synthetic      11  --fail-on inconclusive
                         130  interrupted

    \b
    Examples:
      covoguard scan interview.mp3
      covoguard scan recordings/ -o results.jsonl -o results.csv --fail-on synthetic
      find /evidence -name '*.opus' -print0 | covoguard scan --files-from - -0 -f jsonl
      curl -s https://example.org/clip.ogg | covoguard scan -
    """
    walks = _walks(paths, files_from, null_separated, all_files)
    _keep_inputs([*paths, files_from or ""], output_files)
    policy = load_policy(policy_file)
    scorer = load_scorer(detector, model_folder)
    case = Case(case_id, item, examiner) if case_id or item or examiner else None
    limits = DecodeLimits(timeout_s=timeout_s, max_duration_s=max_duration_s)
    to_stdout = standard_output_format(format_name, output_files)
    records = scan_sources(
        chain.from_iterable(walks),
        scorer=scorer,
        policy=policy,
        limits=limits,
        jobs=jobs or default_jobs(),
        case=case,
    )
    watched = shows_progress(quiet=quiet, rows_on_terminal=to_stdout is not None and sys.stdout.isatty())
    total = _count(paths, all_files) if watched and files_from is None else None
    started = time.monotonic()
    with Outputs(output_files, to_stdout) as outputs:
        tally = outputs.write_all(with_progress(records, total) if watched else records)
    if not quiet:
        print_summary(tally, time.monotonic() - started, output_files, sum(walk.skipped_files for walk in walks))
    click.get_current_context().exit(exit_code(tally, fail_on=fail_on, exit_zero=exit_zero))


def _walks(paths: tuple[str, ...], files_from: str | None, null_separated: bool, all_files: bool) -> list[InputWalk]:
    if not paths and files_from is None:
        raise UsageError("nothing to scan; name a file or a folder, or use --files-from")
    if null_separated and files_from is None:
        raise UsageError("-0 says how --files-from is written; give --files-from as well")
    if paths.count(STANDARD_INPUT) + (files_from == STANDARD_INPUT) > 1:
        raise UsageError("standard input can be read only once; use - once, for audio or for --files-from")
    walks = [InputWalk(paths, all_files=all_files)]
    if files_from is not None:
        listed = listed_paths(files_from, null_separated=null_separated)
        walks.append(InputWalk(listed, all_files=all_files, literal=True))
    return walks


def _keep_inputs(inputs: Iterable[str], output_files: tuple[Path, ...]) -> None:
    for path in inputs:
        for output in output_files:
            if os.path.exists(path) and os.path.exists(output) and os.path.samefile(path, output):
                raise UsageError(f"{output}: this is an input, which is never overwritten; name another file")


def _count(paths: tuple[str, ...], all_files: bool) -> int:
    return sum(1 for _ in InputWalk(paths, all_files=all_files))
