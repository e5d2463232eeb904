"""`covoguard sign`."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click

from ..core.credentialsfinding import CONTENT_KINDS, ContentKind
from ..core.credentialsrecord import SigningRecord
from ..pipeline.credentials import SigningPlan, load_signer, sign_files
from ..reports.formats import SIGNING_FORMATS
from ..reports.outputs import Outputs
from ..watermark.credentials.manifest import MarkBinding, TrainingUse
from .credentials_options import EXIT_NOT_ALL, mark_option, registry_of, registry_option
from .options import verbosity_options


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option(
    "--content",
    type=click.Choice(CONTENT_KINDS),
    required=True,
    help="What you assert: a machine generated it, a device captured it, or people edited it.",
)
@click.option(
    "--signer",
    "signer_folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder made by `covoguard credentials init`. Default: $COVOGUARD_SIGNER.",
)
@click.option(
    "--cert",
    "chain_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="PEM: your certificate, then those that lead to its authority. Goes with --key.",
)
@click.option(
    "--key",
    "key_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="PEM: the private key of --cert, unencrypted, readable by you alone.",
)
@click.option("--agent", default="covoguard", show_default=True, help="Program or device that made the content.")
@click.option("--agent-version", help="Its version.")
@click.option(
    "--allow-training", is_flag=True, help="Assert that machines may be trained on it. Default: they may not."
)
@mark_option("The token mark that is in the sound, as `covoguard verify` names it: KEY_ID.EPOCH. Files are registered.")
@registry_option
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder for the signed copies. Default: beside each file, as clip.signed.wav or as the sidecar clip.c2pa.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON record per file and line on standard output.")
@verbosity_options
def sign(
    paths: tuple[Path, ...], content: ContentKind, signer_folder: Path | None, chain_file: Path | None,
    key_file: Path | None, agent: str, agent_version: str | None, allow_training: bool, mark: str | None,
    registry_file: Path | None, folder: Path | None, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Sign files with Content Credentials (C2PA) that say how they came to be.

    WAV, MP3, FLAC and M4A get the credentials inside a signed copy; any other file gets a sidecar beside it, which must
    travel with it. Originals are never changed, and nothing is overwritten. The sound stays as it is, bit for bit.
    You sign your word: nobody checks that it is true. Nothing is sent anywhere, so there is no trusted timestamp.

    \b
    Exit codes:
      0  all are signed         3  some could not be signed
      2  wrong usage            4  signer missing or unusable
      1  disk full, internal

    \b
    Examples:
      covoguard sign --content captured --signer my-signer interview.wav
      covoguard sign --content generated --agent pocket --cert chain.pem --key key.pem clips/*.flac -o signed
    """
    named = None if mark is None else MarkBinding.parse(mark)
    training: TrainingUse = "allowed" if allow_training else "notAllowed"
    plan = SigningPlan(content, agent, agent_version, training, named, folder)
    signer = load_signer(signer_folder, chain_file, key_file)
    signed: Counter[bool] = Counter()
    with Outputs((), SIGNING_FORMATS["jsonl" if as_json else "table"], SIGNING_FORMATS) as outputs:
        outputs.write_all(_counted(sign_files(paths, plan, signer, registry_of(registry_file)), signed))
    if not quiet:
        click.echo(f"signed {signed[True]} of {signed.total()}", err=True)
    click.get_current_context().exit(EXIT_NOT_ALL if signed[False] else 0)


def _counted(records: Iterator[SigningRecord], signed: Counter[bool]) -> Iterator[SigningRecord]:
    for record in records:
        signed[record.error is None] += 1
        yield record
