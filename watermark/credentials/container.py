"""Which files can hold a manifest inside, told by their content, and where a sidecar lies for the others."""

from pathlib import Path
from typing import BinaryIO

SIDECAR_SUFFIX = ".c2pa"
OTHER_FORMAT = "application/octet-stream"
"""What the library is told of files that it cannot look into; it then hashes all of their bytes."""
_HEAD_BYTES = 12
_ID3_HEADER_BYTES = 10


def embeddable_format(file: BinaryIO) -> str | None:
    """Media type of an open WAV, MP3, FLAC or MPEG-4 file, by its content; None: it can have a sidecar only.

    The library puts an ID3 tag in front of a FLAC stream that it signs, so one may stand before either kind. The file
    is left at its beginning.
    """
    try:
        file.seek(0)
        head = file.read(_HEAD_BYTES)
        if head[:4] == b"RIFF" and head[8:] == b"WAVE":
            return "audio/wav"
        if head[4:8] == b"ftyp":
            return "audio/mp4"
        if head[:3] == b"ID3":
            file.seek(_after_tag(head))
            head = file.read(_HEAD_BYTES)
        if head[:4] == b"fLaC":
            return "audio/flac"
        is_layer_3 = len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2
        return "audio/mpeg" if is_layer_3 else None
    finally:
        file.seek(0)


def sidecar_to_write(path: Path) -> Path:
    """`clip.c2pa` for `clip.ogg`, where other C2PA tools look for it as well."""
    return path.with_suffix(SIDECAR_SUFFIX)


def sidecars_to_read(path: Path) -> tuple[Path, ...]:
    """Where a sidecar of this file may lie; the name that can mean no other file comes first."""
    return (path.with_name(path.name + SIDECAR_SUFFIX), sidecar_to_write(path))


def _after_tag(head: bytes) -> int:
    """Where the sound begins behind an ID3v2 tag, whose size is four bytes of seven bits each."""
    size = 0
    for byte in head[6:_ID3_HEADER_BYTES]:
        size = size << 7 | byte & 0x7F
    return _ID3_HEADER_BYTES + size
