"""`covoguard watermark`."""

import dataclasses
import json
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from ..core.audio import Audio, AudioReader, DecodeLimits
from ..core.errors import InputError, UsageError
from ..core.selfcheckrecord import SelfCheck
from ..pipeline.crew import default_jobs
from ..pipeline.inputs import InputWalk, open_source
from ..pipeline.mark_evidence import load_recoverer, load_table
from ..pipeline.selfcheck import SelfCheckRun
from ..reports.selfcheck import selfcheck_lines
from ..reports.text import printable
from .options import jobs_option, verbosity_options
from .terminal import shows_progress, with_progress

EXIT_NOTHING_TESTED = 3
EXIT_ABOVE_BOUNDS = 10
EXIT_INTERRUPTED = 130
MAX_KEYS = 10_000_000


@click.group()
def watermark() -> None:
    """Examine the token mark itself: whether it keeps its promises on your sound.

    \b
    Example:
      covoguard watermark selfcheck --keys 1000 recordings/
    """


@watermark.command("selfcheck", short_help="Count false alarms on your own sound, under keys that marked nothing.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--keys",
    "n_keys",
    type=click.IntRange(1, MAX_KEYS),
    default=10_000,
    show_default=True,
    help="Dummy keys to try on every file.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Where the dummy keys come from. Default: drawn, and printed.")
@click.option(
    "--model",
    "model_folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder of the marked model. Default: the bundled one.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@jobs_option
@verbosity_options
def selfcheck(
    paths: tuple[str, ...], n_keys: int, seed: int | None, model_folder: Path | None, as_json: bool,
    jobs: int | None, quiet: bool,
) -> None:  # fmt: skip
    """Count false alarms on your own sound, under keys that marked nothing.

    Every file is tested under many keys that are drawn for this and belong to nobody. The share of pairs (file,
    key) with p at most a must not exceed a, whatever the files hold. Real keys are neither read nor tested. Each
    pair takes about as long as `covoguard verify` takes for the file after decoding: begin with few short files.
    Ctrl-C ends early and prints what is done.

    \b
    Exit codes:
      0  within the bounds         10  a share above its bound by more than chance
      2  wrong usage                3  no input has enough sound to be tested
      4  model missing or damaged  130  interrupted; what was done is printed

    \b
    Examples:
      covoguard watermark selfcheck recordings/
      covoguard watermark selfcheck --keys 1000 --seed 1 --json interview.wav call.mp3
    """
    recoverer = load_recoverer(model_folder)
    sounds = list(_sounds(paths))
    if not sounds:
        raise UsageError("none of the inputs can be read as sound, so there is nothing to check; name other files")
    seed = secrets.randbits(32) if seed is None else seed
    run = SelfCheckRun(recoverer, load_table(recoverer), sounds, seed=seed)
    done = run.keys(n_keys, jobs or default_jobs())
    watched = shows_progress(quiet=quiet, rows_on_terminal=False)
    interrupted = False
    try:
        for _ in with_progress(done, n_keys, "keys tried") if watched else done:
            pass
    except KeyboardInterrupt:
        interrupted = True
    result = run.summary()
    click.echo(
        json.dumps(dataclasses.asdict(result)) if as_json else "\n".join(map(printable, selfcheck_lines(result)))
    )
    sys.stdout.flush()
    click.get_current_context().exit(EXIT_INTERRUPTED if interrupted else _exit_code(result))


def _exit_code(result: SelfCheck) -> int:
    return {"above_bounds": EXIT_ABOVE_BOUNDS, "nothing_tested": EXIT_NOTHING_TESTED}.get(result.outcome, 0)


def _sounds(paths: tuple[str, ...]) -> Iterator[tuple[str, Audio]]:
    """Path and sound of each input; what cannot be read is named on standard error and left out."""
    with AudioReader(DecodeLimits()) as reader:
        for source in InputWalk(paths):
            try:
                with open_source(source) as opened:
                    yield source.path, reader.read(opened).audio
            except InputError as error:
                click.echo(printable(f"covoguard: warning: left out: {error.message}"), err=True)
