"""`covoguard dataset build`."""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..core.errors import UsageError
from ..core.generatorsettings import DEFAULTS, GeneratorSettings
from ..reports.text import printable
from .generator_options import generator_options
from .options import EXIT_NOT_ANALYSABLE, MAX_JOBS, verbosity_options
from .speech_options import SpeechChoice, ready_to_speak, speech_options
from .terminal import shows_progress, with_progress

if TYPE_CHECKING:
    from ..core.protocols import Generator
    from ..pipeline.build_plan import BuildPlan, BuildRecord, SpeechOrder

_MAX_DEGRADED = 100


@click.command(short_help="Make spoofs of genuine clips and of prompts.")
@click.argument("collection", type=click.Path(path_type=Path), required=False, metavar="[STORE_OR_MANIFEST]")
@click.option(
    "-o", "--output", "folder", type=click.Path(path_type=Path, file_okay=False), required=True, metavar="NEW_STORE",
    help="Store to make, or to go on with.",
)  # fmt: skip
@click.option(
    "--spoof", "methods", multiple=True, required=True, metavar="METHOD",
    help="griffin-lim, world, pocket-resynthesis, covo-resynthesis …; neural:FOLDER, a network of train-copier; or "
    "generate, from prompts. An unknown name lists all. May be repeated.",
)  # fmt: skip
@click.option("--keep-bonafide", is_flag=True, help="Put the genuine clips into the new store too.")
@click.option(
    "--degrade", "degraded", type=click.IntRange(0, _MAX_DEGRADED), default=0, show_default=True, metavar="N",
    help="Degraded copies of each clip, the same damage for a genuine clip and its spoofs.",
)  # fmt: skip
@click.option(
    "--codec", "codecs", multiple=True, metavar="NAME[:BITS_PER_SECOND]",
    help="A copy of each clip of both classes through this codec, such as mp3:16000 or opus. May be repeated.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Decides all that is drawn.")
@click.option(
    "--consent", "--consent-ref", "consent_ref", metavar="TEXT",
    help="Where the consent of those can be found whose recorded voices are used; needed for sounds and for voices "
    "made of a recording.",
)  # fmt: skip
@click.option("--purpose", metavar="TEXT", help="What that consent is for.")
@click.option(
    "--jobs", type=click.IntRange(1, MAX_JOBS), default=1, show_default=True,
    help="Processes that make clips; the clips are the same for any number.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object per clip on standard output.")
@speech_options
@generator_options
@verbosity_options
def build(
    collection: Path | None, folder: Path, methods: tuple[str, ...], keep_bonafide: bool, degraded: int,
    codecs: tuple[str, ...], seed: int, consent_ref: str | None, purpose: str | None, jobs: int, as_json: bool,
    speech: SpeechChoice, settings: GeneratorSettings, quiet: bool,
) -> None:  # fmt: skip
    """Make spoofs: of genuine clips, whose words are made again by a vocoder or through tokens, and of prompts.

    STORE_OR_MANIFEST is a store, or a CSV manifest (columns clip, file, label). Each genuine clip gives one spoof
    per METHOD, at its level and length, with its speaker, text and source, so that splits keep the two together;
    what was made of which clip stands in its recipe. griffin-lim and world keep the voice. pocket-resynthesis and
    covo-resynthesis (--model, --recoverer) speak in a voice of the model and carry no token mark.

    --spoof generate says the prompts of --text, --prompts or --audio-prompt with any generator, as `covoguard
    generate` does: marked under your default key, or with --key or --no-mark. Its clips keep the generator's sample
    rate; training and checks resample.

    With --degrade, codecs, noise, rooms, lost packets and more are drawn for each clip, and done to a genuine one
    and its spoofs alike; --codec does so with one codec. A recording that went through a codec stays bonafide.

    A clip that cannot be used is a line with an error, and the rest goes on; the same command goes on where it was
    stopped, and makes nothing twice.

    \b
    Exit codes:
      0  every clip is there       3  some clips were not made
      2  wrong usage               4  a store, model or key is damaged or missing
      1  disk full, internal     130  interrupted: the same command goes on

    \b
    Examples:
      covoguard dataset build genuine -o paired --spoof griffin-lim --spoof world --keep-bonafide --jobs 4
      covoguard dataset build manifest.csv -o paired --spoof pocket-resynthesis --keep-bonafide --codec mp3:16000
      covoguard dataset build -o said --spoof generate --prompts lines.txt --no-mark -n 3
      covoguard dataset build genuine -o covo --spoof covo-resynthesis --model covo-chat --recoverer covo-ears
    """
    from ..pipeline.build_damage import CodecDamage
    from ..pipeline.build_plan import GENERATE, BuildPlan
    from ..pipeline.build_spoofs import build_spoofs
    from ..pipeline.token_resynthesis import TokenModel

    _check_options(methods, speech, settings, consent_ref, purpose)
    token_model = TokenModel(speech.model_folder, speech.recoverer_folder, settings.device)
    damage = tuple(CodecDamage.parse(text) for text in codecs)
    plan = BuildPlan(methods, keep_bonafide, degraded, seed, damage, token_model)
    _warn_of_codecs(plan)
    said = None
    if GENERATE in methods:
        said = _ordered(speech, settings, seed, consent_ref, purpose, quiet=quiet)
    records = build_spoofs(collection, folder, plan, speech=said, jobs=jobs)
    if shows_progress(quiet=quiet, rows_on_terminal=False):
        records = with_progress(records, None, "building")
    failures = _print(records, folder, as_json=as_json, quiet=quiet)
    click.get_current_context().exit(EXIT_NOT_ANALYSABLE if failures else 0)


def _check_options(
    methods: tuple[str, ...], speech: SpeechChoice, settings: GeneratorSettings, consent_ref: str | None,
    purpose: str | None,
) -> None:  # fmt: skip
    """Raise `UsageError` for options that no method heeds."""
    from ..pipeline.build_plan import GENERATE
    from ..pipeline.token_resynthesis import CovoResynthesis

    if GENERATE in methods:
        return
    others = dataclasses.replace(speech, model_folder=None, recoverer_folder=None), consent_ref, purpose
    if others != (SpeechChoice(), None, None) or dataclasses.replace(settings, device=None) != DEFAULTS:
        raise UsageError("prompts, voices, marks and consent go with --spoof generate; add it, or leave them out")
    has_model = speech.model_folder is not None or speech.recoverer_folder is not None or settings.device is not None
    if has_model and CovoResynthesis.name not in methods:
        raise UsageError("--model, --recoverer and --device go with --spoof generate or covo-resynthesis")


def _warn_of_codecs(plan: "BuildPlan") -> None:
    from ..pipeline.codec_copies import CodecCopy

    named = [name for name in plan.methods if name in CodecCopy.names()]
    if named:
        click.echo(
            f"warning: {', '.join(named)}: recordings that were only encoded are labelled as spoofs; a detector "
            "trained on them calls such files generated. For damage to both classes use --codec.",
            err=True,
        )


def _ordered(
    speech: SpeechChoice, settings: GeneratorSettings, seed: int, consent_ref: str | None, purpose: str | None,
    *, quiet: bool,
) -> "tuple[SpeechOrder, Generator]":  # fmt: skip
    from ..pipeline.build_plan import SpeechOrder
    from ..pipeline.generate import GenerationPlan

    prompts = speech.prompts()
    said = GenerationPlan(speech.voice, speech.takes, seed, payload=speech.payload, settings=settings)
    generator, key = ready_to_speak(speech, said, self_test=True, quiet=quiet)
    order = SpeechOrder(
        prompts, said, speech.backend, speech.model_folder, speech.recoverer_folder,
        None if key is None else key.key_id, consent_ref, purpose,
    )  # fmt: skip
    return order, generator


def _print(records: "Iterable[BuildRecord]", folder: Path, *, as_json: bool, quiet: bool) -> int:
    """A line for each record, and the counts in the end; -> how many failed."""
    counts: Counter[str] = Counter()
    for record in records:
        counts[record.status] += 1
        if as_json:
            click.echo(json.dumps(dataclasses.asdict(record), ensure_ascii=True))
        elif record.status != "already":
            click.echo(_line(record))
    if not quiet:
        text = f"{folder}: {counts['added']} made, {counts['already']} were there already, {counts['failed']} failed"
        click.echo(printable(text), err=True)
    return counts["failed"]


def _line(record: "BuildRecord") -> str:
    path = printable(record.path)
    if record.error is not None:
        return f"FAILED           {path}: {printable(record.error.message)}"
    damage = f" ({printable(', '.join(record.degradations))})" if record.degradations else ""
    return f"made {record.duration_s:9.2f} s {printable(str(record.clip_id))} of {path}{damage}"
