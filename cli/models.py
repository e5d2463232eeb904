"""`covoguard models`."""

import json
from pathlib import Path

import click

from ..core.errors import UsageError
from ..pipeline.import_covo import ImportedModel, ImportOptions, import_covo
from ..pipeline.import_detector import import_detector
from ..pipeline.models import InstalledModel, installed_models, model_page, models_to_get
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
    if not as_json:
        for each in models_to_get():
            click.echo(f"{each.name} ({each.kind}): no model comes with covoguard; {each.how_to_get}")


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


@models.group("import")
def import_models() -> None:
    """Make a model folder of a downloaded checkpoint.

    \b
    Example:
      covoguard models import covo checkpoints/Covo-Audio-Chat --accept-licence
      covoguard models import aasist AASIST.pth -o models/aasist
    """


@import_models.command("covo", short_help="Import a checkpoint of Covo-Audio-Chat.")
@click.argument("checkpoint", metavar="DIR")
@click.option(
    "--accept-licence",
    is_flag=True,
    help="I have read the licence of Covo-Audio (academic use only) and accept it.",
)
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="New folder, with links to the large files. Default: what is new is written into DIR.",
)
@click.option(
    "--voice-prompt",
    "voice_prompts",
    multiple=True,
    metavar="NAME=FOLDER",
    help="A voice: folder with .npy files of its tokens, latents, speaker vector. May be repeated.",
)
@click.option(
    "--leave-out",
    multiple=True,
    metavar="PREFIX",
    help="Leave out tensors of model.pt that begin so and that decoding does not need. May be repeated.",
)
@click.option("--download", is_flag=True, help="Fetch DIR from the hub if it is the id of a model there.")
@verbose_option
def import_covo_checkpoint(
    checkpoint: str, accept_licence: bool, out: Path | None, voice_prompts: tuple[str, ...],
    leave_out: tuple[str, ...], download: bool,
) -> None:  # fmt: skip
    """Check a checkpoint of Covo-Audio-Chat to the last tensor, and make it a model folder for `generate`.

    DIR is the downloaded folder, or the id of a model in the local cache of the hub. The folder must hold
    config.json, the tokenizer, all model-*.safetensors, and token2wav with config.json, model.pt and
    global_mean_var.npy. Its voices/NAME, and those named with --voice-prompt, become the voices.

    \b
    Example:
      covoguard models import covo checkpoints/Covo-Audio-Chat --accept-licence
      covoguard models import covo tencent/Covo-Audio-Chat -o models/covo --accept-licence
      covoguard models import covo checkpoints/covo --voice-prompt default_female=prompts/female --accept-licence
    """
    options = ImportOptions(accept_licence, out, dict(map(_voice_prompt, voice_prompts)), leave_out, download)
    click.echo(_import_as_text(import_covo(checkpoint, options)))


_weights_argument = click.argument("weights", type=click.Path(path_type=Path, dir_okay=False))
_out_option = click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="FOLDER",
    help="New folder for the model.",
)


@import_models.command("aasist", short_help="Import released weights of AASIST or AASIST-L.")
@_weights_argument
@_out_option
@verbose_option
def import_aasist(weights: Path, out: Path) -> None:
    """Check a released file of AASIST or AASIST-L to the last tensor, and make it a model folder for `scan`.

    WEIGHTS is AASIST.pth or AASIST-L.pth of github.com/clovaai/aasist, best.pth of the baseline of ASVspoof 5, or the
    same tensors as .npz or .safetensors; which size it is shows in the file. To compare with, not to decide: these
    detectors are near chance on modern generators.

    \b
    Example:
      covoguard models import aasist AASIST.pth -o models/aasist
      covoguard scan --model models/aasist interview.wav
    """
    _import_detector("aasist", weights, out)


@import_models.command("lcnn", short_help="Import released weights of LFCC-LCNN-LSTM.")
@_weights_argument
@_out_option
@verbose_option
def import_lcnn(weights: Path, out: Path) -> None:
    """Check a released file of LFCC-LCNN-LSTM to the last tensor, and make it a model folder for `scan`.

    WEIGHTS is trained_network.pt of project/04-asvspoof2021-toy in nii-yamagishilab/project-NN-Pytorch-scripts, or
    the same tensors as .npz or .safetensors. To compare with, not to decide.

    \b
    Example:
      covoguard models import lcnn trained_network.pt -o models/lcnn
    """
    _import_detector("lcnn", weights, out)


@import_models.command("rawnet2", short_help="Import released weights of RawNet2.")
@_weights_argument
@_out_option
@verbose_option
def import_rawnet2(weights: Path, out: Path) -> None:
    """Check a released file of RawNet2 to the last tensor, and make it a model folder for `scan`.

    WEIGHTS is the .pth file of the baseline of ASVspoof 2021 (pre_trained_DF_RawNet2.zip of asvspoof.org), or the
    same tensors as .npz or .safetensors. To compare with, not to decide.

    \b
    Example:
      covoguard models import rawnet2 pre_trained_DF_RawNet2.pth -o models/rawnet2
    """
    _import_detector("rawnet2", weights, out)


def _import_detector(family: str, weights: Path, out: Path) -> None:
    model = import_detector(family, weights, out)
    click.echo(f"{out}: {model.id}, a model of the detector {model.part[1]}\n  licence: {model.card['licence']}")
    click.echo(f"  trained on: {', '.join(model.card['training']['data'])}\n  not for: {model.card['not_for'][0]}")


def _voice_prompt(text: str) -> tuple[str, Path]:
    name, separator, folder = text.partition("=")
    if not separator or not folder:
        raise UsageError(f"--voice-prompt {text}: give it as NAME=FOLDER")
    return name, Path(folder)


def _import_as_text(imported: ImportedModel) -> str:
    count, voices = len(imported.left_out), ", ".join(imported.voices)
    shown = ", ".join(imported.left_out[:10]) + (f" and {count - 10} more" if count > 10 else "")
    lines = [
        f"{imported.folder}: {imported.id} {'imported' if imported.is_new else 'imported before; nothing to do'}",
        f"  voices: {voices or 'none; name one with --voice-prompt'}",
        f"  left out of token2wav/model.pt, {count} tensors that decoding does not need: {shown}" if count else "",
    ]
    return "\n".join(filter(None, lines))


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
