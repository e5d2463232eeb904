"""How a WAVE file is put together: the order of its chunks, unknown ones, sizes that lie, bytes behind the end."""

import struct

from ....core.observationrecord import Observation, Quantity
from ....core.records import Float32Array
from ..examination import CHECKS
from ..exhibit import Exhibit, Kind
from ..riff import WaveStructure, wave_structure

EDITED_BY = {
    "bext": "Broadcast Wave (recorders and studio software)",
    "iXML": "iXML (field recorders and studio software)",
    "_PMX": "XMP (Adobe software)",
    "XMP ": "XMP (Adobe software)",
    "axml": "ADM or EBU core metadata",
    "LIST": "a list of texts, as most editors and FFmpeg write",
    "id3 ": "ID3 tags",
    "ID3 ": "ID3 tags",
    "cue ": "cue points set in an editor or recorder",
    "smpl": "sampler loops",
    "acid": "ACID loop data",
    "afsp": "AFsp library text",
    "minf": "Pro Tools",
    "elm1": "Pro Tools",
    "regn": "Pro Tools regions",
    "umid": "Pro Tools or Media Composer identity",
    "DGDA": "Digidesign",
    "LGWV": "Logic Pro",
    "ResU": "Logic Pro",
    "C2PA": "signed content credentials",
    "chna": "ADM channel assignment",
}
PLAIN = frozenset({"fmt ", "data", "fact", "ds64", "JUNK", "junk", "PAD ", "FLLR", "bxml", "PEAK", "inst", "plst"})

CHUNKS = Kind(
    "wave_chunks",
    "Programs leave chunks of their own, so the set and order of chunks tells which kind of program wrote the file "
    "last. A recorder's file has its device's set; a plain pair of format and data comes from a converter, a script "
    "or a speech generator as easily as from a recorder.",
    "Chunks tell of the last program that wrote the file, not of the sound, and are trivially copied or removed.",
)
UNKNOWN = Kind(
    "wave_unknown_chunks",
    "A program that is not in this list wrote the file, or something was hidden in it.",
    "Device makers invent chunks; a file whose sizes are wrong gives nonsense names.",
)
SIZES = Kind(
    "wave_sizes",
    "The header and the file disagree: the file was cut, appended to, or written by a program that did not finish it.",
    "Programs that write to a pipe cannot fill in sizes (0 or nearly 4 GB stand there); downloads that broke off and "
    "recorders that lost power leave the same.",
)
TRAILING = Kind(
    "trailing_bytes",
    "Bytes behind the last chunk belong to no part of the format: something was appended, such as a tag of a player, "
    "another file, or hidden data.",
    "Some players append ID3v1 or APE tags, and some systems pad files to whole blocks of zeros.",
)


@CHECKS.register("wave-structure")
class WaveChunks:
    """Reads headers only, at most 1,000 chunks."""

    def hear(self, block: Float32Array, rate_hz: int) -> None:
        """The sound plays no part."""

    def observe(self, exhibit: Exhibit) -> list[Observation] | None:
        """None for files that are not WAVE."""
        structure = wave_structure(exhibit.read_at, exhibit.size_bytes)
        if structure is None:
            return None
        names = tuple(chunk.name for chunk in structure.chunks)
        traces = {name: EDITED_BY[name] for name in names if name in EDITED_BY}
        words = "chunks in order: " + ", ".join(names[:20]) + (" and more" if len(names) > 20 else "")
        if traces:
            words += "; " + "; ".join(f"{name.strip()}: {what}" for name, what in traces.items())
        seen = [CHUNKS.observed(words, values=[Quantity("chunks", len(names), "1")])]
        unknown = sorted({name for name in names if name not in EDITED_BY and name not in PLAIN})
        if unknown:
            words = "chunks that are not known: " + ", ".join(map(repr, unknown[:10]))
            seen.append(UNKNOWN.observed(words, values=[Quantity("unknown", len(unknown), "1")]))
        seen += _sizes(structure, exhibit)
        return seen + _trailing(structure, exhibit)


def _sizes(structure: WaveStructure, exhibit: Exhibit) -> list[Observation]:
    """What the headers state against what the file holds."""
    wrong = []
    values = []
    stated = structure.stated_end
    if stated is None:
        (raw,) = struct.unpack("<I", exhibit.read_at(4, 4))
        if exhibit.read_at(0, 4) == b"RIFF":
            wrong.append(f"the RIFF header states no size ({raw})")
    elif abs(stated - exhibit.size_bytes) > 1:
        wrong.append(f"the RIFF header states {stated} bytes, the file has {exhibit.size_bytes}")
        values.append(Quantity("stated_less_real", stated - exhibit.size_bytes, "bytes"))
    for chunk in structure.chunks:
        missing = chunk.start + chunk.stated_bytes - exhibit.size_bytes
        if missing > 0:
            wrong.append(f"chunk {chunk.name!r} claims {missing} bytes beyond the end of the file")
            values.append(Quantity("missing", missing, "bytes"))
    if not wrong:
        return []
    return [SIZES.observed("; ".join(wrong), "notable", values)]


def _trailing(structure: WaveStructure, exhibit: Exhibit) -> list[Observation]:
    extra = exhibit.size_bytes - structure.end
    if extra <= 1:
        return []
    head = exhibit.read_at(structure.end, 64)
    kind = "zeros" if not any(head) else _known_trailer(head)
    words = f"{extra} bytes follow the last chunk, beginning with {kind}"
    return [TRAILING.observed(words, "notable", [Quantity("trailing", extra, "bytes")])]


def _known_trailer(head: bytes) -> str:
    known = {b"TAG": "an ID3v1 tag", b"APETAGEX": "an APE tag", b"ID3": "an ID3v2 tag", b"PK": "a ZIP archive"}
    return next((name for magic, name in known.items() if head.startswith(magic)), "bytes of no known kind")
