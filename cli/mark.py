"""`covoguard mark`."""

from pathlib import Path

import click

from ..core.jsonrecord import json_line
from ..core.waveformsettings import WaveformSettings
from ..pipeline.mark_file import mark_file
from ..pipeline.waveform_marks import open_waveform_marks
from ..reports.text import printable
from ..watermark.issued import IssuedMessages
from ..watermark.registry import WAVEFORM_MARKS
from .options import verbosity_options
from .waveform_options import waveform_options


@click.command()
@click.argument("method", type=click.Choice(WAVEFORM_MARKS.names()))
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="Marked copy, .wav or .flac, whole or not at all.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@waveform_options
@verbosity_options
def mark(
    method: str, file: Path, output: Path, as_json: bool, waveform: WaveformSettings, quiet: bool
) -> None:  # fmt: skip
    """Put a waveform mark on a recording, and hear it again before the file is written.

    FILE (WAV, FLAC or AIFF) is left as it is. A waveform mark is a label for sound that has no token mark, such as that
    of other generators: perth carries no message, audioseal 16 bits and audiowmark 128, drawn at random and kept in a
    register here. Only audiowmark is keyed. Sign a recording after marking it, not before.

    \b
    Exit codes:
      0  marked                     3  the recording cannot be read or marked
      2  wrong usage                4  package, program, checkpoint or key missing or not the right one
      1  disk full, internal

    \b
    Examples:
      covoguard mark perth speech.wav -o marked.wav
      covoguard mark audiowmark broadcast.flac -o marked.flac --audiowmark-key station.key
    """
    (chosen,) = open_waveform_marks(waveform, [method])
    marked = mark_file(file, output, chosen, IssuedMessages(waveform.issued))
    if as_json:
        click.echo(json_line(marked))
        return
    finding = marked.finding
    message = f", message {marked.message}" if marked.message else ""
    heard = f"heard again: {finding.status}" if finding.score is None else f"heard again: score {finding.score:.2f}"
    click.echo(printable(f"{marked.path}: marked with {method}{message}; {heard}"))
    if not quiet:
        note = f" {finding.detail}." if finding.detail else ""
        click.echo(printable(f"{finding.traits.limits}{note}"), err=True)
