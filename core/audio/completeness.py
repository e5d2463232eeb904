"""Signs of a file that was cut short, read from the container itself where FFmpeg does not tell."""

import os
import struct
from typing import BinaryIO

ESTIMATED_DURATION = frozenset({"aac", "ac3", "amr", "eac3", "mpeg", "mpegts"})
"""Raw streams and broadcasts: no header states their length, and FFmpeg's guess is up to 4 % off."""

EXACT_DURATION = frozenset({"wav", "w64", "flac", "aiff", "au", "caf", "wv", "tta", "ape"})
"""Containers that state the number of samples, where the codec is lossless."""

LOSSLESS_CODECS = frozenset({"flac", "alac", "wavpack", "tta", "ape"})

SHARED_DURATION = frozenset({"asf", "avi", "flv", "matroska"})
"""Containers whose stated length is that of the whole file, pictures included."""

COARSE_TOLERANCE_S = 0.15
"""Several frames of any codec: these headers are rounded, or count what the encoder put in front."""
MP3_TOLERANCE_S = 0.02
EXACT_TOLERANCE_SAMPLES = 0.5

_EBML_SEGMENT = b"\x18\x53\x80\x67"
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_PIPED_WAVE_BYTES = 0x7FFF_0000
"""Programs that cannot go back to the header write 0 or a size from here up (sox 0x7FFFF000, FFmpeg 0xFFFFFFFF)."""
_FLV_TAGS = (b"\x08", b"\x09", b"\x12")
_MAX_CHUNKS = 1000
_OGG_END_OF_STREAM = 0x04
_OGG_MAX_PAGE_BYTES = 65_307


def declares_duration(container: str, file: BinaryIO) -> bool:
    """Whether the container states its length, so that a shortfall means loss."""
    match container:
        case "mp3":
            return _has_mp3_frame_count(file)
        case "wav":
            return not _was_written_to_a_pipe(file)
        case _:
            return container not in ESTIMATED_DURATION


def tolerance_s(container: str, codec: str, rate_hz: int) -> float:
    """How many seconds may be missing before the declared length counts as not reached."""
    if container in EXACT_DURATION and (codec in LOSSLESS_CODECS or codec.startswith("pcm_")):
        return EXACT_TOLERANCE_SAMPLES / rate_hz
    return MP3_TOLERANCE_S if container == "mp3" else COARSE_TOLERANCE_S


def is_cut_short(container: str, file: BinaryIO) -> bool:
    """True where the file's structure shows that its end is missing."""
    match container:
        case "mp3":
            return _is_shorter_than_xing_header_says(file)
        case "wav":
            return _cuts_wave_data(file)
        case "w64":
            return _is_shorter_than_w64_header_says(file)
        case "flv":
            return _lacks_last_flv_tag(file)
        case "asf":
            return _is_shorter_than_asf_header_says(file)
        case "avi":
            return _cuts_riff(file)
        case "ogg":
            return _lacks_last_ogg_page(file)
        case "mp4":
            return _cuts_mp4_box(file)
        case "matroska":
            return _cuts_matroska_segment(file)
        case "mpegts":
            return _size(file) % 188 != 0 and _size(file) % 192 != 0
        case _:
            return False


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _read_at(file: BinaryIO, offset: int, count: int) -> bytes:
    # Not `seek`: the demuxer reads through the same file object and would lose its place.
    return os.pread(file.fileno(), count, offset)


def _has_mp3_frame_count(file: BinaryIO) -> bool:
    _, frame = _first_mp3_frame(file)
    return any(word in frame for word in (b"Xing", b"Info", b"VBRI"))


def _is_shorter_than_xing_header_says(file: BinaryIO) -> bool:
    """Compare with the number of bytes in the Xing or Info header (flag 2), counted from its own frame on."""
    start, frame = _first_mp3_frame(file)
    offset = max(frame.find(b"Xing"), frame.find(b"Info"))
    if offset < 0 or len(frame) < offset + 16:
        return False
    flags = int(struct.unpack_from(">I", frame, offset + 4)[0])
    if not flags & 2:
        return False
    stated_bytes = int(struct.unpack_from(">I", frame, offset + (12 if flags & 1 else 8))[0])
    return start + stated_bytes > _size(file)


def _first_mp3_frame(file: BinaryIO) -> tuple[int, bytes]:
    """Where the first frame starts, behind any ID3v2 tag, and the 4096 bytes from there."""
    head = _read_at(file, 0, 10)
    start = 0
    if head[:3] == b"ID3" and len(head) == 10:
        start = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
    return start, _read_at(file, start, 4096)


def declared_wave_s(file: BinaryIO) -> float | None:
    """Seconds that the data chunk of a PCM WAVE file claims to hold; FFmpeg only tells what the file can hold."""
    data = _wave_data(file)
    if data is None or _was_written_to_a_pipe(file):
        return None
    _, data_bytes, bytes_per_s = data
    return data_bytes / bytes_per_s if bytes_per_s else None


def _was_written_to_a_pipe(file: BinaryIO) -> bool:
    data = _wave_data(file)
    if data is None or data[1] == 0:
        return data is not None
    return data[1] >= _PIPED_WAVE_BYTES and sum(data[:2]) > _size(file)


def _cuts_wave_data(file: BinaryIO) -> bool:
    data = _wave_data(file)
    return data is not None and not _was_written_to_a_pipe(file) and sum(data[:2]) > _size(file)


def _wave_data(file: BinaryIO) -> tuple[int, int, int] | None:
    """Where the data chunk's content starts, how many bytes it claims, and the bytes per second of PCM."""
    head = _read_at(file, 0, 12)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    offset, bytes_per_s = 12, 0
    for _ in range(_MAX_CHUNKS):
        chunk = _read_at(file, offset, 24)
        if len(chunk) < 8:
            return None
        chunk_bytes = int(struct.unpack_from("<I", chunk, 4)[0])
        if chunk[:4] == b"data":
            return offset + 8, chunk_bytes, bytes_per_s
        if chunk[:4] == b"fmt " and len(chunk) >= 22:
            rate_hz, _, block_bytes = struct.unpack_from("<IIH", chunk, 12)
            bytes_per_s = rate_hz * block_bytes
        offset += 8 + chunk_bytes + chunk_bytes % 2
    return None


def _cuts_riff(file: BinaryIO) -> bool:
    head = _read_at(file, 0, 8)
    return len(head) == 8 and 8 + int(struct.unpack_from("<I", head, 4)[0]) > _size(file)


def _is_shorter_than_asf_header_says(file: BinaryIO) -> bool:
    """Compare with the size in the File Properties Object, unless its broadcast flag is set."""
    head = _read_at(file, 0, 16_384)
    start = head.find(_ASF_FILE_PROPERTIES)
    if start < 0 or len(head) < start + 92:
        return False
    stated_bytes = int(struct.unpack_from("<Q", head, start + 40)[0])
    is_broadcast = head[start + 88] & 1
    return not is_broadcast and stated_bytes > _size(file)


def _is_shorter_than_w64_header_says(file: BinaryIO) -> bool:
    head = _read_at(file, 0, 24)
    return len(head) == 24 and int(struct.unpack_from("<Q", head, 16)[0]) > _size(file)


def _lacks_last_flv_tag(file: BinaryIO) -> bool:
    """The last four bytes repeat the size of the tag before them, which starts with its own kind and size."""
    size = _size(file)
    (tag_bytes,) = struct.unpack(">I", _read_at(file, max(0, size - 4), 4).rjust(4, b"\0"))
    tag = _read_at(file, max(0, size - 4 - tag_bytes), 4)
    return tag_bytes < 11 or tag[:1] not in _FLV_TAGS or int.from_bytes(tag[1:], "big") != tag_bytes - 11


def _lacks_last_ogg_page(file: BinaryIO) -> bool:
    """The last page must be whole and carry the end-of-stream flag (RFC 3533, section 6)."""
    size = _size(file)
    tail = _read_at(file, max(0, size - 2 * _OGG_MAX_PAGE_BYTES), 2 * _OGG_MAX_PAGE_BYTES)
    start = tail.rfind(b"OggS")
    if start < 0 or len(tail) < start + 27:
        return True
    lacing = tail[start + 27 : start + 27 + tail[start + 26]]
    page_bytes = 27 + tail[start + 26] + sum(lacing)
    return start + page_bytes > len(tail) or not tail[start + 5] & _OGG_END_OF_STREAM


def _cuts_mp4_box(file: BinaryIO) -> bool:
    """Walk the top-level boxes (ISO/IEC 14496-12, 4.2): none may reach past the end of the file."""
    size = _size(file)
    offset = 0
    while offset < size:
        header = _read_at(file, offset, 16)
        if len(header) < 8:
            return True
        box_bytes = int(struct.unpack(">I", header[:4])[0])
        if box_bytes == 0:  # reaches to the end of the file by definition
            return False
        if box_bytes == 1 and len(header) == 16:
            box_bytes = int(struct.unpack(">Q", header[8:])[0])
        if box_bytes < 8:
            return True
        offset += box_bytes
    return offset > size


def _cuts_matroska_segment(file: BinaryIO) -> bool:
    """The segment's stated size (RFC 8794, section 6), if it is stated, must fit into the file."""
    head = _read_at(file, 0, 4096)
    start = head.find(_EBML_SEGMENT)
    if start < 0 or len(head) < start + 12:
        return False
    first = head[start + 4]
    width = 9 - first.bit_length() if first else 0
    if not width:
        return False
    value = int.from_bytes(head[start + 4 : start + 4 + width], "big") & ((1 << 7 * width) - 1)
    is_unknown = value == (1 << 7 * width) - 1
    return not is_unknown and start + 4 + width + value > _size(file)
