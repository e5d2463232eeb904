"""Entry point: finds the command, and turns every error into one line and an exit code.

A command's module is imported when the command runs, so `covoguard --help` loads no library but click.
"""

import contextlib
import importlib
import logging
import os
import signal
import sys
import traceback
from typing import NoReturn

import click

from ..core.errors import CovoguardError
from ..core.version import __version__

EXIT_INTERNAL = 1
EXIT_INTERRUPTED = 130

COMMANDS = {
    "scan": ("scan", "Give audio files a verdict with its evidence."),
    "verify": (
        "verify",
        "Tell what can be known of where files come from: marks, credentials, score, traces, and a verdict.",
    ),
    "sign": ("sign", "Sign files with Content Credentials (C2PA) that say how they came to be."),
    "credentials": ("credentials", "Read Content Credentials (C2PA), and make a signer to try them out."),
    "inspect": ("inspect", "Show what files tell of their history: tags, codecs, joins; observations, no verdict."),
    "redecide": ("redecide", "Put another policy on stored results, without scanning again."),
    "report": (
        "report",
        "Make one HTML page on one file: verdict, evidence, sound and record, to read, hear, print and hand on.",
    ),
    "dataset": (
        "dataset",
        "Keep labelled clips in a store, check and split them, and give them to other tools.",
    ),
    "train": (
        "train",
        "Train a detector on labelled clips, with a card that tells how it fares on what it never heard.",
    ),
    "evaluate": (
        "evaluate",
        "Measure a detector on labelled clips: error rates, calibration, by generator, source and condition.",
    ),
    "generate": ("generate", "Make speech that carries a token-level mark, with a manifest of every clip."),
    "mark": ("mark", "Put a waveform mark on a recording, and hear it again before the file is written."),
    "ask": ("ask", "Ask a model that listens about a sound; it answers in text, with no speech."),
    "recover": (
        "recover",
        "Train what reads a model's speech tokens back from sound, so that its marks can be verified.",
    ),
    "keys": ("keys", "Make, list and rotate the secret keys that speech is marked with."),
    "audit": ("audit", "Check, show and hand on the signed log of what was examined, by whom and with what."),
    "watermark": ("watermark", "Examine the token mark itself: whether it keeps its promises on your sound."),
    "demo": ("demo", "Show it all on this machine: make speech, damage it, look for the mark, and scan it."),
    "doctor": ("doctor", "Check that this installation is complete and works."),
    "models": ("models", "Look at the installed detectors and generators."),
    "completion": ("completion", "Print what makes your shell complete commands and options."),
    "explain": ("explain", "Say what a reason, an error or an observation means and what to do about it."),
}
"""Name of each command: its module here, which holds a command of that name, and its one-line help."""


class LazyGroup(click.Group):
    """A group that knows its commands from `COMMANDS` and imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table: most used first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(f".{module}", __package__), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.{cmd_name} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`, from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="covoguard")
def cli() -> None:
    """Find generated speech: any audio file in, a calibrated verdict with its evidence out.

    \b
    Examples:
      covoguard scan interview.mp3
      covoguard scan recordings/ -o results.jsonl -o results.csv
    """


def main() -> NoReturn:
    """Run the command line and exit with the code that the README's table gives."""
    _open_missing_streams()
    _end_as_if_interrupted()
    try:
        code = cli.main(prog_name="covoguard", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        _leave(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _complain("interrupted")
        _leave(EXIT_INTERRUPTED)
    except CovoguardError as error:
        _complain(f"error: {error.message}", error)
        _leave(error.exit_code)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _complain(f"error: {where}{error.strerror or error}; run with -v for the details", error)
        _leave(EXIT_INTERNAL)
    except Exception as error:
        _complain(f"internal error: {type(error).__name__}: {error}; run with -v for the details", error)
        _leave(EXIT_INTERNAL)
    _leave(code if isinstance(code, int) else 0)


def _open_missing_streams() -> None:
    """Give a standard stream that the caller closed its descriptor back.

    Else the next file opened would take it, and get what a library says on standard error. Data that is read
    from or written to such a stream fails; only messages are dropped.
    """
    if sys.stdin is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_WRONLY))
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")


def _end_as_if_interrupted() -> None:
    """Let a polite order to end (`kill`, a terminal that closes) do what Ctrl-C does: finished records are kept."""
    for order in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(order) is signal.SIG_DFL:  # nohup ignores SIGHUP, and that holds
            signal.signal(order, signal.default_int_handler)


def _complain(sentence: str, error: BaseException | None = None) -> None:
    """One line on standard error; with -v, where the error came from before it."""
    from ..reports.text import printable

    if error is not None and logging.getLogger("covoguard").isEnabledFor(logging.INFO):
        traceback.print_exception(error)
    sys.stderr.write(f"covoguard: {printable(sentence)}\n")


def _leave(code: int) -> NoReturn:
    """Exit at once.

    Threads of a scan that was stopped may still be at a file that nobody waits for, and standard output may be
    a pipe that nobody reads; neither may hold up the exit or change its code.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
