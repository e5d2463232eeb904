"""`covoguard demo`."""

import sys
import time
from pathlib import Path

import click

from ..core.progress import silent
from ..reports.text import printable
from .options import verbosity_options

EXIT_NOT_AS_MADE = 1


@click.command()
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("demo-output"),
    show_default=True,
    metavar="DIR",
    help="Folder for the clips, their damaged copies and the demonstration's own key.",
)
@verbosity_options
def demo(folder: Path, quiet: bool) -> None:  # fmt: skip
    """Show it all on this machine: make speech, damage it, look for the mark, and scan it.

    Five clips are made by the bundled generator, three with a mark and two without. Each is damaged in everyday
    ways, and then every file is scanned by the sound alone. The mark counts as found at a certified p of 1e-6.
    The key is made for the demonstration and stays in its folder; your own keys are not touched. Nothing leaves
    this machine.

    \b
    Exit codes:
      0  what was found is what was made    2  wrong usage
      1  some file is not as made           4  model missing or damaged

    \b
    Examples:
      covoguard demo
      covoguard demo -o first-look
    """
    from ..detect.policy import load_policy
    from ..pipeline.demo import damage_clips, examine, make_clips, prepare_demo
    from ..pipeline.generate import load_generator
    from ..pipeline.mark_evidence import load_mark_checker
    from ..pipeline.models import load_scorer
    from ..reports.demo_table import demo_header, demo_line, demo_lines_at_end

    started = time.monotonic()
    generator = load_generator(None, None)
    scorer, policy = load_scorer(None, None), load_policy(None)
    key = prepare_demo(folder)
    report = silent if quiet else _report
    clips = make_clips(folder, generator, key, report)
    files = damage_clips(folder, clips, report)
    click.echo(demo_header())
    rows = []
    for row in examine(files, scorer, policy, load_mark_checker([key], generator.model.path)):
        rows.append(row)
        click.echo(demo_line(row))
    for line in demo_lines_at_end(rows):
        click.echo(line)
    if not quiet:
        click.echo(printable(f"{len(rows)} files in {time.monotonic() - started:.0f} s, kept in {folder}"), err=True)
    click.get_current_context().exit(0 if all(row.as_made for row in rows) else EXIT_NOT_AS_MADE)


def _report(done: int, total: int | None, note: str = "") -> None:
    end = "\n" if done == total or not sys.stderr.isatty() else "\r"
    click.echo(f"{note} {done}/{total}{end}", err=True, nl=False)
