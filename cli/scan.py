"""`covoguard scan`."""

import sys
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..core.audio import DecodeLimits
from ..core.errors import ModelMissing, UsageError
from ..core.keyring import KeyRing
from ..core.waveformsettings import WaveformSettings
from ..detect.policy import load_policy
from ..pipeline.analysis import Methods
from ..pipeline.crew import default_jobs
from ..pipeline.key_choice import keys_to_test
from ..pipeline.models import DEFAULT_DETECTOR, load_scorer
from ..pipeline.scan import scan as scan_sources
from ..pipeline.second_look import LookTwiceAt, second_look_for
from ..pipeline.waveform_marks import open_waveform_marks
from ..reports.formats import FORMATS
from ..reports.outputs import Outputs
from ..reports.summary import Tally
from .case import case_options, run_in_case
from .credentials_options import reading_options
from .inputs import count_inputs, input_options, input_walks, keep_inputs
from .options import (
    FailOn,
    exit_code,
    exit_options,
    jobs_option,
    key_options,
    limit_options,
    output_options,
    policy_option,
    print_summary,
    prior_option,
    standard_output_format,
    verbosity_options,
)
from .terminal import shows_progress, with_progress
from .waveform_options import waveform_options

if TYPE_CHECKING:
    from ..pipeline.credentials import CredentialsReader
    from ..pipeline.mark_evidence import ChecksMarks


HELP = """Give audio files a verdict with its evidence.

PATH is a file, a folder (searched to any depth), a glob, or - for the bytes of one file on standard
input. The content decides what a file is, not its name. Nothing is changed and nothing leaves this
machine.

Verdicts: synthetic, inconclusive, no_evidence (which is not proof of a human voice), not_analysable.
Each comes with reason codes: `covoguard explain CODE`.

Where there are secret keys (`covoguard keys list`), token marks are looked for too, and a mark that is
certain enough for the policy makes a file synthetic. A mark that is absent says nothing. Content Credentials
(C2PA) are read where `covoguard[credentials]` is installed; what signers that you --trust say of a file counts.

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


@click.command(help=HELP)
@input_options
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
@prior_option
@jobs_option
@limit_options
@key_options
@click.option(
    "--mark-model",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Speech model whose marks are looked for. Default: the bundled one.",
)
@click.option("--no-marks", is_flag=True, help="Do not look for token marks, though there are keys.")
@click.option("--waveform-marks", is_flag=True, help="Look for waveform marks too, as `covoguard verify` does.")
@waveform_options
@reading_options
@click.option("--no-credentials", is_flag=True, help="Do not read Content Credentials.")
@click.option(
    "--second-look",
    type=click.Choice(["off", "decisive", "all"]),
    default="decisive",
    show_default=True,
    help="Score copies through three mild codecs too, and say where the score is not stable: for scores that reach "
    "a threshold of the policy, or for all. Takes about four times as long as scoring once.",
)
@exit_options
@case_options
@verbosity_options
def scan(
    paths: tuple[str, ...], files_from: str | None, null_separated: bool, all_files: bool, format_name: str | None,
    output_files: tuple[Path, ...], detector: str | None, model_folder: Path | None, policy_file: Path | None,
    jobs: int | None, timeout_s: float, max_duration_s: float, key_names: tuple[str, ...], all_keys: bool,
    mark_model: Path | None, no_marks: bool, waveform_marks: bool, waveform: WaveformSettings,
    open_reader: Callable[[], "CredentialsReader"], no_credentials: bool, prior: float | None,
    second_look: LookTwiceAt, fail_on: FailOn, exit_zero: bool, quiet: bool,
) -> None:  # fmt: skip
    """As `HELP` tells."""
    walks = input_walks(paths, files_from, null_separated, all_files)
    keep_inputs([*paths, files_from or ""], output_files)
    if no_marks and (key_names or all_keys or mark_model):
        raise UsageError("--no-marks looks for no key; leave out --key, --all-keys and --mark-model, or --no-marks")
    policy = load_policy(policy_file, prior=prior)
    scorer = load_scorer(detector, model_folder)
    methods = Methods(
        scorer,
        second_look_for(scorer, policy, second_look),
        None if no_marks else _mark_checker(key_names, all_keys, mark_model),
        open_waveform_marks(waveform) if waveform_marks else (),
        None if no_credentials else open_reader(),
    )
    to_stdout = standard_output_format(format_name, output_files)
    watched = shows_progress(quiet=quiet, rows_on_terminal=to_stdout is not None and sys.stdout.isatty())
    total = count_inputs(paths, all_files) if watched and files_from is None else None
    tally, started = Tally(), time.monotonic()
    with run_in_case() as case_file, Outputs(output_files, to_stdout, FORMATS) as outputs:
        records = scan_sources(
            chain.from_iterable(walks),
            methods=methods,
            policy=policy,
            limits=DecodeLimits(timeout_s=timeout_s, max_duration_s=max_duration_s),
            jobs=jobs or default_jobs(),
            case_file=case_file,
        )
        outputs.write_all(tally.counting(with_progress(records, total) if watched else records))
    if not quiet:
        print_summary(tally, time.monotonic() - started, output_files, sum(walk.skipped_files for walk in walks))
    click.get_current_context().exit(exit_code(tally, fail_on=fail_on, exit_zero=exit_zero))


def _mark_checker(key_names: tuple[str, ...], all_keys: bool, model_folder: Path | None) -> "ChecksMarks | None":
    """None where there are no keys; then nothing of the test is loaded."""
    keys = keys_to_test(KeyRing.open(), key_names, all_keys=all_keys)
    if not keys:
        return None
    from ..pipeline.mark_evidence import load_mark_checker

    try:
        return load_mark_checker(keys, model_folder)
    except ModelMissing as error:
        raise ModelMissing(f"{error.message}; or scan without looking for marks: --no-marks") from error
