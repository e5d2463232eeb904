"""`covoguard verify`."""

import math
import sys
import time
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import click

from ..core.audio import DecodeLimits
from ..core.errors import KeyMissing, UsageError
from ..core.keyring import KeyRing
from ..core.keys import SecretKey
from ..core.waveformsettings import WaveformSettings
from ..detect.forensics import CHECKS
from ..detect.policy import Policy, load_policy
from ..pipeline.analysis import Methods
from ..pipeline.crew import default_jobs
from ..pipeline.key_choice import keys_to_test
from ..pipeline.ledger import LedgerChecker, read_ledger
from ..pipeline.mark_evidence import DEFAULT_ALPHA, ChecksMarks, load_mark_checker, load_marking_table
from ..pipeline.models import load_scorer
from ..pipeline.second_look import second_look_for
from ..pipeline.verify import verify as verify_sources
from ..pipeline.waveform_marks import open_waveform_marks
from ..reports.formats import VERIFY_FORMATS
from ..reports.outputs import Outputs
from ..reports.summary import PROVENANCE_KINDS, MarkTally, ProvenanceKind, mark_summary_lines
from ..reports.text import printable
from .case import case_options, run_in_case
from .credentials_options import EXIT_INVALID, reading_options
from .inputs import count_inputs, input_options, input_walks, keep_inputs
from .options import jobs_option, key_options, limit_options, policy_option, prior_option, verbosity_options
from .terminal import shows_progress, with_progress
from .waveform_options import waveform_options

if TYPE_CHECKING:
    from ..pipeline.credentials import CredentialsReader

EXIT_ERRORS = 3
EXIT_PRESENT = 10
EXIT_NOT_PRESENT = 11
EXIT_LACKING = 21

FailOn = Literal["never", "present", "not-present"]
Part = Literal["token", "waveform", "credentials", "detector", "forensics"]
PARTS: tuple[Part, ...] = get_args(Part)


HELP = """Tell what can be known of where files come from: marks, credentials, score, traces, and a verdict.

PATH is a file, a folder (searched to any depth), a glob, or - for the bytes of one file on standard
input. Files are only read, and nothing leaves this machine.

token: the token mark of your keys, from the sound alone. p is the probability, over random keys, that sound not
made with the key gives such evidence; it holds for any sound whatever and is corrected for all that was searched.
Present means that at least the listed seconds were sampled by the model under that key, not that the message is
authentic. waveform: labels that other generators put on; credentials: what a signer asserts of these bytes;
detector: how like generated speech it sounds; forensics: observations on the file, which take no part in the
verdict. Absent and not_detected are no evidence of human speech; not_checked means that nobody looked.

With --ledger a separate answer is given for files that are byte for byte those that a generation
manifest lists: whether the tokens recorded there carry the mark. It is as trustworthy as whoever keeps the
manifest, and changes neither verdict nor exit code.

\b
Exit codes, the first that applies:
  1  internal error            2  wrong usage
  4  model, key or trust list missing or damaged
  3  some files could not be read
 20  credentials that do not hold: the file or they were changed
 21  a file lacks what --require asks for
 10  --fail-on present        11  --fail-on not-present
  0  finished                130  interrupted

\b
Examples:
  covoguard verify clip.mp3
  covoguard verify clips/ --only token --key newsroom-eu --json
  covoguard verify published/ --require token --require credentials
  covoguard verify interview.wav --trust C2PA-TRUST-LIST.pem --case 17 --audit-log case-17.log
  covoguard verify --ledger corpus/manifest.jsonl corpus/clips/
"""


def _alpha(_ctx: click.Context, _parameter: click.Parameter, alpha: float) -> float:
    if math.isnan(alpha):  # which click's ranges let pass
        raise click.BadParameter("NaN is no probability")
    return alpha


@click.command(help=HELP)
@input_options
@click.option(
    "--only",
    "parts",
    type=click.Choice(PARTS),
    multiple=True,
    help="Look in this way only; may be repeated. Default: in all ways; for token marks, where there are keys.",
)
@key_options
@click.option(
    "--alpha",
    type=click.FloatRange(1e-300, 0.5),
    callback=_alpha,
    default=DEFAULT_ALPHA,
    show_default=True,
    help="Bound on the probability that a file without the token mark is called present, over all keys tested.",
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
@waveform_options
@reading_options
@policy_option
@prior_option
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
    help="Exit with 10 when a token mark is present in a file; or with 11 when one has none or was not checked.",
)
@click.option(
    "--require",
    "required",
    type=click.Choice(PROVENANCE_KINDS),
    multiple=True,
    help="Exit with 21 when a file lacks this: a token mark, a waveform mark, credentials that hold. May be repeated.",
)
@case_options
@verbosity_options
def verify(
    paths: tuple[str, ...], files_from: str | None, null_separated: bool, all_files: bool, parts: tuple[Part, ...],
    key_names: tuple[str, ...], all_keys: bool, alpha: float, model_folder: Path | None, ledger_file: Path | None,
    payload: bool, waveform: WaveformSettings, open_reader: Callable[[], "CredentialsReader"],
    policy_file: Path | None, prior: float | None, as_json: bool, output_files: tuple[Path, ...], jobs: int | None,
    timeout_s: float, max_duration_s: float, fail_on: FailOn, required: tuple[ProvenanceKind, ...], quiet: bool,
) -> None:  # fmt: skip
    """As `HELP` tells."""
    walks = input_walks(paths, files_from, null_separated, all_files)
    keep_inputs([*paths, files_from or "", str(ledger_file or "")], output_files)
    looked = frozenset(parts or PARTS)
    if "token" not in looked and (key_names or all_keys or model_folder or payload):
        raise UsageError("--key, --all-keys, --model and --payload are for token marks; add --only token")
    for kind in required:
        if kind not in looked:
            raise UsageError(f"--require {kind} needs --only {kind} too, or no --only at all")
    policy = load_policy(policy_file, prior=prior) if "detector" in looked else None
    asked_for_keys = bool("token" in parts or key_names or all_keys or ledger_file or payload)
    keys = _keys(key_names, all_keys=all_keys, needed=asked_for_keys) if "token" in looked else []
    checker = load_mark_checker(keys, model_folder, alpha=alpha, payload=payload) if keys else None
    methods = _methods(looked, checker, waveform, open_reader, policy)
    ledger = _ledger_checker(ledger_file, model_folder, keys, alpha)
    shown = "jsonl" if as_json else None if output_files else "table"
    watched = shows_progress(quiet=quiet, rows_on_terminal=shown is not None and sys.stdout.isatty())
    total = count_inputs(paths, all_files) if watched and files_from is None else None
    standard_output = VERIFY_FORMATS[shown] if shown else None
    tally, started = MarkTally(), time.monotonic()
    with run_in_case() as case_file, Outputs(output_files, standard_output, VERIFY_FORMATS) as outputs:
        records = verify_sources(
            chain.from_iterable(walks),
            methods=methods,
            policy=policy,
            limits=DecodeLimits(timeout_s=timeout_s, max_duration_s=max_duration_s),
            jobs=jobs or default_jobs(),
            ledger=ledger,
            case_file=case_file,
        )
        outputs.write_all(tally.counting(with_progress(records, total, "verifying") if watched else records))
    if not quiet:
        if "token" in looked and not keys:
            click.echo("token marks: not looked for, since there are no keys (`covoguard keys`)", err=True)
        _print_summary(tally, time.monotonic() - started, output_files, sum(walk.skipped_files for walk in walks))
    click.get_current_context().exit(exit_code(tally, fail_on, required))


def _methods(
    looked: frozenset[Part],
    checker: ChecksMarks | None,
    waveform: WaveformSettings,
    open_reader: Callable[[], "CredentialsReader"],
    policy: Policy | None,
) -> Methods:
    """What the files are examined with; `policy` is there where a detector is."""
    scorer = load_scorer(None, None) if policy else None
    return Methods(
        scorer,
        second_look_for(scorer, policy, "decisive") if scorer and policy else None,
        checker,
        open_waveform_marks(waveform) if "waveform" in looked else (),
        open_reader() if "credentials" in looked else None,
        tuple(CHECKS.names()) if "forensics" in looked else None,
    )


def _keys(names: tuple[str, ...], *, all_keys: bool, needed: bool) -> list[SecretKey]:
    """The keys to look for. Raises `KeyMissing` where there are none and some are `needed`."""
    ring = KeyRing.open()
    keys = keys_to_test(ring, names, all_keys=all_keys)
    if needed and not keys:
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


def exit_code(tally: MarkTally, fail_on: FailOn, required: Sequence[ProvenanceKind] = ()) -> int:
    """The exit code after a whole run; files that could not be read win, since nothing is known of them."""
    if tally.errors:
        return EXIT_ERRORS
    if tally.broken_credentials:
        return EXIT_INVALID
    if any(tally.having[kind] < tally.files for kind in required):
        return EXIT_LACKING
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
