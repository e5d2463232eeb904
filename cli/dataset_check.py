"""`covoguard dataset check` and `covoguard dataset split`."""

from pathlib import Path

import click

from ..core.datasetrecord import DatasetCheck
from ..core.errors import UsageError
from ..core.jsonrecord import json_line
from ..core.progress import silent
from .options import EXIT_NOT_ANALYSABLE, jobs_option, verbosity_options

EXIT_FINDINGS = 12

_spread_option = click.option(
    "--spread", multiple=True, metavar="KEY=VALUE",
    help="A value that may stand in several parts, as speaker=LJ. May be repeated.",
)  # fmt: skip
_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object with everything.")


@click.command(short_help="Check a labelled collection: every clip, its labels, its folds.")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--by", default="family,speaker,source,text", show_default=True, metavar="KEYS",
    help="What must not stand in two folds.",
)  # fmt: skip
@_spread_option
@click.option("--near-duplicates", is_flag=True, help="Look for the same recording in other clips, cut or re-encoded.")
@click.option(
    "--utterances", is_flag=True,
    help="Look for utterances that come twice: originals beside vocoder copies or conversions of them. Every clip is "
    "compared with every other: 2,500 take 16 s, 25,000 half an hour.",
)  # fmt: skip
@_json_option
@click.option("--fail-on-findings", is_flag=True, help="Exit with 12 when anything is found.")
@click.option("--seed", type=int, default=2026, show_default=True, help="Decides what the probe draws.")
@jobs_option
@verbosity_options
def check(
    path: Path, by: str, spread: tuple[str, ...], near_duplicates: bool, utterances: bool, as_json: bool,
    fail_on_findings: bool, seed: int, jobs: int | None, quiet: bool,
) -> None:  # fmt: skip
    """Check a labelled collection: can every clip be used, can labels and folds be trusted.

    PATH is a manifest (CSV), a folder with a manifest.csv, a store, or any folder, of which only the sounds are
    checked. Every clip is decoded. Found are: files that are missing, unreadable, damaged, silent or too short;
    mixed sample rates; the same sound twice, or under both labels; folds without a class; every speaker, family,
    source, text and sound that stands in several folds; and shortcuts, which is what file formats, levels and
    silence tell of the labels.

    \b
    Exit codes:
      0  checked, whatever was found      3  some clips cannot be used (wins over 12)
      2  wrong usage                     12  --fail-on-findings, and something was found

    \b
    Examples:
      covoguard dataset check corpus/manifest.csv
      covoguard dataset check corpus/ --near-duplicates --json > check.json
      covoguard dataset check corpus/ --by family,speaker --spread speaker=LJ --fail-on-findings
    """
    from ..pipeline.crew import default_jobs
    from ..pipeline.dataset_check import CheckPlan, check_dataset
    from ..reports.dataset_check import check_lines
    from .terminal import shows_progress

    plan = CheckPlan(_keys(by), spread, near_duplicates, utterances, seed, jobs or default_jobs())
    watched = shows_progress(quiet=quiet, rows_on_terminal=False)
    result = check_dataset(path, plan, progress=_report if watched else silent)
    click.echo(json_line(result) if as_json else "\n".join(check_lines(result)))
    click.get_current_context().exit(_exit_code(result, fail_on_findings))


@click.command(short_help="Divide a manifest's clips into folds that share nothing.")
@click.argument("manifest", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "-o", "--output", "new", type=click.Path(path_type=Path, dir_okay=False), required=True, metavar="NEW.csv",
    help="New manifest; MANIFEST stays as it is.",
)  # fmt: skip
@click.option(
    "--by", default="family,speaker", show_default=True, metavar="KEYS",
    help="What must not stand in two folds: family, speaker, source, text, or some of these.",
)  # fmt: skip
@click.option("--folds", type=click.IntRange(2, 1000), help="How many folds of one size. Default: 5.")
@click.option(
    "--shares", metavar="NAME=SHARE,...", help="Parts of other sizes in place of folds: train=0.8,dev=0.1,test=0.1."
)
@_spread_option
@click.option("--seed", type=click.IntRange(0), default=2026, show_default=True, help="Decides between equal choices.")
@_json_option
@verbosity_options
def split(
    manifest: Path, new: Path, by: str, folds: int | None, shares: str | None, spread: tuple[str, ...], seed: int,
    as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Divide a manifest's clips into folds that share no family, speaker, source or text.

    Clips that share a value of --by, directly or through other clips, stay together; such groups are dealt out so
    that both labels fill the folds evenly, by clips and, where the manifest has duration_s, by time. A group that is
    too large for that is never broken: its size is told, and what glues it. Values that are not known bind
    nothing.

    \b
    Examples:
      covoguard dataset split corpus/manifest.csv -o corpus/folds.csv --by family,speaker --folds 5
      covoguard dataset split all.csv -o parts.csv --by speaker --shares train=0.8,dev=0.1,test=0.1 --seed 1
      covoguard dataset split all.csv -o folds.csv --spread speaker=LJ
    """
    from ..datasets.splits import fold_shares
    from ..pipeline.dataset_check import split_dataset
    from ..reports.dataset_check import split_lines

    if shares is not None and folds is not None:
        raise UsageError("--folds and --shares are two ways to say the same; give one of them")
    wanted = fold_shares(folds or 5) if shares is None else _shares(shares)
    report = split_dataset(manifest, new, by=_keys(by), shares=wanted, seed=seed, spread=spread)
    if as_json:
        click.echo(json_line(report))
    elif not quiet:
        click.echo("\n".join(split_lines(report)))


def _keys(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key.strip() for key in text.split(",") if key.strip()))


def _shares(text: str) -> dict[str, float]:
    shares: dict[str, float] = {}
    for item in text.split(","):
        name, _, share = item.partition("=")
        try:
            number = float(share)
        except ValueError:
            number = 0.0
        if not name.strip() or not 0 < number < float("inf") or name.strip() in shares:
            raise UsageError(f"--shares: {item!r} is no NAME=SHARE with a new name and a share above 0")
        shares[name.strip()] = number
    return shares


def _exit_code(result: DatasetCheck, fail_on_findings: bool) -> int:
    """Clips that cannot be used win: of them nothing else is known."""
    if any(finding.severity == "unusable" for finding in result.findings):
        return EXIT_NOT_ANALYSABLE
    return EXIT_FINDINGS if fail_on_findings and result.findings else 0


def _report(done: int, total: int | None, note: str = "") -> None:
    click.echo(f"\r{done}/{total} {note}", err=True, nl=done == total)
