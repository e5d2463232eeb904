"""`covoguard dataset corpora`."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from ..core.errors import UsageError
from ..core.records import Label
from ..reports.text import printable
from .options import EXIT_NOT_ANALYSABLE, verbose_option

if TYPE_CHECKING:
    from ..datasets.corpora import Corpus, CorpusCheck, Description

_SHOWN_FILES = 5


@click.group()
def corpora() -> None:
    """Look at the public corpora that can be read from your disk, and check your copies of them.

    \b
    Example:
      covoguard dataset corpora list
    """


@corpora.command("list", short_help="List the corpora: what, hours, licence.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per corpus and line.")
@verbose_option
def list_corpora(as_json: bool) -> None:
    """List the corpora that can be read, with what they hold, their hours and their licences.

    \b
    Example:
      covoguard dataset corpora list
    """
    from ..datasets.corpora import describe

    described = describe()
    width = max(len(each.name) for each in described)
    for each in described:
        click.echo(json.dumps(dataclasses.asdict(each)) if as_json else _row(each, width))


@corpora.command("check", short_help="Compare a copy of a corpus with its lists and published counts.")
@click.argument("name")
@click.argument("root", type=click.Path(path_type=Path))
@click.option(
    "--label", type=click.Choice(get_args(Label)), help="What the clips are; needed for `folder`, which does not say."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with every file that is missing or unlisted.")
@verbose_option
def check_corpus(name: str, root: Path, label: Label | None, as_json: bool) -> None:
    """Check that ROOT holds the corpus NAME, as `covoguard dataset corpora list` names it.

    Counts of its parts are compared with the published ones, and the files with the lists. Exit code 3: files are
    missing or counts differ. Files that no list names are told, but are no fault: some releases hold more.

    \b
    Example:
      covoguard dataset corpora check asvspoof2019-la corpora/LA
    """
    check = _reader(name, label).check(root)
    click.echo(json.dumps(_as_json(check)) if as_json else "\n".join(map(printable, _lines(check))))
    if not check.is_whole:
        raise click.exceptions.Exit(EXIT_NOT_ANALYSABLE)


@corpora.command("manifest", short_help="List a copy of a corpus as a CSV manifest.")
@click.argument("name")
@click.argument("root", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="CSV",
    help="New file to write; nothing is overwritten.",
)
@click.option("--part", help="One part of the corpus alone, as `check` names them.")
@click.option("--label", type=click.Choice(get_args(Label)), help="What the clips are; needed for `folder`.")
@verbose_option
def corpus_manifest(name: str, root: Path, output: Path, part: str | None, label: Label | None) -> None:
    """Write one line per clip of the corpus NAME at ROOT, for `covoguard evaluate`, `train` and `dataset split`.

    The folds are the corpus's own splits, or `all`. No audio is opened.

    \b
    Example:
      covoguard dataset corpora manifest in-the-wild corpora/release_in_the_wild -o in-the-wild.csv
    """
    from ..datasets.corpora.manifest_file import write_corpus_manifest

    count = write_corpus_manifest(_reader(name, label).clips(root, part), root, output)
    click.echo(f"{output}: {count:,} clips")


def _reader(name: str, label: Label | None) -> "Corpus":
    from ..datasets.corpora import CORPORA
    from ..datasets.corpora.folder import FolderCorpus

    corpus = CORPORA.get(name)
    if corpus is FolderCorpus:
        return FolderCorpus(label)
    if label is not None:
        raise UsageError(f"{name} says itself what its clips are; leave out --label")
    return corpus()


def _row(each: "Description", width: int) -> str:
    hours = f"{each.hours:,.0f} h" if each.hours is not None else ""
    return f"{each.name:{width}}  {hours:>8}  {each.licence:28}  {each.what}"


def _lines(check: "CorpusCheck") -> list[str]:
    lines = [f"{check.root}: {check.title}"]
    for part in check.parts:
        listed = part.listed
        counts = f"{listed.utterances:,} clips, {listed.bonafide:,} bona fide, {listed.spoof:,} spoof"
        speakers = f", {listed.speakers:,} speakers" if listed.speakers else ""
        if part.differences:
            verdict = "; ".join(part.differences)
        else:
            verdict = "as published" if part.published else "no published counts"
        lines.append(f"  {part.part}: {counts}{speakers} ({verdict})")
    if check.absent_parts:
        lines.append(f"  not there: {', '.join(check.absent_parts)}")
    lines += _files("listed, but missing", check.missing) + _files("there, but in no list", check.unlisted)
    return lines


def _files(title: str, paths: tuple[str, ...]) -> list[str]:
    if not paths:
        return []
    more = f" and {len(paths) - _SHOWN_FILES:,} more" if len(paths) > _SHOWN_FILES else ""
    return [f"  {title}: {len(paths):,} ({', '.join(paths[:_SHOWN_FILES])}{more})"]


def _as_json(check: "CorpusCheck") -> dict[str, object]:
    parts = [{**dataclasses.asdict(part), "differences": part.differences} for part in check.parts]
    return {**dataclasses.asdict(check), "root": str(check.root), "parts": parts, "is_whole": check.is_whole}
