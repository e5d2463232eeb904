"""`covoguard generate`."""

import datetime
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from ..core.errors import UsageError
from ..core.generatorsettings import GeneratorSettings
from ..core.keyring import KeyRing
from ..core.keys import SecretKey
from ..reports.text import printable
from .generator_options import generator_options
from .options import EXIT_NOT_ANALYSABLE, verbosity_options
from .terminal import shows_progress

if TYPE_CHECKING:
    from ..core.cliprecord import ClipRecord
    from ..generate.prompts import PromptList
    from ..pipeline.generate import Generation, PayloadPlan

DEFAULT_FOLDER = Path("generated")
_MAX_SEED = 2**53 - 1
_MAX_TAKES = 1_000_000
_EPOCH = datetime.date(1970, 1, 1)


def _payload(_ctx: click.Context, _parameter: click.Parameter, text: str | None) -> "PayloadPlan | None":
    if text is None:
        return None
    from ..pipeline.generate import PayloadPlan

    try:
        model, tenant, *date = text.split(":", 2)
        day = (datetime.date.fromisoformat(date[0]) - _EPOCH).days if date else None
        return PayloadPlan(int(model), int(tenant), day)
    except ValueError:
        raise click.BadParameter("give MODEL:TENANT or MODEL:TENANT:YYYY-MM-DD, such as 1:42") from None


@click.command()
@click.option("--text", "texts", multiple=True, metavar="TEXT", help="What to say. May be repeated.")
@click.option(
    "--prompts",
    "prompts_file",
    metavar="FILE",
    help="Prompts: text with one per line, .csv (text; optional voice, id) or .jsonl (also sounds and conversations); "
    "- is standard input.",
)
@click.option(
    "--audio-prompt",
    "sounds",
    multiple=True,
    metavar="FILE",
    help="A sound to answer, for generators that listen. May be repeated.",
)
@click.option("--backend", help="Generator to use: pocket (bundled, the default), covo, server or transformers.")
@click.option(
    "--model",
    "model_folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Model folder to use instead of the bundled one.",
)
@click.option(
    "--recoverer",
    "recoverer_folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Recoverer of the generator's tokens: its mark table marks, and it reads clips back (`covoguard recover`).",
)
@click.option("--voice", help="Voice of prompts that name none. Default: the generator's first.")
@click.option("--key", "key_name", metavar="KEY", help="Mark under this key (id, beginning of one, or label).")
@click.option("--no-mark", is_flag=True, help="Make speech without a mark; every record says so.")
@click.option(
    "--payload",
    metavar="MODEL:TENANT[:DATE]",
    callback=_payload,
    help="Let the mark carry two numbers (0 to 15, 0 to 1023) and a day; a mark then needs more seconds to show.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, _MAX_SEED),
    help="Decides everything that is drawn. Default: drawn at random, and recorded.",
)
@click.option(
    "-n",
    "--takes",
    type=click.IntRange(1, _MAX_TAKES),
    default=1,
    show_default=True,
    help="Clips per prompt, each with a seed of its own.",
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
@click.option("--no-self-test", is_flag=True, help="With a server: do not try first whether it marks.")
@generator_options
@verbosity_options
def generate(
    texts: tuple[str, ...], prompts_file: str | None, sounds: tuple[str, ...], backend: str | None,
    model_folder: Path | None, recoverer_folder: Path | None, settings: GeneratorSettings, voice: str | None,
    key_name: str | None, no_mark: bool, payload: "PayloadPlan | None", seed: int | None, takes: int, format_name: str,
    folder: Path, as_json: bool, no_self_test: bool, quiet: bool,
) -> None:  # fmt: skip
    """Make speech that carries a token-level mark, with a manifest of every clip.

    Each clip is written, read back from the disk, and tested for its mark. manifest.jsonl in the folder has one
    line per clip: text, voice, tokens, seed, settings, key id, hash and what was found; manifest.csv is the same
    for spreadsheets. The same command, run again, goes on where it was stopped. A prompt that cannot be said is a
    line with an error, and the rest goes on.

    Marks are on by default, under your default key; the first one is made when there is none (see
    `covoguard keys`).

    \b
    Exit codes:
      0  every clip is there    3  some prompts gave no clip, or a clip failed its check
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
    from ..pipeline.clip_check import marks_of, reading_back
    from ..pipeline.generate import GenerationPlan, check_plan, load_generator, open_generation
    from ..pipeline.server_check import check_marks_of

    if no_mark and (key_name is not None or payload is not None):
        raise UsageError("--no-mark makes speech without a mark; leave out --key and --payload")
    prompts = _prompts(texts, prompts_file, sounds)
    ring = None if no_mark else KeyRing.open()
    if ring and key_name is not None:
        ring.find(key_name)  # an unknown key is told before the model takes seconds to load
    generator = load_generator(backend, model_folder, settings)
    suffix: Literal[".flac", ".wav"] = ".wav" if format_name == "wav" else ".flac"
    plan = GenerationPlan(voice, takes, seed, suffix, payload, settings)
    check_plan(plan, generator)  # and the rest before a first key is made
    if not no_mark:
        marks_of(generator, recoverer_folder)
    key = choose_key(ring, key_name, quiet=quiet) if ring else None
    if key and not no_self_test:
        check_marks_of(generator, key, recoverer_folder)
    with (
        reading_back(generator, key, payload=payload is not None, recoverer=recoverer_folder) as read_back,
        open_generation(
            folder, prompts, generator, plan, key=key, read_back=read_back, recoverer=recoverer_folder
        ) as generation,
    ):
        _run(generation, as_json=as_json, quiet=quiet)
    click.get_current_context().exit(EXIT_NOT_ANALYSABLE if generation.tally.failures else 0)


def _prompts(texts: tuple[str, ...], prompts_file: str | None, sounds: tuple[str, ...]) -> "PromptList":
    from ..generate.prompts import PromptList, read_prompts

    if sum((bool(texts), prompts_file is not None, bool(sounds))) != 1:
        raise UsageError("give what to say with one of --text, --prompts and --audio-prompt")
    if prompts_file is not None:
        return read_prompts(prompts_file)
    return PromptList.of_texts(texts) if texts else PromptList.of_sounds(sounds)


def choose_key(ring: KeyRing, name: str | None, *, quiet: bool) -> SecretKey:
    """The key to mark with, from the user's key ring; says on standard error which one, and when it made one."""
    is_first = name is None and ring.default_id() is None
    key = ring.get(name) if name is not None else ring.default_or_new()
    if is_first:
        click.echo(f"there was no key yet, so {key.key_id} was made: back it up, and show it to nobody", err=True)
    if not quiet:
        place = printable(str(ring.find(key.key_id).path))
        click.echo(f"marking under key {key.key_id}, epoch {key.epoch}, in {place}", err=True)
    return key


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
