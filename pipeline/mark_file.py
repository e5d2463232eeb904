"""Puts a waveform mark on a recording: a new file, heard again before it is written, and the original left alone."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.audio import open_input
from ..core.audio.source import OpenedInput, named
from ..core.errors import CovoguardError, InputError, UsageError
from ..core.protocols import WaveformMark
from ..core.records import Audio, Float32Array
from ..core.waveformrecord import WaveformFinding
from ..core.wholefile import write_whole
from ..watermark.issued import IssuedMessages

FORMATS = {".wav": "WAV", ".flac": "FLAC"}
READ_FORMATS = {"WAV", "WAVEX", "RF64", "FLAC", "AIFF"}
"""Lossless ones: of others libsndfile gives less than there is without a word where they are damaged."""
BITS = {"PCM_16": 16, "PCM_24": 24}
SIXTEEN_BITS = {"PCM_16", "PCM_U8", "PCM_S8", "ULAW", "ALAW"}
"""What 16 bits hold without loss; all else is written with 24."""
MAX_DURATION_S = 3600.0


@dataclass(frozen=True)
class MarkedFile:
    """What was written."""

    path: str
    sha256: str
    source_sha256: str
    message: str | None
    """In hex; None: the mark carries none."""
    finding: WaveformFinding
    """In what was written, heard as a stranger's file would be."""


@dataclass(frozen=True)
class _Sound:
    """A recording as it is in its file."""

    channels: Float32Array
    """(n, channels)"""
    rate_hz: int
    subtype: str

    def mix(self, source: str) -> Audio:
        return Audio(self.channels.mean(axis=1, dtype=np.float32), self.rate_hz, source)


def mark_file(source: Path, output: Path, mark: WaveformMark, issued: IssuedMessages) -> MarkedFile:
    """Write a marked copy of `source` (WAV, FLAC or AIFF) to `output` (.wav or .flac), whole or not at all.

    Rate and channels stay, and so do up to 24 bits. The mark is computed for the mean of the channels and added to each
    of them. A mark with a message gets one that was never issued before. Tags and credentials are not copied: sign
    after marking. Raises `UsageError` for names, `InputError` for sound that cannot be marked or does not hold the
    mark, and as `mark.embed` and `issued`.
    """
    if output.suffix.lower() not in FORMATS:
        raise UsageError(f"{output}: cannot write {output.suffix or 'a name without suffix'}; use .wav or .flac")
    with open_input(source) as opened:
        if output.exists() and output.samefile(source):
            raise UsageError(f"{output}: this is the input, which is never overwritten; name another file")
        sound = _read(opened)
        opened.check_unchanged()
    method = mark.traits.method
    mix = sound.mix(str(source))
    message = issued.issue(method, mark.message_bytes) if mark.message_bytes else b""
    added = mark.embed(mix, message).samples - mix.samples
    subtype = "PCM_16" if sound.subtype in SIXTEEN_BITS else "PCM_24"
    content = _encoded(sound.channels + added[:, None], sound.rate_hz, FORMATS[output.suffix.lower()], subtype)
    finding = _heard_again(content, mark, message, source)
    digest = hashlib.sha256(content).hexdigest()
    try:
        write_whole(output, [content])
    except OSError as error:
        raise CovoguardError(
            f"{output}: cannot be written: {error.strerror}; make room, or name another file", code="output_error"
        ) from error
    if message:
        issued.record_file(method, message, digest)
    return MarkedFile(str(output), digest, opened.sha256, message.hex() or None, finding)


def _read(opened: OpenedInput) -> _Sound:
    import soundfile

    try:
        with soundfile.SoundFile(opened.file) as file:
            if file.format not in READ_FORMATS:
                raise InputError(
                    f"{named(opened.path)}: {file.format} sound; export it as WAV or FLAC and mark that",
                    code="unsupported_codec",
                )
            if file.frames > MAX_DURATION_S * file.samplerate:
                raise InputError(
                    f"{named(opened.path)}: longer than {MAX_DURATION_S:g} s; mark it in parts", code="too_large"
                )
            channels: Any = file.read(dtype="float32", always_2d=True)
            return _Sound(channels, file.samplerate, file.subtype)
    except soundfile.SoundFileError as error:
        raise InputError(
            f"{named(opened.path)}: cannot be read as WAV, FLAC or AIFF; export it as one of them", code="not_audio"
        ) from error


def _encoded(channels: npt.NDArray[Any], rate_hz: int, file_format: str, subtype: str) -> bytes:
    import soundfile

    # Rounded here: libsndfile scales floats by one step less than it reads them with.
    full_scale = 1 << (BITS[subtype] - 1)
    steps = np.clip(np.rint(channels.astype(np.float64) * full_scale), -full_scale, full_scale - 1)
    content = io.BytesIO()
    soundfile.write(
        content, steps.astype(np.int32) << (32 - BITS[subtype]), rate_hz, format=file_format, subtype=subtype
    )
    return content.getvalue()


def _heard_again(content: bytes, mark: WaveformMark, message: bytes, source: Path) -> WaveformFinding:
    """What is heard in the bytes to be written. Raises `InputError` (`mark_failed`) when that is not the mark."""
    import soundfile

    channels, rate_hz = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    finding = mark.find(_Sound(channels, rate_hz, "").mix(str(source)))
    right = finding.message == message.hex() if message else finding.status == "inconclusive"
    if right or finding.status in ("detected", "not_checked"):
        return finding
    heard = "" if finding.score is None else f" (score {finding.score:.2f}, and {finding.threshold:g} is certain)"
    raise InputError(
        f"{named(source)}: the mark {mark.traits.method} cannot be heard again in the marked sound{heard}, so nothing "
        "was written; take a longer or louder recording",
        code="mark_failed",
    )
