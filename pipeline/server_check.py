"""Does a server that is to mark really mark? Asked before a run, with the same test that clips are read back with."""

import secrets
from pathlib import Path

from ..core.keys import SecretKey
from ..core.protocols import BatchGenerator, Generator
from ..core.records import Clip
from ..generate.serving.self_test import check_server_marks
from .clip_check import SERVER, SURE_S, marks_of
from .mark_evidence import load_mark_checker
from .marking import Marking, table_of
from .serving import remote_mark

_SEED_BITS = 53


def check_marks_of(generator: Generator, key: SecretKey, recoverer: Path | None = None) -> None:
    """Have a server's generator make a few clips under `key` and look for its mark; other generators mark here.

    Raises `IntegrityError` when the server does not mark, and as the generator does.
    """
    if generator.name != SERVER or not isinstance(generator, BatchGenerator):
        return
    marks = marks_of(generator, recoverer)
    checker = load_mark_checker([key], marks.path)

    def is_marked(clip: Clip) -> bool | None:
        if checker.check(clip.audio).status == "present":
            return True
        return None if clip.audio.duration_s < SURE_S else False

    mark = remote_mark(Marking(key, table_of(marks)))
    # drawn anew: the same test clips again and again would tell whoever listens in about the key
    check_server_marks(generator, mark, is_marked, seed=secrets.randbits(_SEED_BITS))
