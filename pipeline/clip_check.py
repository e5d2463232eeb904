"""Reads a clip back from the disk as soon as it is written: is it whole, and is its mark found?"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

from ..core.audio import AudioReader, DecodeLimits
from ..core.cliprecord import ClipCheck
from ..core.errors import InputError, ModelMissing, UsageError
from ..core.keys import SecretKey
from ..core.modelcard import ModelFolder, open_model
from ..core.protocols import Generator
from .mark_evidence import TABLE_NAME, WrittenClip, check_written, load_mark_checker

SURE_S = 10.0
"""From this length on a mark that was put on is found again, unless something is wrong."""
WEAK_LOG10_P = -3.0
"""Evidence as strong as this shows that the mark is on, even where it is too little to be certain."""
LENGTH_TOLERANCE_S = 1e-3
SERVER = "server"
"""The backend that marks elsewhere; its folder on this side is that of a recoverer."""
RECOVERER_NAME = "recoverer"
"""Folder inside a generator's model folder where its recoverer is looked for, when none is named."""

ReadBack = Callable[[Path], WrittenClip]
"""Reads a written clip from the disk; raises `InputError` when it cannot."""


def marks_of(generator: Generator, recoverer: Path | None = None) -> ModelFolder:
    """The folder that marks the generator's tokens and reads them back: `recoverer`, or the generator's own.

    Raises `ModelMissing` when the generator has none, `UsageError` for the recoverer of another model and for a
    generator without tokens, and as `open_model`.
    """
    model = generator.model
    if not generator.has_tokens:
        raise UsageError(f"{generator.name}: speech of {model.id} carries no token mark; use --no-mark")
    own = model.path / RECOVERER_NAME
    if recoverer is None and TABLE_NAME in model.checksums:
        return model
    if recoverer is None and not own.is_dir():
        raise ModelMissing(
            f"{model.path}: {model.id} has no recoverer, and a mark that nobody can read back is of no use; train one "
            f"with `covoguard recover train --backend {generator.name}` and name it with --recoverer, or use --no-mark"
        )
    folder = open_model(recoverer or own)
    if TABLE_NAME not in folder.checksums:
        raise ModelMissing(f"{folder.path}: no recoverer, since it has no {TABLE_NAME}; train one or name its folder")
    made_for = (folder.card.get("for_model") or {}).get("model_sha256", folder.model_sha256)
    if generator.name != SERVER and made_for != model.model_sha256:
        raise UsageError(f"{folder.path}: reads the tokens of another model than {model.id}; name its own recoverer")
    return folder


@contextmanager
def reading_back(
    generator: Generator, key: SecretKey | None, *, payload: bool = False, recoverer: Path | None = None
) -> Iterator[ReadBack]:
    """The check of written clips: decoded as any file would be, and tested for the mark of `key` (None: for none).

    `payload`: the clips carry one, so presence is looked for in the other half of the slots. `recoverer` and what
    is raised as in `marks_of`.
    """
    checker = load_mark_checker([key], marks_of(generator, recoverer).path, payload=payload) if key else None
    with AudioReader(DecodeLimits()) as reader:
        yield partial(check_written, reader=reader, checker=checker)


def check_on_disk(path: Path, sha256: str, expected_s: float, read_back: ReadBack) -> ClipCheck:
    """What reading back says of the clip in `path`, written with this hash to last so many seconds."""
    try:
        written = read_back(path)
    except InputError as error:
        return ClipCheck("unreadable", detail=error.message)
    if written.sha256 != sha256:
        return ClipCheck("unreadable", detail="the file changed while it was read")
    if abs(written.duration_s - expected_s) > LENGTH_TOLERANCE_S:
        detail = f"{written.duration_s:.4f} s were read back, it should be {expected_s:.4f} s"
        return ClipCheck("wrong_length", detail=detail)
    return _judged(written, expected_s)


def _judged(written: WrittenClip, expected_s: float) -> ClipCheck:
    reading = written.token_mark
    if reading is None:
        return ClipCheck("not_marked")
    if reading.status == "present":
        return ClipCheck("mark_found", reading.log10_p, reading.seconds_used, reading.seconds_needed)
    is_weak = reading.log10_p is not None and reading.log10_p <= WEAK_LOG10_P
    status: Literal["too_short", "mark_not_found"] = "too_short" if is_weak or expected_s < SURE_S else "mark_not_found"
    return ClipCheck(status, reading.log10_p, reading.seconds_used, reading.seconds_needed, reading.reason)
