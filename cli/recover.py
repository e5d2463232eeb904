"""`covoguard recover`."""

import os
from pathlib import Path

import click

from ..reports.text import printable
from .options import verbosity_options

_MAX_SEED = 2**53 - 1


@click.group()
def recover() -> None:
    """Train what reads a model's speech tokens back from sound, so that its marks can be verified.

    \b
    Example:
      covoguard recover train --backend pocket -o my-recoverer
    """


@recover.command("train", short_help="Train a recoverer from nothing but the model's decoder.")
@click.option(
    "--backend", help="Generator whose tokens are to be read. Default: the one that --model is for, or pocket."
)
@click.option(
    "--model",
    "model_folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The generator's model folder. Default: the bundled one.",
)
@click.option(
    "-o",
    "--output",
    "place",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="New folder for the recoverer; work in progress lies beside it, in DIR.training.",
)
@click.option("--pairs", type=click.IntRange(1, 10_000_000), default=6000, show_default=True, help="Training clips.")
@click.option("--steps", type=click.IntRange(1, 100_000_000), default=8000, show_default=True, help="Training steps.")
@click.option(
    "--tokens",
    metavar="lm|uniform|FILE",
    help="Sequences: said by the model's language model, drawn evenly, or those of a generated manifest.jsonl. "
    "Default: lm where the model speaks text by itself, else uniform.",
)
@click.option(
    "--prompts",
    "prompts_file",
    metavar="FILE",
    help="Prompts for --tokens lm, as for `covoguard generate`. Default: built-in English sentences.",
)
@click.option(
    "--entropy-bits",
    type=click.FloatRange(0.1, 16),
    default=3.0,
    show_default=True,
    help="Of the synthetic language that is marked where the model's own cannot be: bits per token.",
)
@click.option("--width", type=click.IntRange(1, 1 << 14), help="Width of the network. Default: by the codebook.")
@click.option("--blocks", type=click.IntRange(1, 256), help="Blocks of the network. Default: by the codebook.")
@click.option("--seed", type=click.IntRange(0, _MAX_SEED), default=1, show_default=True, help="Decides what is drawn.")
@click.option("--device", default="cpu", show_default=True, help="Where the network is trained: cpu, cuda, cuda:1 …")
@click.option("--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, help="Threads that damage sound.")
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
@verbosity_options
def train(
    backend: str | None, model_folder: Path | None, place: Path, pairs: int, steps: int, tokens: str | None,
    prompts_file: str | None, entropy_bits: float, width: int | None, blocks: int | None, seed: int, device: str,
    jobs: int, noise_folder: Path | None, rooms_folder: Path | None, quiet: bool,
) -> None:  # fmt: skip
    """Train a recoverer from nothing but the model's decoder.

    Token sequences are decoded, the sound is damaged as on its way through the world, and a network learns to
    read the tokens back. Its probabilities are calibrated, the mark's table is fitted to what it hears, and a
    card says how well it reads and how many seconds a mark needs. The same command, run again, goes on where it
    was stopped, and ends with the same weights.

    Use the folder with `covoguard verify --model DIR`. docs/recovery.md says what it costs for a large model.

    \b
    Exit codes:
      0  the folder is there    4  model missing or damaged
      2  wrong usage          130  interrupted: the same command goes on
      1  disk full, internal

    \b
    Examples:
      covoguard recover train --backend pocket -o my-recoverer
      covoguard recover train --model covo-audio --tokens corpus/manifest.jsonl --device cuda -o covo-audio/recoverer
    """
    from ..generate.prompts import read_prompts
    from ..generate.recovery.network import RecovererShape
    from ..pipeline.generate import load_generator
    from ..pipeline.recorded_sounds import load_sounds
    from ..pipeline.token_choice import token_source
    from ..pipeline.train_recoverer import RecovererPlan, check_decoder, check_device, train_recoverer_folder

    plan = RecovererPlan(pairs, steps, seed, check_device(device), jobs)
    sounds = load_sounds(noise_folder, rooms_folder)
    texts = None if prompts_file is None else [entry.text for entry in read_prompts(prompts_file) if not entry.problem]
    generator = load_generator(backend, model_folder)
    decoding = check_decoder(generator)
    source = token_source(generator, decoding, tokens, texts, entropy_bits)
    shape = RecovererShape.for_codes(decoding.codebook_size, width, blocks)
    card = train_recoverer_folder(
        decoding, source, place, shape, plan, sounds=sounds, report=_silent if quiet else _report
    )
    click.echo(printable(f"{place}: {card['id']}@{card['version']}, {_in_short(card['measured'])}"))


def _in_short(measured: "dict[str, dict[str, float | None]]") -> str:
    top1, bits, seconds = (measured[name] for name in ("top1", "bits_per_token", "seconds_at_1e-6"))
    shown = f"top-1 {100 * (top1['clean'] or 0):.1f} % clean, {100 * (top1['attack_mix'] or 0):.1f} % damaged; "
    needed = "no mark shows" if seconds["clean"] is None else f"a mark shows after about {seconds['clean']:.1f} s"
    return f"{shown}{bits['clean']:.2f} bits per token, {needed}"


def _report(line: str) -> None:
    click.echo(line, err=True)


def _silent(_line: str) -> None:
    pass
