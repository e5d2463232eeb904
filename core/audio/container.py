"""Opens a file as a container of sound or video, and picks the sound track.

FFmpeg gets an open file, never a path, a white list of containers and of sound codecs, and a refusal for every
other file that a container asks for: opened by path it would follow playlists to other local files.
"""

from functools import cache
from typing import Any, BinaryIO

import av
import av.error

from ..errors import InputError
from . import sniff
from .limits import DecodeLimits

CONTAINERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,eac3,flac,flv,matroska,mov,mp3,mpeg,mpegts,ogg,tta,voc,w64,wav,wv"
)
"""FFmpeg's names of the demuxers that may run: files of sound and video, no playlists and no image readers."""

_SHORT_NAMES = {"mov": "mp4"}
_ENCRYPTED_TAGS = frozenset({"enca", "drms"})


def open_container(file: BinaryIO, head: bytes) -> Any:
    """An `av` input container over `file`, whose first bytes are `head`. Raises `InputError`."""
    file.seek(0)
    options = {"format_whitelist": CONTAINERS, "codec_whitelist": _sound_decoders()}
    try:
        return av.open(file, "r", container_options=options, metadata_errors="replace", io_open=_refuse_other_file)
    except av.error.MemoryError:
        raise
    except av.error.FFmpegError as error:
        if sniff.is_known_media(head):
            raise cut_or_destroyed() from error
        raise unknown_content() from error


def _refuse_other_file(url: str, flags: int, options: dict[str, str]) -> BinaryIO:
    raise PermissionError("the container asks for another file, which is never opened")


@cache
def _sound_decoders() -> str:
    """Names of all sound decoders: no picture of a video is ever decoded, not even to look at its size."""
    names = []
    for name in sorted(av.codecs_available):
        try:
            codec = av.Codec(name, "r")
        except av.codec.codec.UnknownCodecError:  # an encoder
            continue
        if codec.type == "audio":
            names.append(name)
    return ",".join(names)


def sound_stream(container: Any, *, is_cut: bool) -> Any:
    """The main sound track. Raises `InputError`; a track missing from a file that `is_cut` may have been lost."""
    stream = container.streams.best("audio")
    if stream is not None and stream.codec_context is not None:
        return stream
    tracks = container.streams.audio
    if not tracks and is_cut:
        raise cut_or_destroyed()
    if not tracks:
        raise InputError("the container holds no sound track", code="no_audio_stream")
    for track in tracks:
        if track.codec_context is not None:
            return track
    raise InputError("no decoder for the sound's codec; export it as WAV or FLAC", code="unsupported_codec")


def check_rate_and_channels(codec: Any, limits: DecodeLimits) -> None:
    """Raise `InputError` for encryption and for what cannot be; 0 leaves it to the first frame."""
    rate_hz, channels = codec.sample_rate, codec.channels
    if codec.codec_tag in _ENCRYPTED_TAGS:
        raise InputError("the sound is encrypted; obtain an unprotected copy", code="encrypted_or_unknown")
    is_rate_wrong = rate_hz != 0 and not limits.min_rate_hz <= rate_hz <= limits.max_rate_hz
    if is_rate_wrong or channels > limits.max_channels:
        raise sniff.bad_header(rate_hz, channels)


def short_name(container: Any) -> str:
    """FFmpeg's name of the container; `mp4` and `matroska` stand for their whole families (m4a, mov, webm)."""
    name = str(container.format.name).split(",")[0]
    return _SHORT_NAMES.get(name, name)


def cut_or_destroyed() -> InputError:
    """The error for a known kind of file that cannot be opened."""
    return InputError("the file is cut before its index, or destroyed; obtain it again", code="nothing_decoded")


def unknown_content() -> InputError:
    """The error for bytes that make no sense as sound or video."""
    return InputError("not a known kind of audio or video, or encrypted, or destroyed", code="encrypted_or_unknown")
