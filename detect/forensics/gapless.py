"""How many samples an encoder put in front and behind, as MP3, MP4 and Opus files state it."""

import struct
from dataclasses import dataclass

from ...core.audio.facts import Tags
from .riff import ReadAt

MAX_ID3_BYTES = 64 << 20
_FRAME_BYTES = 4096
_OPUS_RATE_HZ = 48_000


@dataclass(frozen=True)
class Gapless:
    """What the file states. `source` is the field's usual name."""

    source: str
    encoder: str | None
    delay_samples: int
    padding_samples: int | None
    """None: this field does not state it."""
    rate_hz: int | None = None
    """Where it is not the file's own."""


def stated_gapless(container: str, read_at: ReadAt, tags: Tags) -> Gapless | None:
    """The field of this container, if it has one that makes sense; sizes in it are never relied on."""
    for name, value in tags:
        if name.lower() == "itunsmpb":
            return _itunes(value)
    match container:
        case "mp3":
            return _lame(read_at)
        case "ogg":
            return _opus(read_at(0, _FRAME_BYTES))
    return None


def _itunes(value: str) -> Gapless | None:
    """` 00000000 00000840 000001CA 00000000003F31F6 …`: hexadecimal delay, padding and length."""
    words = value.split()
    try:
        delay, padding = (int(word, 16) for word in words[1:3])
    except ValueError:
        return None
    return Gapless("iTunSMPB", None, delay, padding)


def _lame(read_at: ReadAt) -> Gapless | None:
    """The LAME extension of the Xing header: nine characters, then 12 bits each of delay and padding at byte 21."""
    frame = _first_mp3_frame(read_at)
    start = max(frame.find(b"Xing", 0, 64), frame.find(b"Info", 0, 64))
    if start < 0 or len(frame) < start + 8:
        return None
    (flags,) = struct.unpack_from(">I", frame, start + 4)
    # Frames, bytes, table of contents and quality each stand there only if their flag is set.
    tag = start + 8 + sum(size for bit, size in ((1, 4), (2, 4), (4, 100), (8, 4)) if flags & bit)
    if len(frame) < tag + 24:
        return None
    encoder = frame[tag : tag + 9].split(b"\0")[0].decode("ascii", "replace").strip()
    packed = int.from_bytes(frame[tag + 21 : tag + 24], "big")
    if not encoder:
        return None
    return Gapless("LAME tag", encoder, packed >> 12, packed & 0xFFF)


def _first_mp3_frame(read_at: ReadAt) -> bytes:
    head = read_at(0, 10)
    start = 0
    if head[:3] == b"ID3" and len(head) == 10:
        start = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
    return read_at(start, _FRAME_BYTES) if start <= MAX_ID3_BYTES else b""


def _opus(head: bytes) -> Gapless | None:
    """OpusHead (RFC 7845, section 5.1): pre-skip in samples at 48 kHz."""
    start = head.find(b"OpusHead")
    if start < 0 or len(head) < start + 12:
        return None
    (skip,) = struct.unpack_from("<H", head, start + 10)
    return Gapless("Opus pre-skip", None, skip, None, _OPUS_RATE_HZ)
