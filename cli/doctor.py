"""`covoguard doctor`."""

import json
from dataclasses import asdict

import click

from ..pipeline.doctor import check_installation
from .options import verbose_option

EXIT_INCOMPLETE = 4


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object per check and line.")
@verbose_option
def doctor(as_json: bool) -> None:
    """Check that this installation is complete and works.

    Lists versions, checks every model against its checksums, asks the decoder for its codecs, and takes one
    clip through the whole chain. Exits with 4 when something that scanning, generating or verifying needs
    is missing.

    \b
    Example:
      covoguard doctor
    """
    failed = False
    for check in check_installation():
        failed |= check.status == "failed"
        if as_json:
            click.echo(json.dumps(asdict(check)))
        else:
            click.echo(f"{check.status:8} {check.name}: {check.detail}")
    click.get_current_context().exit(EXIT_INCOMPLETE if failed else 0)
