"""Options that say what is to be said by which generator, shared by all commands that make speech of prompts."""

import datetime
import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..core.errors import UsageError
from ..core.keyring import KeyRing
from ..core.keys import SecretKey
from ..reports.text import printable

if TYPE_CHECKING:
    from ..core.protocols import Generator
    from ..generate.prompts import PromptList
    from ..pipeline.generate import GenerationPlan, PayloadPlan

_MAX_TAKES = 1_000_000
_EPOCH = datetime.date(1970, 1, 1)


@dataclass(frozen=True)
class SpeechChoice:
    """The options as they were given."""

    texts: tuple[str, ...] = ()
    prompts_file: str | None = None
    sounds: tuple[str, ...] = ()
    backend: str | None = None
    model_folder: Path | None = None
    recoverer_folder: Path | None = None
    voice: str | None = None
    key_name: str | None = None
    no_mark: bool = False
    payload: "PayloadPlan | None" = None
    takes: int = 1

    def prompts(self) -> "PromptList":
        """What is to be said. Raises `UsageError` unless one of the three ways is taken, and as `read_prompts`."""
        from ..generate.prompts import PromptList, read_prompts

        if self.no_mark and (self.key_name is not None or self.payload is not None):
            raise UsageError("--no-mark makes speech without a mark; leave out --key and --payload")
        if sum((bool(self.texts), self.prompts_file is not None, bool(self.sounds))) != 1:
            raise UsageError("give what to say with one of --text, --prompts and --audio-prompt")
        if self.prompts_file is not None:
            return read_prompts(self.prompts_file)
        return PromptList.of_texts(self.texts) if self.texts else PromptList.of_sounds(self.sounds)


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


_OPTIONS = (
    click.option("--text", "texts", multiple=True, metavar="TEXT", help="What to say. May be repeated."),
    click.option(
        "--prompts",
        "prompts_file",
        metavar="FILE",
        help="Prompts: text with one per line, .csv (text; optional voice, id) or .jsonl (also sounds and "
        "conversations); - is standard input.",
    ),
    click.option(
        "--audio-prompt",
        "sounds",
        multiple=True,
        metavar="FILE",
        help="A sound to answer, for generators that listen. May be repeated.",
    ),
    click.option("--backend", help="Generator to use: pocket (bundled, the default), covo, server or transformers."),
    click.option(
        "--model",
        "model_folder",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Model folder to use instead of the bundled one.",
    ),
    click.option(
        "--recoverer",
        "recoverer_folder",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Recoverer of the generator's tokens: its mark table marks, and it reads clips back "
        "(`covoguard recover`).",
    ),
    click.option("--voice", help="Voice of prompts that name none. Default: the generator's first."),
    click.option("--key", "key_name", metavar="KEY", help="Mark under this key (id, beginning of one, or label)."),
    click.option("--no-mark", is_flag=True, help="Make speech without a mark; every record says so."),
    click.option(
        "--payload",
        metavar="MODEL:TENANT[:DATE]",
        callback=_payload,
        help="Let the mark carry two numbers (0 to 15, 0 to 1023) and a day; a mark then needs more seconds to show.",
    ),
    click.option(
        "-n",
        "--takes",
        type=click.IntRange(1, _MAX_TAKES),
        default=1,
        show_default=True,
        help="Clips per prompt, each with a seed of its own.",
    ),
)


def speech_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets them as one `speech`."""
    names = [each.name for each in fields(SpeechChoice)]

    @functools.wraps(function)
    def command(*args: Any, **given: Any) -> Any:
        speech = SpeechChoice(**{name: given.pop(name) for name in names})
        return function(*args, speech=speech, **given)

    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def ready_to_speak(
    speech: SpeechChoice, plan: "GenerationPlan", *, self_test: bool, quiet: bool
) -> "tuple[Generator, SecretKey | None]":
    """The generator that was chosen, loaded and checked, and the key to mark with (None: no marks).

    What is wrong with either is told before a first key is made. Raises as the parts. `self_test`: see whether a
    server marks.
    """
    from ..pipeline.clip_check import marks_of
    from ..pipeline.generate import check_plan, load_generator
    from ..pipeline.server_check import check_marks_of

    ring = None if speech.no_mark else KeyRing.open()
    if ring and speech.key_name is not None:
        ring.find(speech.key_name)  # an unknown key is told before the model takes seconds to load
    generator = load_generator(speech.backend, speech.model_folder, plan.settings)
    check_plan(plan, generator)
    if ring is None:
        return generator, None
    marks_of(generator, speech.recoverer_folder)
    key = _choose_key(ring, speech.key_name, quiet=quiet)
    if self_test:
        check_marks_of(generator, key, speech.recoverer_folder)
    return generator, key


def _choose_key(ring: KeyRing, name: str | None, *, quiet: bool) -> SecretKey:
    """The key to mark with, from the user's key ring; says on standard error which one, and when it made one."""
    is_first = name is None and ring.default_id() is None
    key = ring.get(name) if name is not None else ring.default_or_new()
    if is_first:
        click.echo(f"there was no key yet, so {key.key_id} was made: back it up, and show it to nobody", err=True)
    if not quiet:
        place = printable(str(ring.find(key.key_id).path))
        click.echo(f"marking under key {key.key_id}, epoch {key.epoch}, in {place}", err=True)
    return key
