"""What a file is by its first bytes, as far as that decides which error it gets. Suffixes play no part."""

import struct

from ..errors import InputError

HEAD_BYTES = 4096

_NOT_AUDIO: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"BM", "a BMP image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or office document"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\x1f\x8b\x08", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"SQLite format 3\x00", "a database"),
    (b"\xd0\xcf\x11\xe0", "an old office document"),
    (b"MThd", "a MIDI score, which holds notes and no sound"),
)

_KNOWN_MEDIA: tuple[tuple[int, bytes], ...] = (
    (0, b"RIFF"), (0, b"RF64"), (0, b"RIFX"), (0, b"riff\x2e\x91"), (0, b"fLaC"), (0, b"OggS"), (0, b"ID3"),
    (0, b"FORM"), (0, b".snd"), (0, b"caff"), (0, b"#!AMR"), (0, b"\x1a\x45\xdf\xa3"), (4, b"ftyp"),
    (4, b"moov"), (4, b"mdat"), (4, b"wide"), (4, b"free"), (0, b"wvpk"), (0, b"TTA1"), (0, b"MAC "), (0, b"FLV"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"), (0, b"Creative Voice"),
)  # fmt: skip

_TEXT_CONTROLS = frozenset(b"\t\n\v\f\r\x1b")


def refuse_other_content(head: bytes) -> None:
    """Raise `InputError` (not_audio) for text, playlists, pages, images, archives and programs.

    `head` is the first `HEAD_BYTES` of the file, or all of it.
    """
    if head[8:12] == b"WEBP":
        raise _not_audio("a WebP image")
    for magic, kind in _NOT_AUDIO:
        if head.startswith(magic):
            raise _not_audio(kind)
    if not is_known_media(head) and _is_text(head):
        raise _not_audio(_kind_of_text(head))


def is_known_media(head: bytes) -> bool:
    """Whether the file starts like a container of sound or video."""
    return any(head[offset : offset + len(magic)] == magic for offset, magic in _KNOWN_MEDIA)


def refuse_impossible_wave(head: bytes) -> None:
    """Raise `InputError` (bad_header) for a WAVE header with no channels or a rate of 0 Hz.

    FFmpeg refuses such files as invalid without saying why.
    """
    if head[:4] not in (b"RIFF", b"RF64") or head[8:12] != b"WAVE":
        return
    start = head.find(b"fmt ", 12)
    if start < 0 or len(head) < start + 16:
        return
    channels, rate_hz = struct.unpack_from("<HI", head, start + 10)
    if channels == 0 or rate_hz == 0:
        raise bad_header(rate_hz, channels)


def bad_header(rate_hz: int, channels: int) -> InputError:
    """The error for a rate or a number of channels that cannot be."""
    return InputError(
        f"the header declares {rate_hz} Hz and {channels} channels; the file is damaged or forged",
        code="bad_header",
    )


def _not_audio(kind: str) -> InputError:
    return InputError(f"the content is {kind}, whatever the file's name says", code="not_audio")


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _decodes(head[: len(head) // 2 * 2], "utf-16")
    if any(byte < 32 and byte not in _TEXT_CONTROLS for byte in head):
        return False
    may_end_inside_character = len(head) == HEAD_BYTES
    return any(_decodes(head[: len(head) - cut], "utf-8") for cut in range(4 if may_end_inside_character else 1))


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return "\x00" not in text


def _kind_of_text(head: bytes) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if start.startswith((b"#extm3u", b"ffconcat", b"[playlist]")):
        return "a playlist: it names other files and holds no sound"
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<svg", b"<smil")):
        return "a page of markup"
    return "text"
