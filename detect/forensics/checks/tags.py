"""Tags and texts inside the container: which programs they name, and whether their dates agree."""

import re
from datetime import UTC, datetime

from ....core.observationrecord import Observation, Quantity
from ....core.records import Float32Array
from ..examination import CHECKS
from ..exhibit import Exhibit, Kind
from ..gapless import stated_gapless
from ..riff import wave_structure
from ..software import Program, ProgramKind, programs_in

TEXT_CHUNKS = frozenset({"bext", "iXML", "_PMX", "XMP ", "axml", "LIST", "id3 ", "ID3 "})
MAX_CHUNK_BYTES = 64 * 1024
MAX_SHOWN = 12
MAX_SHOWN_CHARACTERS = 60
SAME_TIME_S = 36 * 3600.0
"""Dates without a zone may lie a day apart and still be the same moment."""
_MIN_STRING = 4
_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d))?)?")

TAGS = Kind(
    "tags",
    "Tags say what a program, a person or a platform wrote about the file.",
    "Anyone can write anything into a tag, and most platforms remove them all: neither their content nor their "
    "absence is evidence of how the sound was made.",
)
PROGRAMS_NAMED: dict[ProgramKind, Kind] = {
    "encoder": Kind(
        "encoder_named",
        "This program encoded or packed the file last.",
        "Nearly every web service and editor uses FFmpeg or LAME inside, so the name says little; it can be forged.",
    ),
    "editor": Kind(
        "editor_named",
        "The file passed through editing software; a file presented as it came from a recorder should not have.",
        "Opening and saving, cutting the ends and converting leave the same name as a forgery. It can be forged, and "
        "its absence says nothing: most exports can leave it out.",
    ),
    "recorder": Kind(
        "recorder_named",
        "The tags name a recorder or a recording program: compare with what is told of the recording.",
        "Editors can keep a recorder's tags through any change, and anyone can write them.",
    ),
    "generator": Kind(
        "generator_named",
        "The tags name a speech generator or say that the sound is synthetic.",
        "A title or comment may merely mention the name; anyone can write or remove it.",
    ),
}
DATES = Kind(
    "dates_disagree",
    "The dates inside the file are of different days: it was recorded on one and written again on another, or a clock "
    "was wrong.",
    "Titles and release dates of published recordings differ from the file's own for good reasons. The file system's "
    "own times are not looked at: copying changes them.",
)


@CHECKS.register("tags")
class TagTexts:
    """Reads at most 64 KiB of each chunk of text in a WAVE file; other containers by the decoder's list of tags."""

    def hear(self, block: Float32Array, rate_hz: int) -> None:
        """The sound plays no part."""

    def observe(self, exhibit: Exhibit) -> list[Observation]:
        """All tags in one note; each kind of program, and disagreeing dates, apart."""
        texts = [f"{name}: {value}" for name, value in dict.fromkeys(exhibit.tags)]
        texts += [*_chunk_texts(exhibit), *_encoder_text(exhibit)]
        seen = []
        if texts:
            shown = "; ".join(_short(text) for text in texts[:MAX_SHOWN])
            more = f"; and {len(texts) - MAX_SHOWN} more" if len(texts) > MAX_SHOWN else ""
            seen.append(TAGS.observed(shown + more, values=[Quantity("tags", len(texts), "1")]))
        seen += _programs(texts)
        return seen + _dates(texts)


def _chunk_texts(exhibit: Exhibit) -> list[str]:
    """Printable strings in the chunks of a WAVE file that hold text."""
    structure = wave_structure(exhibit.read_at, exhibit.size_bytes)
    texts: list[str] = []
    for chunk in structure.chunks if structure else ():
        if chunk.name in TEXT_CHUNKS:
            content = exhibit.read_at(chunk.start, min(chunk.stated_bytes, MAX_CHUNK_BYTES))
            pieces = re.findall(rb"[\x20-\x7e]{%d,}" % _MIN_STRING, content)
            text = " ".join(piece.decode("ascii").strip() for piece in pieces)
            if text:
                texts.append(f"{chunk.name.strip()}: {text}")
    return texts


def _encoder_text(exhibit: Exhibit) -> list[str]:
    """The encoder's own name in the header of an MP3 file, which is no tag."""
    stated = stated_gapless(exhibit.facts.container, exhibit.read_at, exhibit.tags)
    return [f"{stated.source}: {stated.encoder}"] if stated and stated.encoder else []


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_SHOWN_CHARACTERS else line[: MAX_SHOWN_CHARACTERS - 1] + "…"


def _programs(texts: list[str]) -> list[Observation]:
    found: dict[Program, str] = {}
    for text in texts:
        for program in programs_in(text):
            found.setdefault(program, text)
    seen = []
    for kind, described in PROGRAMS_NAMED.items():
        named = {program.name: text for program, text in found.items() if program.kind == kind}
        if named:
            words = "; ".join(f"{name} (“{_short(text)}”)" for name, text in named.items())
            strength = "notable" if kind in ("editor", "generator") else "note"
            values = [Quantity("programs", len(named), "1")]
            seen.append(described.observed(words, strength, values))  # type: ignore[arg-type]
    return seen


def _dates(texts: list[str]) -> list[Observation]:
    moments: dict[datetime, str] = {}
    for text in texts:
        for match in _DATE.finditer(text):
            year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
            try:
                moments.setdefault(datetime(year, month, day, hour, minute, second, tzinfo=UTC), match.group())
            except ValueError:  # no such day
                continue
    if len(moments) < 2:
        return []
    apart_s = (max(moments) - min(moments)).total_seconds()
    if apart_s <= SAME_TIME_S:
        return []
    words = f"dates from {moments[min(moments)]} to {moments[max(moments)]}"
    return [DATES.observed(words, "notable", [Quantity("apart", apart_s, "s")])]
