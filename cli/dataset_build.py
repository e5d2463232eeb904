"""`covoguard dataset build`."""

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..reports.text import printable
from .options import EXIT_NOT_ANALYSABLE, verbosity_options
from .terminal import shows_progress, with_progress

if TYPE_CHECKING:
    from ..pipeline.build_spoofs import BuildRecord

_MAX_DEGRADED = 100


@click.command(short_help="Make spoofs of the genuine clips of a collection.")
@click.argument("collection", type=click.Path(path_type=Path), metavar="STORE_OR_MANIFEST")
@click.option(
    "-o", "--output", "folder", type=click.Path(path_type=Path, file_okay=False), required=True, metavar="NEW_STORE",
    help="Store to make, or to go on with.",
)  # fmt: skip
@click.option(
    "--spoof", "methods", multiple=True, required=True, metavar="METHOD",
    help="griffin-lim, world or pocket-resynthesis. May be repeated.",
)  # fmt: skip
@click.option("--keep-bonafide", is_flag=True, help="Put the genuine clips into the new store too.")
@click.option(
    "--degrade", "degraded", type=click.IntRange(0, _MAX_DEGRADED), default=0, show_default=True, metavar="N",
    help="Degraded copies of each clip, the same damage for a genuine clip and its spoofs.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Decides all that is drawn.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per clip on standard output.")
@verbosity_options
def build(
    collection: Path, folder: Path, methods: tuple[str, ...], keep_bonafide: bool, degraded: int, seed: int,
    as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Make spoofs of the genuine clips of a collection: the same words, made again by a vocoder or through tokens.

    STORE_OR_MANIFEST is a store, or a CSV manifest (columns clip, file, label). Each genuine clip gives one spoof
    per METHOD, at its level and length, with its speaker, text and source, so that splits keep the two together;
    what was made of which clip stands in its recipe. griffin-lim and world keep the voice. pocket-resynthesis
    speaks in a voice of the bundled model and carries no token mark. With --degrade, codecs, noise, rooms, lost
    packets and more are drawn per genuine clip, and done to it and to its spoofs alike.

    A clip that cannot be used is a line with an error, and the rest goes on; the same command goes on where it was
    stopped, and makes nothing twice.

    \b
    Exit codes:
      0  every clip is there       3  some clips were not made
      2  wrong usage               4  a store or model is damaged or missing
      1  disk full, internal     130  interrupted: the same command goes on

    \b
    Examples:
      covoguard dataset build genuine -o paired --spoof griffin-lim --spoof world --keep-bonafide
      covoguard dataset build manifest.csv -o paired --spoof pocket-resynthesis --keep-bonafide --degrade 2
    """
    from ..pipeline.build_spoofs import BuildPlan, build_spoofs

    records = build_spoofs(collection, folder, BuildPlan(methods, keep_bonafide, degraded, seed))
    if shows_progress(quiet=quiet, rows_on_terminal=False):
        records = with_progress(records, None, "building")
    counts: Counter[str] = Counter()
    for record in records:
        counts[record.status] += 1
        if as_json:
            click.echo(json.dumps(dataclasses.asdict(record), ensure_ascii=True))
        elif record.status != "already":
            click.echo(_line(record))
    if not quiet:
        text = f"{folder}: {counts['added']} made, {counts['already']} were there already, {counts['failed']} failed"
        click.echo(printable(text), err=True)
    click.get_current_context().exit(EXIT_NOT_ANALYSABLE if counts["failed"] else 0)


def _line(record: "BuildRecord") -> str:
    path = printable(record.path)
    if record.error is not None:
        return f"FAILED           {path}: {printable(record.error.message)}"
    damage = f" ({printable(', '.join(record.degradations))})" if record.degradations else ""
    return f"made {record.duration_s:9.2f} s {printable(str(record.clip_id))} of {path}{damage}"
