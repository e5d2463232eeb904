"""`covoguard train`."""

import os
from pathlib import Path

import click

from .options import verbose_option


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FOLDER",
    help="New folder for the model: weights, card, calibration, checksums.",
)
@click.option("--detector", default="logband-resnet", show_default=True, help="Kind of detector to train.")
@click.option(
    "--noise",
    "noise_folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Recorded noises to mix in; coloured noise is always used.",
)
@click.option(
    "--rooms",
    "rooms_folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Recorded room responses; made-up rooms are always used.",
)
@click.option(
    "--about",
    "about_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What the card says of the model in words (TOML: summary, licence, not_for, limits).",
)
@click.option("--copies", type=click.IntRange(0, 100), default=12, show_default=True, help="Degraded copies per clip.")
@click.option("--seed", type=int, default=2026, show_default=True, help="Decides everything that is drawn.")
@click.option("--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, help="Processes. Default: one per core.")
@verbose_option
def train(
    manifest: Path, folder: Path, detector: str, noise_folder: Path | None, rooms_folder: Path | None,
    about_file: Path | None, copies: int, seed: int, jobs: int,
) -> None:  # fmt: skip
    """Train a detector on labelled clips, with a card that tells how it fares on what it never heard.

    MANIFEST is a CSV file with the columns clip, file, label (bonafide or spoof), fold, and where known
    generator, family, kind, source, speaker. One model is trained per fold on the other folds; the saved
    detector is their mean, calibrated on the held-out clips. Keep generator families and speakers inside one
    fold: otherwise the figures flatter.

    \b
    Example:
      covoguard train corpus/manifest.csv -o my-detector --noise corpus/noise
      covoguard scan --model my-detector recordings/
    """
    from ..pipeline.train import TrainingPlan, load_sounds, read_about
    from ..pipeline.train import train as run

    plan = TrainingPlan(copies=copies, seed=seed, jobs=jobs)
    card = run(
        manifest,
        folder,
        detector,
        plan,
        sounds=load_sounds(noise_folder, rooms_folder),
        about=read_about(about_file),
        progress=_report,
    )
    click.echo(f"{folder}: {card['id']}@{card['version']}, held-out EER {100 * card['figures']['eer_pooled']:.1f} %")


def _report(done: int, total: int | None, note: str = "") -> None:
    click.echo(f"{note} ({done}/{total})", err=True)
