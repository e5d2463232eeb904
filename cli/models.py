"""`covoguard models`."""

import json
from pathlib import Path

import click

from ..pipeline.models import DEFAULT_DETECTOR, InstalledModel, installed_models, model_page
from .options import verbose_option


@click.group()
def models() -> None:
    """Look at the installed detectors.

    \b
    Example:
      covoguard models list
    """


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per model and line, with the whole card.")
@verbose_option
def list_models(as_json: bool) -> None:
    """List the detectors with their models, from the model cards. The first is the default.

    \b
    Example:
      covoguard models list
      covoguard models list --json
    """
    for installed in installed_models():
        click.echo(_as_json(installed) if as_json else _as_text(installed))


@models.command("show", short_help="Print a model's card: data, figures, limits.")
@click.argument("detector", default=DEFAULT_DETECTOR)
@click.option(
    "--model", "folder", type=click.Path(path_type=Path), metavar="FOLDER", help="A model folder of your own."
)
@verbose_option
def show_model(detector: str, folder: Path | None) -> None:
    """Print a model's card: its data, its figures by generator family, and what it must not be used for.

    \b
    Example:
      covoguard models show logband-resnet
    """
    click.echo(model_page(detector, folder))


def _as_json(installed: InstalledModel) -> str:
    return json.dumps(
        {
            "detector": installed.detector,
            "path": str(installed.path),
            "model_sha256": installed.model.model_sha256 if installed.model else None,
            "problem": installed.problem,
            "card": dict(installed.card),
        }
    )


def _as_text(installed: InstalledModel) -> str:
    if installed.model is None:
        return f"{installed.detector}: cannot be used: {installed.problem}"
    card = installed.card
    return (
        f"{installed.detector}: {installed.model.id}, {card.get('licence', 'no licence stated')}\n"
        f"  {card.get('summary', 'no summary')}\n"
        f"  sha256 {installed.model.model_sha256}"
    )
