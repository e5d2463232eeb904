"""Arguments and options that name the files of a run, as `scan` and `verify` share them."""

import os
from collections.abc import Iterable
from pathlib import Path

import click

from ..core.errors import UsageError
from ..pipeline.inputs import STANDARD_INPUT, InputWalk, listed_paths
from .options import all_of

input_options = all_of(
    click.argument("paths", nargs=-1, metavar="[PATH]..."),
    click.option("--files-from", metavar="FILE", help="Read more paths from FILE, one per line; - is standard input."),
    click.option("-0", "--null", "null_separated", is_flag=True, help="Paths in --files-from end with NUL bytes."),
    click.option(
        "--all-files", is_flag=True, help="Take all files of a folder, not only known audio and video suffixes."
    ),
)


def input_walks(
    paths: tuple[str, ...], files_from: str | None, null_separated: bool, all_files: bool
) -> list[InputWalk]:
    """The sources that the options name. Raises `UsageError` when they name nothing or contradict each other."""
    if not paths and files_from is None:
        raise UsageError("no input; name a file or a folder, or use --files-from")
    if null_separated and files_from is None:
        raise UsageError("-0 says how --files-from is written; give --files-from as well")
    if paths.count(STANDARD_INPUT) + (files_from == STANDARD_INPUT) > 1:
        raise UsageError("standard input can be read only once; use - once, for audio or for --files-from")
    walks = [InputWalk(paths, all_files=all_files)]
    if files_from is not None:
        listed = listed_paths(files_from, null_separated=null_separated)
        walks.append(InputWalk(listed, all_files=all_files, literal=True))
    return walks


def keep_inputs(inputs: Iterable[str], output_files: tuple[Path, ...]) -> None:
    """Raise `UsageError` when an output would overwrite an input."""
    for path in inputs:
        for output in output_files:
            if os.path.exists(path) and os.path.exists(output) and os.path.samefile(path, output):
                raise UsageError(f"{output}: this is an input, which is never overwritten; name another file")


def count_inputs(paths: tuple[str, ...], all_files: bool) -> int:
    """How many sources `paths` hold, for a progress bar."""
    return sum(1 for _ in InputWalk(paths, all_files=all_files))
