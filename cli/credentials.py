"""`covoguard credentials`."""

from collections.abc import Callable
from pathlib import Path

import click

from ..core.errors import UsageError
from ..pipeline.credentials import (
    CredentialsReader,
    make_signer_folder,
    show_credentials,
)
from ..pipeline.inputs import STANDARD_INPUT, InputWalk
from ..reports.credentials_table import CredentialsTally
from ..reports.formats import CREDENTIALS_FORMATS
from ..reports.outputs import Outputs
from ..reports.text import printable
from ..watermark.credentials.manifest import MarkBinding
from .credentials_options import EXIT_INVALID, EXIT_NOT_ALL, mark_option, reading_options
from .options import verbose_option, verbosity_options


@click.group()
def credentials() -> None:
    """Read Content Credentials (C2PA), and make a signer to try them out.

    \b
    Example:
      covoguard credentials show interview.mp3
    """


@credentials.command("init", short_help="Make a test authority and a signer that nobody else trusts.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", default="covoguard test signer", show_default=True, help="What the signer is called.")
@verbose_option
def init(folder: Path, name: str) -> None:
    """Make a test authority and a signer in a new folder, for trying credentials out.

    Nobody else trusts this authority: others see `valid_untrusted`. For credentials that count, get a certificate for
    C2PA signing from an authority on the lists that your readers use, and give it to `covoguard sign --cert --key`.

    \b
    Example:
      covoguard credentials init my-signer
      covoguard credentials init my-signer --name "Radio Example"
    """
    make_signer_folder(folder, name)
    shown = printable(str(folder))
    click.echo(f"{shown}: authority.pem (give it to those who shall trust you), chain.pem, key.pem (show it to nobody)")
    click.echo(
        "WARNING: a TEST authority. NOBODY ELSE TRUSTS IT; what it signs shows as valid_untrusted to all", err=True
    )
    click.echo("others, who have no means to tell this name from the same name on a forger's certificate.", err=True)
    click.echo(f"to sign what `covoguard generate` makes: export COVOGUARD_SIGNER={shown}", err=True)


@credentials.command("show", short_help="Tell what credentials files have, and whether they hold.")
@click.argument("paths", nargs=-1, required=True, metavar="FILE...")
@reading_options
@mark_option("A token mark that `covoguard verify` found in the sound, KEY_ID.EPOCH: find lost credentials by it.")
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
@verbosity_options
def show(
    paths: tuple[str, ...], open_reader: Callable[[], CredentialsReader], mark: str | None, as_json: bool,
    output_files: tuple[Path, ...], quiet: bool,
) -> None:  # fmt: skip
    """Tell what credentials files have, who signed them, and whether they hold.

    States: trusted (unchanged, and a list of --trust vouches for the signer), valid_untrusted (unchanged, but anyone
    may have signed), invalid (changed since, altered, or run out), absent (the normal state: it says nothing), sidecar
    (a manifest beside the file), recovered (found again by a mark), unreadable, not_checked. A name in a certificate is
    worth what the list behind it is worth, and a signature does not make a statement true.

    \b
    Exit codes:
      0  finished                  3  some files could not be read or checked (wins over 20)
      2  wrong usage              20  credentials that do not hold
      4  trust list missing or damaged

    \b
    Examples:
      covoguard credentials show recordings/
      covoguard credentials show interview.mp3 --trust C2PA-TRUST-LIST.pem --json
      covoguard credentials show stripped.mp3 --mark k3e7670e85b.1
    """
    if paths.count(STANDARD_INPUT) > 1:
        raise UsageError("standard input can be read only once; use - once")
    reader = open_reader()
    marks = () if mark is None else (MarkBinding.parse(mark),)
    tally = CredentialsTally()
    shown = "jsonl" if as_json else None if output_files else "table"
    standard_output = CREDENTIALS_FORMATS[shown] if shown else None
    with Outputs(output_files, standard_output, CREDENTIALS_FORMATS) as outputs:
        outputs.write_all(tally.counting(show_credentials(InputWalk(paths), reader, marks)))
    if not quiet:
        click.echo(tally.summary(), err=True)
    click.get_current_context().exit(EXIT_NOT_ALL if tally.unknown else EXIT_INVALID if tally.broken else 0)
