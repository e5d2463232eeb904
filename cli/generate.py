"""`covoguard generate`."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from ..core.errors import UsageError
from ..core.generatorsettings import GeneratorSettings
from ..reports.text import printable
from .generator_options import generator_options
from .options import EXIT_NOT_ANALYSABLE, verbosity_options
from .speech_options import SpeechChoice, ready_to_speak, speech_options
from .terminal import shows_progress

if TYPE_CHECKING:
    from ..core.cliprecord import ClipRecord
    from ..pipeline.clip_credentials import ClipSigning
    from ..pipeline.generate import Generation

DEFAULT_FOLDER = Path("generated")
_MAX_SEED = 2**53 - 1


@click.command()
@speech_options
@click.option(
    "--seed",
    type=click.IntRange(0, _MAX_SEED),
    help="Decides everything that is drawn. Default: drawn at random, and recorded.",
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["flac", "wav"]),
    default="flac",
    show_default=True,
    help="Format of the clips, 16 bits.",
)
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path),
    default=DEFAULT_FOLDER,
    show_default=True,
    metavar="DIR",
    help="Folder for clips and manifest: a new one, or that of the same command.",
)
@click.option("--json", "as_json", is_flag=True, help="Manifest lines on standard output in place of the table.")
@click.option(
    "--signer",
    "signer_folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Sign each clip with Content Credentials, by this signer (`covoguard credentials init`). "
    "Default: $COVOGUARD_SIGNER, where it is set.",
)
@click.option("--no-sign", is_flag=True, help="No Content Credentials, even where $COVOGUARD_SIGNER is set.")
@click.option("--no-self-test", is_flag=True, help="With a server: do not try first whether it marks.")
@generator_options
@verbosity_options
def generate(
    speech: SpeechChoice, settings: GeneratorSettings, seed: int | None, format_name: str, folder: Path,
    as_json: bool, signer_folder: Path | None, no_sign: bool, no_self_test: bool, quiet: bool,
) -> None:  # fmt: skip
    """Make speech that carries a token-level mark, with a manifest of every clip.

    Each clip is written, read back from the disk, and tested for its mark. manifest.jsonl in the folder has one
    line per clip: text, voice, tokens, seed, settings, key id, hash and what was found; manifest.csv is the same
    for spreadsheets. The same command, run again, goes on where it was stopped. A prompt that cannot be said is a
    line with an error, and the rest goes on.

    With a signer each clip also gets Content Credentials: generated, by which model, under which mark. A clip that
    could not be signed is kept, and its line says so.

    Marks are on by default, under your default key; the first one is made when there is none (see
    `covoguard keys`).

    \b
    Exit codes:
      0  every clip is there    3  some prompts gave no clip, or a clip failed its check or is unsigned
      2  wrong usage            4  model or key missing or damaged
      1  disk full, internal  130  interrupted: the same command goes on

    \b
    Examples:
      covoguard generate --text "The meeting begins at nine." -o meeting
      covoguard generate --prompts lines.txt -n 3 --seed 7 -o corpus
      covoguard generate --prompts lines.csv --no-mark -o unmarked --json
      covoguard generate --backend covo --model covo-chat --recoverer covo-ears --audio-prompt question.wav
      covoguard generate --backend transformers --model mms-tts-eng --no-mark --prompts lines.txt -o mms
    """
    from ..pipeline.clip_check import reading_back
    from ..pipeline.generate import GenerationPlan, open_generation

    signing = _signing(signer_folder, no_sign=no_sign)
    prompts = speech.prompts()
    suffix: Literal[".flac", ".wav"] = ".wav" if format_name == "wav" else ".flac"
    plan = GenerationPlan(speech.voice, speech.takes, seed, suffix, speech.payload, settings)
    generator, key = ready_to_speak(speech, plan, self_test=not no_self_test, quiet=quiet)
    recoverer = speech.recoverer_folder
    with (
        reading_back(generator, key, payload=speech.payload is not None, recoverer=recoverer) as read_back,
        open_generation(
            folder, prompts, generator, plan, key=key, read_back=read_back, recoverer=recoverer, signing=signing
        ) as generation,
    ):
        _run(generation, as_json=as_json, quiet=quiet)
    click.get_current_context().exit(EXIT_NOT_ANALYSABLE if generation.tally.failures else 0)


def _signing(folder: Path | None, *, no_sign: bool) -> "ClipSigning | None":
    """The signer that was named, else the one that is configured; None: neither. Raises before anything is made."""
    from ..pipeline.clip_credentials import load_clip_signing, signer_folder

    if no_sign and folder is not None:
        raise UsageError("--no-sign makes clips without credentials; leave out --signer")
    chosen = None if no_sign else folder or signer_folder()
    return None if chosen is None else load_clip_signing(chosen)


def _run(generation: "Generation", *, as_json: bool, quiet: bool) -> None:
    """Make the clips, with a line of output for each, and the counts of the whole run at the end."""
    from ..core.cliprecord import clip_line
    from ..reports.clip_summary import ClipTable, clip_summary_lines

    is_terminal = sys.stdout.isatty()
    table = ClipTable(is_terminal=is_terminal)
    started = time.monotonic()
    records = generation.records()
    if shows_progress(quiet=quiet, rows_on_terminal=is_terminal):
        records = _with_bar(records, generation)
    if not as_json:
        click.echo(table.header())
    try:
        for record in records:
            click.echo(clip_line(record) if as_json else table.row(record))
    except KeyboardInterrupt:
        done = f"{generation.tally.records} of {generation.total} are done"
        click.echo(printable(f"{generation.folder}: {done}; the same command goes on from there"), err=True)
        raise
    if quiet:
        return
    for line in clip_summary_lines(generation.tally, generation.earlier, time.monotonic() - started):
        click.echo(line, err=True)
    click.echo(printable(f"written: {generation.folder / 'manifest.jsonl'}, manifest.csv"), err=True)


def _with_bar(records: "Iterator[ClipRecord]", generation: "Generation") -> "Iterator[ClipRecord]":
    """The same records, with a bar on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("generating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=generation.total, completed=generation.earlier)
        for record in records:
            yield record
            progress.advance(task)
