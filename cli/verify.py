"""`covoguard verify`."""

import math
import sys
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Literal

import click

from ..core.audio import DecodeLimits
from ..core.errors import KeyMissing
from ..core.keyring import KeyRing
from ..core.keys import SecretKey
from ..pipeline.crew import default_jobs
from ..pipeline.key_choice import keys_to_test
from ..pipeline.ledger import LedgerChecker, read_ledger
from ..pipeline.mark_evidence import DEFAULT_ALPHA, load_mark_checker, load_marking_table
from ..pipeline.verify import verify as verify_sources
from ..reports.formats import VERIFY_FORMATS
from ..reports.outputs import Outputs
from ..reports.summary import MarkTally, mark_summary_lines
from ..reports.text import printable
from .case import case_options, run_in_case
from .inputs import count_inputs, input_options, input_walks, keep_inputs
from .options import jobs_option, key_options, limit_options, verbosity_options
from .terminal import shows_progress, with_progress

EXIT_ERRORS = 3
EXIT_PRESENT = 10
EXIT_NOT_PRESENT = 11

FailOn = Literal["never", "present", "not-present"]


def _alpha(_ctx: click.Context, _parameter: click.Parameter, alpha: float) -> float:
    if math.isnan(alpha):  # which click's ranges let pass
        raise click.BadParameter("NaN is no probability")
    return alpha


@click.command()
@input_options
@key_options
@click.option(
    "--alpha",
    type=click.FloatRange(1e-300, 0.5),
    callback=_alpha,
    default=DEFAULT_ALPHA,
    show_default=True,
    help="Bound on the probability that a file without the mark is called present, over all keys tested.",
)
@click.option(
    "--model",
    "model_folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder of the marked model's recoverer, or of a model that holds one. Default: the bundled one.",
)
@click.option(
    "--ledger",
    "ledger_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Look files up in this manifest.jsonl too, and test the tokens that it recorded: evidence of its own kind.",
)
@click.option(
    "--payload",
    is_flag=True,
    help="The speech was made with --payload: read what the mark says. Marks without one are then found less well.",
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
@click.option(
    "--fail-on",
    type=click.Choice(["never", "present", "not-present"]),
    default="never",
    show_default=True,
    help="Exit with 10 when a mark is present in a file; or with 11 when one has none or was not checked.",
)
@case_options
@verbosity_options
def verify(
    paths: tuple[str, ...], files_from: str | None, null_separated: bool, all_files: bool,
    key_names: tuple[str, ...], all_keys: bool, alpha: float, model_folder: Path | None, ledger_file: Path | None,
    payload: bool, as_json: bool, output_files: tuple[Path, ...], jobs: int | None, timeout_s: float,
    max_duration_s: float, fail_on: FailOn, quiet: bool,
) -> None:  # fmt: skip
    """Tell whether files carry the token mark of your keys, how surely, and where.

    PATH is a file, a folder (searched to any depth), a glob, or - for the bytes of one file on standard
    input. The answer comes from the sound alone: no tag and no file name is read. Speed and offset are searched.

    With --ledger a second, separate answer is given for files that are byte for byte those that a generation
    manifest lists: whether the tokens recorded there carry the mark. It is as trustworthy as whoever keeps the
    manifest, and changes neither the answer from the sound nor the exit code.

    Answers: present, absent, not_checked (too short, silent, or no recoverer for the model). p is the probability,
    over random keys, that sound not made with the key gives such evidence; it holds for any sound whatever and is
    corrected for all that was searched. Present means that at least the listed seconds were sampled by the model
    under that key, not that the message is authentic. Absent is no evidence of human speech.

    \b
    Exit codes:
      0  finished                  3  some files could not be read (wins over 10 and 11)
      2  wrong usage               4  model or key missing or damaged
      1  internal error           10  --fail-on present      11  --fail-on not-present
                                 130  interrupted

    \b
    Examples:
      covoguard verify clip.mp3
      covoguard verify clips/ --key newsroom-eu --json
      covoguard verify published/ --all-keys -o marks.jsonl --fail-on not-present
      covoguard verify --model my-recoverer call.wav
      covoguard verify --ledger corpus/manifest.jsonl corpus/clips/
    """
    walks = input_walks(paths, files_from, null_separated, all_files)
    keep_inputs([*paths, files_from or "", str(ledger_file or "")], output_files)
    keys = _keys(key_names, all_keys=all_keys)
    shown = "jsonl" if as_json else None if output_files else "table"
    watched = shows_progress(quiet=quiet, rows_on_terminal=shown is not None and sys.stdout.isatty())
    total = count_inputs(paths, all_files) if watched and files_from is None else None
    checker = load_mark_checker(keys, model_folder, alpha=alpha, payload=payload)
    ledger = _ledger_checker(ledger_file, model_folder, keys, alpha)
    standard_output = VERIFY_FORMATS[shown] if shown else None
    tally, started = MarkTally(), time.monotonic()
    with run_in_case() as case_file, Outputs(output_files, standard_output, VERIFY_FORMATS) as outputs:
        records = verify_sources(
            chain.from_iterable(walks),
            checker=checker,
            limits=DecodeLimits(timeout_s=timeout_s, max_duration_s=max_duration_s),
            jobs=jobs or default_jobs(),
            ledger=ledger,
            case_file=case_file,
        )
        outputs.write_all(tally.counting(with_progress(records, total, "verifying") if watched else records))
    if not quiet:
        _print_summary(tally, time.monotonic() - started, output_files, sum(walk.skipped_files for walk in walks))
    click.get_current_context().exit(exit_code(tally, fail_on))


def _keys(names: tuple[str, ...], *, all_keys: bool) -> list[SecretKey]:
    """The keys to look for. Raises `KeyMissing` where there are none."""
    ring = KeyRing.open()
    keys = keys_to_test(ring, names, all_keys=all_keys)
    if not keys:
        raise KeyMissing(
            f"{ring.folder}: no keys, so no mark can be looked for; ask whoever holds the key for its file"
        )
    return keys


def _ledger_checker(
    file: Path | None, model_folder: Path | None, keys: Sequence[SecretKey], alpha: float
) -> LedgerChecker | None:
    """None where no ledger is given."""
    if file is None:
        return None
    return LedgerChecker(read_ledger(file), load_marking_table(model_folder), keys, alpha=alpha)


def exit_code(tally: MarkTally, fail_on: FailOn) -> int:
    """The exit code after a whole run; files that could not be read win, since nothing is known of them."""
    if tally.errors:
        return EXIT_ERRORS
    if fail_on == "present" and tally.marks["present"]:
        return EXIT_PRESENT
    if fail_on == "not-present" and tally.marks["present"] < tally.files:
        return EXIT_NOT_PRESENT
    return 0


def _print_summary(tally: MarkTally, elapsed_s: float, output_files: tuple[Path, ...], skipped_files: int) -> None:
    lines = mark_summary_lines(tally, elapsed_s)
    if skipped_files:
        lines.append(f"left out of folders: {skipped_files} hidden or without a media suffix (see --all-files)")
    lines.extend(f"written: {path}" for path in output_files)
    for line in lines:
        click.echo(printable(line), err=True)
