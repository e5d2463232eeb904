"""`covoguard models`."""

import json
from pathlib import Path

import click

from ..pipeline.models import InstalledModel, installed_models, model_page
from .options import verbose_option


@click.group()
def models() -> None:
    """Look at the installed detectors and generators.

    \b
    Example:
      covoguard models list
    """


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per model and line, with the whole card.")
@verbose_option
def list_models(as_json: bool) -> None:
    """List the detectors, the default first, and the generators with their models, from the model cards.

    \b
    Example:
      covoguard models list
      covoguard models list --json
    """
    for installed in installed_models():
        click.echo(_as_json(installed) if as_json else _as_text(installed))


@models.command("show", short_help="Print a model's card: data, figures, limits.")
@click.argument("name", required=False)
@click.option(
    "--model", "folder", type=click.Path(path_type=Path), metavar="FOLDER", help="A model folder of your own."
)
@verbose_option
def show_model(name: str | None, folder: Path | None) -> None:
    """Print the card of a detector's or a generator's model: its data, its figures, what it must not be used for.

    NAME is as in `covoguard models list`; without it, the default detector.

    \b
    Example:
      covoguard models show logband-resnet
      covoguard models show pocket
      covoguard models show --model runs/my-detector
    """
    click.echo(model_page(name, folder))


def _as_json(installed: InstalledModel) -> str:
    return json.dumps(
        {
            installed.kind: installed.name,
            "path": str(installed.path),
            "model_sha256": installed.model.model_sha256 if installed.model else None,
            "problem": installed.problem,
            "card": dict(installed.card),
        }
    )


def _as_text(installed: InstalledModel) -> str:
    title = f"{installed.name} ({installed.kind})"
    if installed.model is None:
        return f"{title}: cannot be used: {installed.problem}"
    card = installed.card
    return (
        f"{title}: {installed.model.id}, {card.get('licence', 'no licence stated')}\n"
        f"  {card.get('summary', 'no summary')}\n"
        f"  sha256 {installed.model.model_sha256}"
    )
