"""`covoguard ask`."""

from pathlib import Path

import click

from ..core.generatorsettings import GeneratorSettings
from ..reports.text import printable
from .generator_options import generator_options
from .options import verbose_option


@click.command()
@click.argument("question", required=False)
@click.option("--audio", "sound", metavar="FILE", help="Sound to listen to before the question.")
@click.option(
    "--model",
    "model_folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    required=True,
    help="Model folder of a generator that listens, such as an imported Covo-Audio.",
)
@click.option("--seed", type=click.IntRange(0, 2**53 - 1), default=0, show_default=True, help="Of the answer.")
@generator_options
@verbose_option
def ask(question: str | None, sound: str | None, model_folder: Path, seed: int, settings: GeneratorSettings) -> None:
    """Ask a model that listens about a sound; it answers in text, with no speech.

    A model's answer is an opinion and no evidence: nothing in it enters a verdict.

    \b
    Exit codes:
      0  answered          3  the sound cannot be used
      2  wrong usage       4  model missing or damaged

    \b
    Examples:
      covoguard ask --model covo-audio --audio call.wav "What does the caller want?"
      covoguard ask --model covo-audio "What is a vocoder?"
    """
    from ..pipeline.ask import answer_of

    click.echo(printable(answer_of(model_folder, settings, question=question, sound=sound, seed=seed)))
