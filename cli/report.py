"""`covoguard report`."""

from pathlib import Path

import click

from ..core.errors import CovoguardError, UsageError
from ..core.wholefile import write_whole
from ..detect.policy import load_policy
from ..pipeline.report import ReportChoices, holds_records, record_of_run, record_of_sound, report_on
from ..reports.text import printable
from .inputs import keep_inputs
from .options import EXIT_NOT_ANALYSABLE, policy_option, prior_option, verbosity_options


@click.command()
@click.argument("source", type=click.Path(path_type=Path), metavar="RUN|FILE")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="Write the page to FILE (HTML), whole or not at all.",
)
@click.option("--seq", type=click.IntRange(0), help="Which record of a RUN. Not needed where there is one only.")
@click.option("--no-audio", is_flag=True, help="Leave out the sound, and the spectrogram, which sound can be made of.")
@click.option(
    "--redact",
    is_flag=True,
    help="To hand on: no sound, file name, case, signer or free text; paths become hashes, which a guess can confirm.",
)
@policy_option
@prior_option
@verbosity_options
def report(
    source: Path, output: Path, seq: int | None, no_audio: bool, redact: bool, policy_file: Path | None,
    prior: float | None, quiet: bool,
) -> None:  # fmt: skip
    """Make one HTML page on one file: verdict, evidence, sound and record, to read, hear, print and hand on.

    RUN is a results file of `covoguard scan` (JSON Lines or Parquet), or - for JSON Lines on standard input; the
    sound is read again from the path in the record, if the file there has the same bytes. FILE is a sound, which is
    scanned first, as `covoguard scan` does without options.

    The page holds all that it needs and fetches nothing; its content security policy forbids it to. Of sounds
    longer than five minutes it holds what matters, and two seconds around it. For a RUN, --policy tells where the
    lines are drawn, not the verdict, and --prior is not for it: use `covoguard redecide` first.

    \b
    Exit codes:
      0  written            3  written, but the file could not be analysed
      2  wrong usage        4  model missing or damaged
      1  internal error   130  interrupted

    \b
    Examples:
      covoguard report interview.mp3 -o interview.html
      covoguard report results.jsonl --seq 12 -o clip-12.html
      covoguard report results.parquet --seq 12 --redact -o to-the-editor.html
    """
    keep_inputs([str(source)], (output,))
    is_run = holds_records(source)
    if is_run and prior is not None:
        raise UsageError("--prior is for a sound; for a RUN, use `covoguard redecide RUN --prior P` first")
    if not is_run and seq is not None:
        raise UsageError("--seq is for a RUN; a sound gives one record only")
    policy = load_policy(policy_file, prior=prior)
    record = record_of_run(source, seq) if is_run else record_of_sound(source, policy)
    if policy_file is not None and record.decision.policy.sha256 != policy.sha256:
        raise UsageError(
            f"{policy_file}: not the policy that decided (that was {record.decision.policy.id}); give its file, or put "
            "this one on the run first: `covoguard redecide RUN --policy FILE`"
        )
    keep_inputs([record.input.path], (output,))
    page = report_on(record, ReportChoices(policy, with_sound=not no_audio, redact=redact))
    try:
        write_whole(output, [page.encode("utf-8")])
    except OSError as error:
        raise CovoguardError(
            f"{output}: cannot be written: {error.strerror}; choose another place", code="output_error"
        ) from error
    if not quiet:
        click.echo(printable(f"{record.decision.verdict}: {record.input.path}; written: {output}"), err=True)
    click.get_current_context().exit(EXIT_NOT_ANALYSABLE if record.error is not None else 0)
