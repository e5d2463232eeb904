"""The whole sound of a file that is to become a clip, or the reason why it cannot."""

import contextlib
import dataclasses
from collections.abc import Iterator

from ..core.audio import Audio, AudioReader, OpenedInput, resample
from ..core.errors import InputError
from .dataset_inputs import Candidate
from .inputs import open_source

_ID_LENGTH = 16
"""Hexadecimal digits of the file's SHA-256 that become the clip's id: 64 bits, no two alike by chance."""


@contextlib.contextmanager
def open_candidate(candidate: Candidate) -> Iterator[OpenedInput]:
    """The file, with the bytes that its manifest lists. Raises what is wrong with it, as `InputError` or usage."""
    if candidate.error is not None:
        raise candidate.error
    with open_source(candidate.source) as opened:
        if candidate.expected_sha256 not in (None, opened.sha256):
            changed = f"{candidate.source.path}: its bytes are not those that its manifest lists; put the original back"
            raise InputError(changed, code="integrity")
        yield opened


def clip_id_of(opened: OpenedInput) -> str:
    """The id of the clip that is made of a file: the beginning of its hash."""
    return opened.sha256[:_ID_LENGTH]


def whole_sound(opened: OpenedInput, reader: AudioReader, rate_hz: int) -> Audio:
    """The sound at `rate_hz`. Raises `InputError`, also where only a part of it could be read."""
    decoded = reader.read(opened)
    if decoded.facts.partial:
        raise InputError(f"{opened.path}: damaged or cut; obtain it again", code="partial")
    if decoded.facts.too_long:
        hours = reader.limits.max_duration_s / 3600
        raise InputError(f"{opened.path}: longer than {hours:g} h; cut it into clips", code="too_long")
    samples = resample(decoded.audio.samples, decoded.audio.rate_hz, rate_hz)
    if not len(samples):
        raise InputError(f"{opened.path}: holds no sound; obtain it again", code="too_short")
    return dataclasses.replace(decoded.audio, samples=samples, rate_hz=rate_hz)
