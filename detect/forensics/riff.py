"""The chunks of a WAVE file (RIFF, RF64 and BW64), read without trusting one size that it states."""

import struct
from collections.abc import Callable
from dataclasses import dataclass

MAX_CHUNKS = 1_000
_RIFFS = (b"RIFF", b"RF64", b"BW64")
_UNKNOWN_SIZE = 0xFFFF_FFFF
"""RF64 keeps the true size elsewhere; programs that cannot go back leave it as it is."""

ReadAt = Callable[[int, int], bytes]


@dataclass(frozen=True)
class Chunk:
    """One chunk: its name, where its content starts, and how many bytes it claims."""

    name: str
    start: int
    stated_bytes: int

    @property
    def end(self) -> int:
        """Where the next chunk starts, by this one's claim."""
        return self.start + self.stated_bytes + self.stated_bytes % 2


@dataclass(frozen=True)
class WaveStructure:
    """What the walk over a WAVE file found."""

    stated_end: int | None
    """Where the file ends by its RIFF header; None where it states no size."""
    chunks: tuple[Chunk, ...]
    end: int
    """Where the walk stopped: behind the last whole chunk, or at the end of the file."""


def wave_structure(read_at: ReadAt, size_bytes: int) -> WaveStructure | None:
    """Walk the chunks; None where the file is no WAVE file."""
    head = read_at(0, 12)
    if len(head) < 12 or head[:4] not in _RIFFS or head[8:] != b"WAVE":
        return None
    stated = int(struct.unpack_from("<I", head, 4)[0])
    chunks: list[Chunk] = []
    data_bytes = None
    offset = 12
    while len(chunks) < MAX_CHUNKS and offset + 8 <= size_bytes:
        header = read_at(offset, 8)
        if len(header) < 8 or not _is_name(header[:4]):
            break
        chunk = Chunk(header[:4].decode("ascii"), offset + 8, int(struct.unpack_from("<I", header, 4)[0]))
        if chunk.name == "ds64" and chunk.stated_bytes >= 24:
            data_bytes = int.from_bytes(read_at(chunk.start + 8, 8), "little")
        if chunk.name == "data" and chunk.stated_bytes == _UNKNOWN_SIZE:
            chunk = Chunk("data", chunk.start, size_bytes - chunk.start if data_bytes is None else data_bytes)
        chunks.append(chunk)
        offset = chunk.end
    return WaveStructure(
        stated_end=8 + stated if head[:4] == b"RIFF" and stated not in (0, _UNKNOWN_SIZE) else None,
        chunks=tuple(chunks),
        end=min(offset, size_bytes),
    )


def _is_name(name: bytes) -> bool:
    """Four printable ASCII characters."""
    return all(0x20 <= byte < 0x7F for byte in name)
