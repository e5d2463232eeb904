"""`covoguard audit`."""

import json
from pathlib import Path

import click

from ..core.audit.keys import AuditKeys, SigningKey, is_public_key, no_key_to_check_with
from ..core.audit.runs import of_case, runs_of
from ..core.audit.verify import read_entries, verify_log
from ..core.errors import CovoguardError, UsageError
from ..core.jsonrecord import json_line
from ..core.wholefile import write_whole
from ..reports.audit_view import entry_line, report_lines
from ..reports.case_uco import case_graph
from ..reports.text import printable
from .options import all_of, verbose_option

EXIT_NOT_INTACT = 20

_log_argument = click.argument("log", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="LOG")
_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")


def _public_keys(_ctx: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    keys = tuple(key.strip().lower() for key in given)
    for key in keys:
        if not is_public_key(key):
            raise click.BadParameter("a public key has 64 hexadecimal digits, as `covoguard audit key` prints it")
    return keys


_trust_option = click.option(
    "--public-key", "public_keys", multiple=True, metavar="HEX", callback=_public_keys,
    help="Trust this key and none of yours. May be repeated. Default: the keys in your folder of keys.",
)  # fmt: skip
_case_filter = all_of(
    click.option("--case", "case_id", help="Only the runs of this case."),
    click.option("--item", help="Only the runs on this exhibit."),
)


@click.group()
def audit() -> None:
    """Check, show and hand on the signed log of what was examined, by whom and with what.

    `covoguard scan` and `covoguard verify` write one with --audit-log FILE. Each entry holds the hash of the one before
    it and is signed with your audit key (Ed25519), which is made on first use and lies in `audit` in your folder of
    keys. A log shows that nobody without that key changed it. Whoever has the key can write it anew: hand heads on.

    \b
    Example:
      covoguard scan evidence/ --case 2026-17 --item A1 --examiner "J. Doe" --audit-log case.jsonl -o scan.jsonl
      covoguard audit verify case.jsonl
    """


@audit.command("verify", short_help="Tell whether a log is whole and as its key signed it.")
@_log_argument
@click.option(
    "--expect-head", metavar="HASH[:SEQ]",
    help="An entry that must be there: `audit.sha256` and `audit.seq` of any record, or the head that a run told.",
)  # fmt: skip
@_trust_option
@_json_option
@verbose_option
def verify_command(log: Path, expect_head: str | None, public_keys: tuple[str, ...], as_json: bool) -> None:
    """Tell whether a log is whole and as its key signed it, and name each line that is not.

    Entries that were changed, removed, moved, put in or signed with another key are found by the log itself, and so is
    an end that was cut off within a run. That whole runs were cut off at the end only shows with --expect-head.

    \b
    Exit codes:
      0  intact            4  no public key to check with, or the key's file is damaged
      2  wrong usage      20  not intact, or the last run has no end

    \b
    Example:
      covoguard audit verify case.jsonl
      covoguard audit verify case.jsonl --expect-head 9f2c…:41 --public-key 3b1e…
    """
    report = verify_log(log, _trusted(public_keys), expect_head)
    if as_json:
        click.echo(json_line(report))
    else:
        for line in report_lines(report, has_expected_head=expect_head is not None):
            click.echo(line)
    click.get_current_context().exit(0 if report.status == "intact" else EXIT_NOT_INTACT)


@audit.command("show", short_help="Show the entries of a log.")
@_log_argument
@_case_filter
@_json_option
@verbose_option
def show_command(log: Path, case_id: str | None, item: str | None, as_json: bool) -> None:
    """Show the entries of a log as they stand, unverified; --json prints the very lines.

    \b
    Example:
      covoguard audit show case.jsonl
      covoguard audit show case.jsonl --case 2026-17 --item A1 --json
    """
    for number, raw, entry in of_case(read_entries(log), case_id, item):
        if as_json and entry is not None:
            click.echo(raw.decode("ascii", "backslashreplace"))
        else:
            click.echo(entry_line(number, entry), err=as_json)


@audit.command("export", short_help="Hand a log on as CASE/UCO JSON-LD.")
@_log_argument
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write to FILE, whole or not at all. Default: standard output.",
)  # fmt: skip
@_case_filter
@_trust_option
@verbose_option
def export_command(
    log: Path, output: Path | None, case_id: str | None, item: str | None, public_keys: tuple[str, ...]
) -> None:
    """Hand a log on as CASE/UCO JSON-LD: investigation, examiner, tool, files with their hashes, actions and results.

    The log is verified first. One that is not intact is not handed on (exit 20), but for a last run without an end:
    that one has no end in the graph either.

    \b
    Example:
      covoguard audit export case.jsonl --case 2026-17 -o 2026-17.jsonld
    """
    report = verify_log(log, _trusted(public_keys))
    for line in report_lines(report, has_expected_head=True):
        click.echo(line, err=True)
    if report.status == "broken":
        click.get_current_context().exit(EXIT_NOT_INTACT)
    graph = case_graph(str(report.log_id), runs_of(of_case(read_entries(log), case_id, item)))
    content = (json.dumps(graph, indent=2) + "\n").encode("ascii")
    if output is None:
        click.echo(content, nl=False)
    else:
        _write(log, output, content)


@audit.command("key", short_help="Show the key that signs your logs, and make it on first use.")
@_json_option
@verbose_option
def key_command(as_json: bool) -> None:
    """Show the key that signs your logs, and make it on first use.

    The public key may be published, and whoever shall check your logs needs it. The secret is never printed: it lies in
    one file of your folder of keys; back that folder up.

    \b
    Example:
      covoguard audit key
    """
    keys = AuditKeys.open()
    _print_key(keys, keys.current_or_new(), as_json=as_json)


@audit.command("rotate", short_help="Make a new key that signs from now on.")
@_json_option
@verbose_option
def rotate_command(as_json: bool) -> None:
    """Make a new key that signs from now on; each log goes over to it by a signed entry when it is next written.

    The old key stays in the folder: it signs that entry. Rotate on a schedule, and at once when a key may have leaked.

    \b
    Example:
      covoguard audit rotate
    """
    keys = AuditKeys.open()
    _print_key(keys, keys.rotate(), as_json=as_json)


def _trusted(public_keys: tuple[str, ...]) -> tuple[str, ...]:
    """The keys given, else one's own. Raises `KeyMissing` when there is neither."""
    if public_keys:
        return public_keys
    keys = AuditKeys.open()
    own = tuple(key.public_key for key in keys.all())
    if not own:
        raise no_key_to_check_with(keys.folder)
    return own


def _print_key(keys: AuditKeys, key: SigningKey, *, as_json: bool) -> None:
    path = str(keys.path_of(key))
    if as_json:
        record = {"key_id": key.key_id, "public_key": key.public_key, "created_utc": key.created_utc, "path": path}
        click.echo(json.dumps(record))
        return
    click.echo(key.key_id)
    click.echo(f"  public key: {key.public_key}")
    click.echo(f"  created: {key.created_utc}")
    click.echo(f"  file: {printable(path)}")


def _write(log: Path, output: Path, content: bytes) -> None:
    if output.exists() and output.samefile(log):
        raise UsageError(f"{output}: this is the log itself; name another file")
    try:
        write_whole(output, [content])
    except OSError as error:
        raise CovoguardError(
            f"{output}: cannot be written: {error.strerror}; choose another place", code="output_error"
        ) from error
