"""`covoguard inspect`."""

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import click

from ..core.audio import DecodeLimits
from ..core.observationrecord import InspectRecord
from ..pipeline.crew import default_jobs
from ..pipeline.observe import inspect_files
from ..reports.formats import INSPECT_FORMATS
from ..reports.outputs import Outputs
from ..reports.text import printable
from .inputs import count_inputs, input_options, input_walks, keep_inputs
from .options import EXIT_NOT_ANALYSABLE, jobs_option, limit_options, verbosity_options
from .terminal import shows_progress, with_progress


@click.command()
@input_options
@click.option(
    "--only",
    "checks",
    multiple=True,
    metavar="CHECK",
    help="Run this check only; may be repeated. A wrong name lists all.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON record per file and line on standard output.")
@click.option(
    "-o",
    "--output",
    "output_files",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    metavar="FILE",
    help="Write to FILE (.jsonl, .txt), whole or not at all. May be repeated.",
)
@jobs_option
@limit_options
@verbosity_options
def inspect(
    paths: tuple[str, ...], files_from: str | None, null_separated: bool, all_files: bool, checks: tuple[str, ...],
    as_json: bool, output_files: tuple[Path, ...], jobs: int | None, timeout_s: float, max_duration_s: float,
    quiet: bool,
) -> None:  # fmt: skip
    """Show what files tell of their history: tags, codecs, joins; observations, no verdict.

    PATH is a file, a folder (searched to any depth), a glob, or - for the bytes of one file on standard input.
    Files are only read. Examined are tags and container structure, encoder delay, traces of an earlier MP3 or AAC
    encoding and where they jump, real against possible bandwidth, exact zeros, copies, plateaus, bits really used,
    offset, and changes of the background noise.

    `notable` is rare in untouched recordings, `note` is not; every observation comes with its reading and with what
    else explains it. None is a verdict, and none changes the verdict of `scan`.

    \b
    Exit codes:
      0  finished                  3  some files could not be read
      2  wrong usage             130  interrupted
      1  internal error

    \b
    Examples:
      covoguard inspect call.wav
      covoguard inspect exhibits/ --json
      covoguard inspect --only codec-grid --only bandwidth interview.wav -o traces.jsonl
    """
    walks = input_walks(paths, files_from, null_separated, all_files)
    keep_inputs([*paths, files_from or ""], output_files)
    records = inspect_files(
        chain.from_iterable(walks),
        limits=DecodeLimits(timeout_s=timeout_s, max_duration_s=max_duration_s),
        jobs=jobs or default_jobs(),
        checks=checks or None,
    )
    shown = "jsonl" if as_json else None if output_files else "table"
    watched = shows_progress(quiet=quiet, rows_on_terminal=shown is not None and sys.stdout.isatty())
    total = count_inputs(paths, all_files) if watched and files_from is None else None
    counts: Counter[str] = Counter()
    started = time.monotonic()
    with Outputs(output_files, INSPECT_FORMATS[shown] if shown else None, INSPECT_FORMATS) as outputs:
        counted = _counting(records, counts)
        outputs.write_all(with_progress(counted, total, "inspecting") if watched else counted)
    if not quiet:
        _print_summary(counts, time.monotonic() - started, output_files, sum(walk.skipped_files for walk in walks))
    click.get_current_context().exit(EXIT_NOT_ANALYSABLE if counts["errors"] else 0)


def _counting(records: Iterable[InspectRecord], counts: Counter[str]) -> Iterator[InspectRecord]:
    """The same records, each counted when the next one is asked for, so when it has been dealt with."""
    for record in records:
        yield record
        counts["files"] += 1
        counts["errors"] += record.error is not None
        counts["notable"] += any(each.strength == "notable" for each in record.observations)


def _print_summary(counts: Counter[str], elapsed_s: float, output_files: tuple[Path, ...], skipped_files: int) -> None:
    noun = "file" if counts["files"] == 1 else "files"
    lines = [
        f"{counts['files']} {noun} in {elapsed_s:.1f} s: {counts['notable']} with notable observations, "
        f"{counts['errors']} not examined"
    ]
    if skipped_files:
        lines.append(f"left out of folders: {skipped_files} hidden or without a media suffix (see --all-files)")
    lines.extend(f"written: {path}" for path in output_files)
    for line in lines:
        click.echo(printable(line), err=True)
