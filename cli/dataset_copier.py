"""`covoguard dataset train-copier`."""

from pathlib import Path

import click

from ..reports.text import printable
from .options import verbosity_options

_MOST_MINUTES = 7 * 24 * 60


@click.command("train-copier", short_help="Train a small neural vocoder or codec that makes spoofs.")
@click.argument("kind")
@click.argument("collection", type=click.Path(path_type=Path), metavar="STORE_OR_MANIFEST")
@click.option(
    "-o", "--output", "folder", type=click.Path(path_type=Path, file_okay=False), required=True, metavar="FOLDER",
    help="New model folder. The work lies beside it, in FOLDER.training, until it is whole.",
)  # fmt: skip
@click.option("--variant", default="a", show_default=True, metavar="NAME", help="Named shape of the network: a or b.")
@click.option(
    "--minutes", type=click.FloatRange(0, _MOST_MINUTES, min_open=True), metavar="M",
    help="How long to train, over all runs.  [default: 15]",
)  # fmt: skip
@click.option(
    "--steps", type=click.IntRange(1), metavar="N",
    help="Train for so many steps in place of minutes: then the weights can be made again.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Decides all that is drawn.")
@verbosity_options
def train_copier(
    kind: str, collection: Path, folder: Path, variant: str, minutes: float | None, steps: int | None, seed: int,
    quiet: bool,
) -> None:  # fmt: skip
    """Train a small neural vocoder or codec on genuine speech, for `dataset build --spoof neural:FOLDER`.

    KIND is istft, upsampling, flow, excitation, residual-codec or scalar-codec. STORE_OR_MANIFEST is a store, or a
    CSV manifest (columns clip, file, label); only its genuine clips are heard. A copy has the words, the voice and
    the channel of its recording, and the flaws of a neural vocoder: a detector that learns from such pairs cannot
    tell them by voice or channel. Several kinds and variants teach more than one that is trained for longer.

    The same command goes on where it was stopped.

    \b
    Exit codes:
      0  trained                   2  wrong usage, or no genuine clip can be used
      4  the work is damaged       1  disk full, internal
    130  interrupted: the same command goes on

    \b
    Examples:
      covoguard dataset train-copier istft genuine -o copiers/istft
      covoguard dataset train-copier residual-codec manifest.csv -o copiers/codec --variant b --minutes 30
    """
    if minutes is not None and steps is not None:
        raise click.UsageError("give --minutes or --steps, not both")
    from ..pipeline.train_copier import CopierOrder
    from ..pipeline.train_copier import train_copier as train

    if minutes is None and steps is None:
        minutes = 15.0
    order = CopierOrder(kind, variant, minutes, steps, seed)
    card = train(collection, folder, order, report=lambda line: None if quiet else _say(line))
    measured = card["measured"]
    if not quiet:
        _say(
            f"{folder}: {card['id']}, {card['training']['steps']} steps, log-mel distance "
            f"{measured['log_mel_distance_db']:.2f} dB"
        )


def _say(line: str) -> None:
    click.echo(printable(line), err=True)
