"""`covoguard train`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..core.errors import UsageError
from ..reports.text import printable
from .options import MAX_JOBS, verbose_option

if TYPE_CHECKING:
    from ..detect.training.parallel import DeviceChoice


@click.command()
@click.argument("config_file", metavar="CONFIG", type=click.Path(path_type=Path), required=False)
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="New folder for the model: weights, card, calibration, checksums. The work lies beside it until then.",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="What to train on; auto is a CUDA device where there is one.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, MAX_JOBS),
    default=os.cpu_count() or 1,
    help="Processes that decode, copy and damage clips and, on a CPU, train one member each. Default: one per core.",
)
@click.option(
    "--tensorboard",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Also write the course of the training for TensorBoard.",
)
@click.option("--example", is_flag=True, help="Print a configuration with every key and its default, and do no more.")
@verbose_option
def train(
    config_file: Path | None,
    folder: Path | None,
    device: "DeviceChoice",
    jobs: int,
    tensorboard: Path | None,
    example: bool,
) -> None:
    """Train a detector on labelled clips, with a card that tells how it fares on what it never heard.

    CONFIG is a TOML file; `covoguard train --example` prints one with all that can be set. Its clips are a CSV manifest
    with the columns clip, file, label (bonafide or spoof), fold, and where known generator, family, kind, source,
    speaker; or a store of `covoguard dataset`. Keep generator families and speakers inside one fold: otherwise the
    figures flatter. The same command, run again, goes on where it was stopped. It runs under torchrun as well.

    \b
    Exit codes:
      0  the model is there        3  a clip is missing or cannot be used
      2  wrong configuration       4  a model to start from is missing or damaged
      1  disk full, internal     130  interrupted: the same command goes on

    \b
    Examples:
      covoguard train --example > detector.toml
      covoguard train detector.toml -o my-detector
      covoguard scan --model my-detector recordings/
      torchrun --nproc-per-node 4 -m covoguard train detector.toml -o my-detector
    """
    if example:
        from ..pipeline.training_config import example_config

        click.echo(example_config(), nl=False)
        return
    if config_file is None or folder is None:
        raise UsageError("give a configuration and a place: covoguard train CONFIG -o FOLDER; --example prints one")
    from ..core.progress import silent
    from ..detect.training.parallel import is_first_process
    from ..pipeline.train_network import RunOptions, train_detector
    from ..pipeline.training_config import read_training_config

    report = _Report() if is_first_process() else silent
    card = train_detector(
        read_training_config(config_file), folder, RunOptions(jobs, device, tensorboard), progress=report
    )
    if card is not None:
        error_rate = card["figures"].get("eer_pooled")
        measured = "not measured" if error_rate is None else f"held-out EER {100 * error_rate:.1f} %"
        click.echo(printable(f"{folder}: {card['id']}@{card['version']}, {measured}"))


class _Report:
    """Progress on standard error: a line for each twentieth of a step of the work."""

    def __init__(self) -> None:
        self._last: tuple[str, int] = ("", -1)

    def __call__(self, done: int, total: int | None, note: str = "") -> None:
        """Say how far it is, where that is new; the first word of `note` names the step."""
        part = 20 * done // total if total else done
        if (note.split(" ", 1)[0], part) != self._last:
            self._last = (note.split(" ", 1)[0], part)
            click.echo(f"{note} ({done}/{total})", err=True)
