"""`covoguard dataset`."""

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from ..core.errors import IntegrityError
from ..core.progress import silent
from ..core.protocols import Progress
from ..reports.text import printable
from .dataset_build import build
from .dataset_check import check, split
from .dataset_copier import train_copier
from .dataset_corpora import corpora
from .options import EXIT_NOT_ANALYSABLE, all_of, verbosity_options
from .terminal import shows_progress, with_progress

if TYPE_CHECKING:
    from ..datasets.store.summary import Share, StoreSummary
    from ..pipeline.dataset_files import AddRecord

INFO_VERSION = 1
_MIN_RATE_HZ, _MAX_RATE_HZ = 4_000, 16_000

_folder = click.Path(path_type=Path, file_okay=False)
_json_option = click.option("--json", "as_json", is_flag=True, help="JSON on standard output in place of the table.")

claim_options = all_of(
    click.option("--label", type=click.Choice(["bonafide", "spoof"]), help="Genuine or generated. A manifest says it."),
    click.option("--generator", metavar="NAME", help="What made the clips. Needed with --label spoof."),
    click.option("--version", "generator_version", metavar="TEXT", help="Version of the generator."),
    click.option("--family", metavar="NAME", help="Family of the generator: what splits keep together."),
    click.option("--kind", metavar="NAME", help="Kind of generation, such as tts, vc, codec or speech-lm."),
    click.option("--speaker", metavar="NAME", help="Whose voice it is."),
    click.option("--source", metavar="NAME", help="Corpus or place that the clips come from."),
    click.option("--licence", metavar="TEXT", help="Licence of the clips."),
    click.option("--split", metavar="NAME", help="Split or fold that the clips belong to."),
    click.option("--language", metavar="CODE", help="Language, such as en."),
    click.option("--consent-ref", metavar="TEXT", help="Where the consent of the speaker can be found."),
    click.option("--purpose", metavar="TEXT", help="What that consent is for."),
)


@click.group()
def dataset() -> None:
    """Keep labelled clips in a store, check and split them, and give them to other tools.

    A STORE is a folder of HDF5 shards with a Parquet manifest beside them. Each clip carries its label, where it
    comes from, and the hash of its samples.

    \b
    Example:
      covoguard dataset add recordings/ -o store --label bonafide --licence CC-BY-4.0
      covoguard dataset info store
    """


dataset.add_command(build)
dataset.add_command(check)
dataset.add_command(split)
dataset.add_command(corpora)
dataset.add_command(train_copier)


@dataset.command("add", short_help="Add clips that exist: recordings, or speech made elsewhere.")
@click.argument("inputs", nargs=-1, required=True, metavar="PATH...")
@click.option("-o", "--output", "folder", type=_folder, required=True, metavar="STORE", help="Store to add to.")
@claim_options
@click.option(
    "--rate", "rate_hz", type=click.IntRange(_MIN_RATE_HZ, _MAX_RATE_HZ), default=_MAX_RATE_HZ, show_default=True,
    metavar="HZ", help="Sample rate in the store, at most 16000.",
)  # fmt: skip
@click.option(
    "--samples", "sample_type", type=click.Choice(["int16", "float32"]), default="int16", show_default=True,
    help="How samples are kept: 16 bits, or as they are decoded.",
)  # fmt: skip
@_json_option
@verbosity_options
def add(
    inputs: tuple[str, ...], folder: Path, label: Literal["bonafide", "spoof"] | None, generator: str | None,
    generator_version: str | None, family: str | None, kind: str | None, speaker: str | None, source: str | None,
    licence: str | None, split: str | None, language: str | None, consent_ref: str | None, purpose: str | None,
    rate_hz: int, sample_type: Literal["int16", "float32"], as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Add clips that exist to a store: genuine recordings, or speech that was made elsewhere.

    PATH is a sound, a folder of sounds, a CSV manifest (columns clip, file, label, fold), or the folder of
    `covoguard generate`, whose manifest.jsonl gives labels, tokens and marks. Any format is decoded, to mono. A
    file that cannot be used is a line with an error, and the rest goes on; the same command goes on where it was
    stopped, and no file is stored twice.

    \b
    Exit codes:
      0  every file is there       3  some files were not added
      2  wrong usage               4  the store is damaged
      1  disk full, internal     130  interrupted: the same command goes on

    \b
    Examples:
      covoguard dataset add recordings/ -o store --label bonafide --source interviews --licence own
      covoguard dataset add eleven/ -o store --label spoof --generator elevenlabs --version v2 --consent-ref C-17
      covoguard dataset add generated/ -o store
    """
    from ..pipeline.dataset_files import add_clips
    from ..pipeline.dataset_inputs import Claims

    claims = Claims(
        label, generator, generator_version, family, kind, speaker, source, licence, split, language, consent_ref,
        purpose,
    )  # fmt: skip
    records = add_clips(inputs, folder, claims, rate_hz=rate_hz, sample_type=sample_type)
    if shows_progress(quiet=quiet, rows_on_terminal=False):
        records = with_progress(records, None, "adding")
    counts: Counter[str] = Counter()
    for record in records:
        counts[record.status] += 1
        counts["unmarked"] += record.token_mark is False
        if as_json:
            click.echo(json.dumps(dataclasses.asdict(record), ensure_ascii=True))
        elif record.status != "already":
            click.echo(_add_line(record))
    if not quiet:
        _print_counts(counts, folder)
    click.get_current_context().exit(EXIT_NOT_ANALYSABLE if counts["failed"] else 0)


@dataset.command("info", short_help="Count what a store holds.")
@click.argument("store_folder", type=_folder, metavar="STORE")
@click.option("--verify", is_flag=True, help="Read every clip and compare its samples with their hash.")
@_json_option
@verbosity_options
def info(store_folder: Path, verify: bool, as_json: bool, quiet: bool) -> None:
    """Count what a store holds: labels, generators, sources, hours, rates, and clips that are the same.

    \b
    Exit codes:
      0  read, and whole as far as it was looked at    3  no store can be read
      2  wrong usage                                   4  damaged

    \b
    Examples:
      covoguard dataset info store
      covoguard dataset info store --verify --json
    """
    from ..datasets.store import Store, summarize

    with Store.existing(store_folder) as store:
        summary = summarize(store.rows())
        damaged = list(store.verify()) if verify else None
    if as_json:
        content = {"schema_version": INFO_VERSION, **dataclasses.asdict(summary), "damaged": damaged}
        click.echo(json.dumps(content, ensure_ascii=True, allow_nan=False))
    else:
        for line in _info_lines(summary):
            click.echo(line)
    if damaged:
        raise IntegrityError(
            f"{store_folder}: the samples of {len(damaged)} clips are damaged, first {damaged[0]}; put a copy of the "
            "shard in its place, or take the shard away and add its clips again"
        )
    if verify and not quiet:
        click.echo(f"all {summary.clips} clips are whole", err=True)


@dataset.command("merge", short_help="Copy several stores into one.")
@click.argument("stores", nargs=-1, required=True, type=_folder, metavar="STORE...")
@click.option("-o", "--output", "folder", type=_folder, required=True, metavar="STORE", help="Store to copy into.")
@verbosity_options
def merge(stores: tuple[Path, ...], folder: Path, quiet: bool) -> None:
    """Copy the clips of several stores into one; a clip that is there already is not copied again.

    The same command, run again, goes on where it was stopped.

    \b
    Example:
      covoguard dataset merge genuine spoofs -o all
    """
    from ..pipeline.dataset_files import merge_stores

    copied, seen = merge_stores(stores, folder, _progress(quiet=quiet))
    if not quiet:
        click.echo(printable(f"{folder}: {copied} clips copied, {seen} were there already"), err=True)


@dataset.command("export", short_help="Write a store as files that other tools read.")
@click.argument("store_folder", type=_folder, metavar="STORE")
@click.option("-o", "--output", "folder", type=_folder, required=True, metavar="DIR", help="New folder to write.")
@click.option(
    "--format", "layout", type=click.Choice(["flac", "asvspoof", "hf"]), default="flac", show_default=True,
    help="flac: files, CSV and Parquet; asvspoof: protocol text; hf: audiofolder of Hugging Face datasets.",
)  # fmt: skip
@verbosity_options
def export(store_folder: Path, folder: Path, layout: str, quiet: bool) -> None:
    """Write a store as 16-bit FLAC files with the tables that other tools read.

    The folder appears under its name when it is whole.

    \b
    Examples:
      covoguard dataset export store -o clips
      covoguard dataset export store -o for-asvspoof --format asvspoof
    """
    from ..pipeline.dataset_files import export_store

    count = export_store(store_folder, folder, layout, _progress(quiet=quiet))
    if not quiet:
        click.echo(printable(f"written: {folder}, {count} clips"), err=True)


def _progress(*, quiet: bool) -> Progress:
    if not shows_progress(quiet=quiet, rows_on_terminal=False):
        return silent

    def draw(done: int, total: int | None, note: str = "") -> None:
        click.echo(f"\r{note} {done}/{total}", nl=done == total, err=True)

    return draw


def _add_line(record: "AddRecord") -> str:
    path = printable(record.path)
    if record.error is not None:
        return f"FAILED           {path}: {printable(record.error.message)}"
    return f"added {record.duration_s:8.2f} s {path}"


def _print_counts(counts: Mapping[str, int], folder: Path) -> None:
    text = f"{folder}: {counts['added']} added, {counts['already']} were there already, {counts['failed']} failed"
    click.echo(printable(text), err=True)
    if counts["unmarked"]:
        note = "clips added carry no token mark; `covoguard verify` will find none in them"
        click.echo(f"{counts['unmarked']} {note}", err=True)


def _info_lines(summary: "StoreSummary") -> list[str]:
    """Lines of at most 80 columns, as far as foreign names let them."""
    lines = [f"{summary.clips} clips, {summary.seconds / 3600:.2f} h"]
    lines.append(f"with tokens {summary.with_tokens}, with a token mark {summary.with_token_mark}")
    parts = {
        "label": summary.labels, "generator of spoofs": summary.generators, "source": summary.sources,
        "split": summary.splits, "sample rate, Hz": summary.rates_hz,
    }  # fmt: skip
    for title, shares in parts.items():
        if shares:
            lines += ["", f"   clips    hours  {title}", *map(_share_line, shares.items())]
    groups = summary.duplicates
    lines += ["", f"clips with the same samples: {sum(map(len, groups))} in {len(groups)} groups"]
    lines += [f"  {first} = {other}" for first, *others in groups for other in others]
    return lines


def _share_line(part: "tuple[str, Share]") -> str:
    name, share = part
    return f"{share.clips:8} {share.seconds / 3600:8.2f}  {printable(name)}"
